package become

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/serve/socket"
)

// greeter is a service with settings of its own.
func greeter() (*Server, *greeting) {
	g := &greeting{HostPort: HostPort{"127.0.0.1", 0}, Greeting: "hello"}
	return Conn("greeter", func(_ context.Context, c net.Conn) error {
		_, err := io.WriteString(c, g.Greeting)
		return err
	}, ServiceOptions{Settings: g}), g
}

type greeting struct {
	HostPort
	Greeting string `minLength:"2"`
}

func TestServe_SettingsComeFromFileEnvironmentAndFlags(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", dir)
	t.Setenv("GREETER_GREETING", "from the environment")
	file := filepath.Join(dir, "become", "settings", "greeter.json")
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--dump-settings"}, `"greeting": "from the environment"`},
		{[]string{"--greeting=hi", "--dump-settings"}, `"greeting": "hi"`},
		{[]string{"--settings", `{"greeting":"whole","port":7}`, "--dump-settings"}, `"port": 7`},
		{[]string{"--settings", `{"greeting":"whole"}`, "--greeting", "single", "--max-conns", "3", "--dump-settings"}, `"greeting": "single"`},
		{[]string{"--port", "8", "--store-settings"}, "Ack()"},
		{[]string{"--dump-settings"}, `"port": 8`},
		{[]string{"--factory-reset", "--dump-settings"}, `"port": 0`},
		{[]string{"--help"}, "kept in " + file},
		{[]string{"--help"}, "--max-conns CONNECTIONS"},
		{[]string{"--help"}, "may be repeated (default as the settings say)"},
	} {
		s, _ := greeter()
		var out bytes.Buffer
		err := serveAlone(t.Context(), []*Server{s}, servicesOf([]*Server{s}), c.args, &out, io.Discard)
		if err != nil || !strings.Contains(out.String(), c.want) {
			t.Errorf("%q: got %q, %v; want %q", c.args, out.String(), err, c.want)
		}
	}
	if data, err := os.ReadFile(file); err != nil || !strings.Contains(string(data), `"port": 8`) {
		t.Errorf("the file has %q, %v", data, err)
	}
}

func TestServe_RefusesWrongSettings(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--grating", "x"}, "cannot read flag --grating: there is no such setting; there is host, port, greeting"},
		{[]string{"--greeting", "x"}, "cannot read flag --greeting: must have at least 2 characters"},
		{[]string{"--port=65536"}, "cannot read flag --port: must be at most 65535"},
		{[]string{"--settings", `{"grating":1}`}, "cannot configure greeter: grating"},
		{[]string{"--listen", "nowhere"}, "want host:port"},
		{[]string{"--drain"}, "it needs a value"},
		{[]string{"word"}, `"word" is no flag`},
	} {
		s, _ := greeter()
		err := serveAlone(t.Context(), []*Server{s}, servicesOf([]*Server{s}), c.args, io.Discard, io.Discard)
		if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: got %v, want %q", c.args, err, c.want)
		}
	}
}

func TestServe_ListensWhereTheSettingsSay(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	s, g := greeter()
	r, w := net.Pipe()
	over := make(chan error, 1)
	go func() {
		over <- serveAlone(ctx, []*Server{s}, servicesOf([]*Server{s}), []string{"--greeting", "good day", "--host", "::1"}, io.Discard, w)
	}()
	buf := make([]byte, 100)
	n, _ := r.Read(buf)
	_, addr, _ := strings.Cut(strings.TrimSpace(string(buf[:n])), ": serving on ")
	if !strings.HasPrefix(addr, "[::1]:") {
		t.Fatalf("got %q", buf[:n])
	}
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got, err := io.ReadAll(c); string(got) != g.Greeting {
		t.Errorf("got %q, %v", got, err)
	}
	cancel()
	if err := <-over; err != nil {
		t.Error(err)
	}
}

func TestServe_SaysWhyItCannotListen(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = socket.Open(t.Context(), socket.Address{Network: "tcp", Addr: l.Addr().String()})
	var out bytes.Buffer
	code := outcome(err, false, &out)
	want := programName() + ": cannot listen at " + strconv.Quote(l.Addr().String()) + " (address already in use)\n"
	if code == 0 || code == 1 || !strings.HasPrefix(out.String(), want) {
		t.Errorf("got %d, %q, want %q", code, out.String(), want)
	}
	out.Reset()
	if code := outcome(nil, true, &out); code != 130 || out.String() != programName()+": aborted (user or software interrupt)\n" {
		t.Errorf("got %d, %q", code, out.String())
	}
}

func TestServe_SettingsAreEditedInTheUsersEditor(t *testing.T) {
	if _, err := exec.LookPath("sed"); err != nil {
		if os.Getenv("BECOME_REQUIRE_PEERS") != "" {
			t.Fatal(err)
		}
		t.Skip("there is no sed")
	}
	dir := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", dir)
	t.Setenv("VISUAL", "sed -i s/hello/welcome/")
	run := func(args ...string) (string, error) {
		s, _ := greeter()
		var out bytes.Buffer
		err := serveAlone(t.Context(), []*Server{s}, servicesOf([]*Server{s}), args, &out, io.Discard)
		return out.String(), err
	}
	if out, err := run("--edit-settings"); out != "Ack()\n" || err != nil {
		t.Errorf("got %q, %v", out, err)
	}
	if out, err := run("--dump-settings"); !strings.Contains(out, `"greeting": "welcome"`) || err != nil {
		t.Errorf("got %q, %v", out, err)
	}
	t.Setenv("VISUAL", "sed -i s/welcome/x/") // too short
	if _, err := run("--edit-settings"); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "at least 2 characters") {
		t.Errorf("got %v", err)
	}
	t.Setenv("VISUAL", "false")
	if _, err := run("--edit-settings"); fault.KindOf(err) != fault.Canceled || !strings.Contains(err.Error(), "the editor false") {
		t.Errorf("got %v", err)
	}
	if out, err := run("--dump-settings"); !strings.Contains(out, `"greeting": "welcome"`) || err != nil {
		t.Errorf("got %q, %v", out, err)
	}
}

func TestProgram_OfANodesCacheHasAShortName(t *testing.T) {
	const digest = "f71cb5e6d2ac5d5cfec83081cc9033545baf860d08ffe91ef5537014527730ef"
	for path, want := range map[string]string{
		"/bin/crunch": "crunch", `crunch.exe`: "crunch", "/home/cache/" + digest: "f71cb5e6d2ac", "/bin/" + digest[1:]: digest[1:], "cafe": "cafe",
	} {
		if got := nameOfFile(path); got != want {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
}
