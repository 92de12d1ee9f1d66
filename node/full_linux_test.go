package node_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/universal-server/become"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/node"
)

func init() { roles["full"] = fullRole }

// A disk of its own, mounted where nobody else sees it, runs full below a node.
func TestSurvive_AFullDisk(t *testing.T) {
	cmd := exec.Command(os.Args[0], t.TempDir())
	cmd.Env = append(os.Environ(), roleEnv+"=full")
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		unable(t, fmt.Sprintf("this machine makes no mount namespaces: %v", err))
	}
	t.Cleanup(func() { kill(t, cmd) })
	last := ""
	for lines := bufio.NewScanner(out); lines.Scan(); {
		last = lines.Text()
		t.Log(last)
	}
	if strings.HasPrefix(last, "no mount") {
		unable(t, last)
	}
	if err := cmd.Wait(); err != nil || last != "all is well" {
		t.Errorf("it ended with %q, %v", last, err)
	}
}

// unable skips a test that this machine cannot hold. Where all of them are to be
// held, that is a failure.
func unable(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("BECOME_REQUIRE_PEERS") == "1" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// fullRole plays the whole story and prints how far it came.
func fullRole(args []string) error {
	dir := args[0]
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size=400m"); err != nil {
		fmt.Println("no mount:", err)
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	n, err := node.Start(ctx, node.Options{Home: filepath.Join(dir, "home"), Workers: 1, Slots: 4})
	if err != nil {
		return err
	}
	defer n.Stop()
	f, err := become.Connect(ctx, become.Config{URL: n.URL(), Key: n.KeyText()})
	if err != nil {
		return err
	}
	defer f.Close()
	accepted, err := submitAll(ctx, f, 40, 20)
	if err != nil {
		return err
	}
	running, err := submitAll(ctx, f, 4, 1500)
	if err != nil {
		return err
	}
	if err := until(ctx, func() bool { return n.Status().Processes[0].Running > 0 }); err != nil {
		return fmt.Errorf("no job ran: %w", err)
	}
	filler := filepath.Join(dir, "filler")
	if err := fill(filler); err != nil {
		return err
	}
	fmt.Println("the disk is full")
	if err := until(ctx, func() bool { return n.Status().Full != "" }); err != nil {
		return fmt.Errorf("the node never noticed: %w", err)
	}
	fmt.Println("the node says:", n.Status().Full)
	_, err = sleep.Submit(ctx, f, 1, become.JobOptions{NoWait: true})
	if fault.KindOf(err) != fault.Busy || !strings.Contains(fault.Hint(err), "full") {
		return fmt.Errorf("a job got %w, hint %q; want busy, full", err, fault.Hint(err))
	}
	fmt.Println("a job is refused:", err)
	if v, err := square.Call(ctx, f, 3); v != 9 || err != nil {
		return fmt.Errorf("a call on a full disk: %d, %w", v, err)
	}
	fmt.Println("calls go on")
	// The results of these wait for room.
	if err := until(ctx, func() bool { return n.Status().Processes[0].Running == 0 }); err != nil {
		return fmt.Errorf("jobs did not end: %w", err)
	}
	if err := os.Remove(filler); err != nil {
		return err
	}
	fmt.Println("the disk has room again")
	for _, id := range append(accepted, running...) {
		if v, err := id.Wait(ctx); err != nil {
			return fmt.Errorf("accepted job %s: %d, %w", id.ID(), v, err)
		}
	}
	if _, err := submitAll(ctx, f, 1, 1); err != nil {
		return err
	}
	fmt.Println("all is well")
	return nil
}

// fill writes until the disk takes no more.
func fill(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	block := make([]byte, 1<<20)
	for size := len(block); size > 0; {
		if _, err := f.Write(block[:size]); err != nil {
			if !errors.Is(err, syscall.ENOSPC) {
				return err
			}
			size /= 2
		}
	}
	return nil
}
