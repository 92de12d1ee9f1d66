//go:build unix

package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"

	"github.com/universal-server/become/keep/register"
)

// What a child is told. Go has no fork: the copy is this program, started again.
const (
	childEnv = "CASVARIANTS_CHILD" // hello, or conn: the connection is descriptor 3
	fileEnv  = "CASVARIANTS_FILE"  // where the register is; empty: the child has its own
)

func variants() map[string]variant {
	return map[string]variant{
		"fork":    func(ctx context.Context, ln *net.TCPListener) error { return fork(ctx, ln, "") },
		"shared":  shared,
		"busy":    busy,
		"poll":    poll,
		"threads": threads,
	}
}

// childHere does what a child is for, if this is one.
func childHere() bool {
	switch os.Getenv(childEnv) {
	case "":
		return false
	case "hello":
		fmt.Println("PID = ", 0) // what fork returns in the child
		fmt.Println("Hello world")
	case "conn":
		if err := serveChild(); err != nil {
			fmt.Fprintln(os.Stderr, "casvariants:", err)
			os.Exit(1)
		}
	}
	return true
}

// hello prints what the lecture's first program does: each line twice, with two numbers.
func hello() error {
	cmd, err := again("hello", "")
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	fmt.Println("PID = ", cmd.Process.Pid)
	fmt.Println("Hello world")
	return cmd.Wait()
}

// again is this program as a child.
func again(as, file string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self)
	cmd.Env = append(withoutOurs(os.Environ()), childEnv+"="+as, fileEnv+"="+file)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd, nil
}

// shared is fork with one register: in a file that all processes map into their memory.
func shared(ctx context.Context, ln *net.TCPListener) error {
	dir, err := os.MkdirTemp("", "casvariants-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	return fork(ctx, ln, filepath.Join(dir, "register"))
}

// fork accepts, and leaves each connection to a process of its own.
func fork(ctx context.Context, ln *net.TCPListener, file string) error {
	defer closing(ctx, ln)()
	var children sync.WaitGroup
	defer children.Wait()
	for {
		conn, err := ln.AcceptTCP()
		if err != nil {
			return err
		}
		cmd, err := startChild(conn, file)
		conn.Close() // the child has its own descriptor of it
		if err != nil {
			return err
		}
		children.Go(func() {
			defer context.AfterFunc(ctx, func() { cmd.Process.Kill() })()
			cmd.Wait()
		})
	}
}

func startChild(conn *net.TCPConn, file string) (*exec.Cmd, error) {
	cmd, err := again("conn", file)
	if err != nil {
		return nil, err
	}
	f, err := conn.File()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	cmd.ExtraFiles = []*os.File{f}
	return cmd, cmd.Start()
}

func serveChild() error {
	f := os.NewFile(3, "connection")
	conn, err := net.FileConn(f)
	if err != nil {
		return err
	}
	f.Close()
	address := os.Getenv(fileEnv)
	if address != "" {
		address = "file:" + address
	}
	reg, err := register.Open(context.Background(), address, "")
	if err != nil {
		return err
	}
	defer reg.Close()
	serveConn(conn, reg)
	return nil
}
