package stock_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/serve/service"
	"github.com/universal-server/become/serve/socket"
	"github.com/universal-server/become/serve/stock"
	"github.com/universal-server/become/serve/wire"
)

func find(t *testing.T, name string) stock.Server {
	t.Helper()
	s, ok := stock.Find(name)
	if !ok {
		t.Fatalf("there is no server %s", name)
	}
	return s
}

// settings are what a command line makes.
func settings(name string, flags map[string][]string, args ...string) (json.RawMessage, error) {
	s, _ := stock.Find(name)
	return s.Settings(stock.Words{Args: args, Flags: flags, Dir: "/here"})
}

type flags = map[string][]string

func TestSettings_AreMadeOfWords(t *testing.T) {
	for _, test := range []struct {
		name  string
		flags flags
		args  []string
		want  string
	}{
		{"static", nil, []string{"site"}, `{"dir":"/here/site","listing":false,"dotfiles":false,"log":true,"cache_bytes":67108864,"cache_file":262144}`},
		{"static", flags{"listing": {"true"}, "log": {"true", "false"}, "cache-bytes": {"0"}}, []string{"/srv/../site"}, `{"dir":"/srv/../site","listing":true,"dotfiles":false,"log":false,"cache_bytes":0,"cache_file":262144}`},
		{"inetd", flags{"env": {"A=1", "B=2"}, "within": {"90s"}, "dir": {"d"}}, []string{"./p", "-x", "./y"},
			`{"command":["/here/p","-x","./y"],"dir":"/here/d","env":["A=1","B=2"],"stderr":false,"max":100,"per_peer":0,"rate":0,"within":"1m30s","grace":"2s"}`},
		{"inetd", nil, []string{"cat"}, `{"command":["cat"],"dir":"","env":[],"stderr":false,"max":100,"per_peer":0,"rate":0,"within":"0s","grace":"2s"}`},
		{"proxy", flags{"header": {"2"}, "round-robin": {"true"}}, []string{"127.0.0.1:1", "unix:s", "unix:///s"},
			`{"backends":["127.0.0.1:1","unix:/here/s","unix:/s"],"round_robin":true,"header":2,"dial":"2s","wait":"10s","check":"2s","idle":"5m0s"}`},
		{"cgi", flags{"max": {"4"}}, []string{"a.py"},
			`{"path":"/here/a.py","env":[],"authorization":false,"max":4,"wait":"10s","within":"1m0s","grace":"1s","body":67108864,"spool":536870912,"head":65536}`},
		{"echo", nil, nil, `{}`},
		{"time", nil, nil, `{}`},
		{"cas", nil, nil, ``},
	} {
		if runtime.GOOS == "windows" {
			t.Skip("the paths are those of Unix")
		}
		got, err := settings(test.name, test.flags, test.args...)
		if string(got) != test.want || err != nil {
			t.Errorf("%s %v: got %s, %v, want %s", test.name, test.args, got, err, test.want)
			continue
		}
		again, err := find(t, test.name).Settings(stock.Words{Settings: got, Dir: "/elsewhere"})
		if string(again) != test.want || err != nil {
			t.Errorf("%s: settings become %s, %v", test.name, again, err)
		}
	}
}

func TestSettings_SayWhatIsWrong(t *testing.T) {
	for _, test := range []struct {
		name  string
		flags flags
		args  []string
		want  string
	}{
		{"static", nil, nil, "it wants DIR"},
		{"static", nil, []string{"a", "b"}, `"b" is too much`},
		{"static", flags{"cache-bytes": {"-1"}}, []string{"a"}, "--cache-bytes: must be at least 0"},
		{"static", flags{"listing": {"x"}}, []string{"a"}, "--listing: "},
		{"inetd", nil, nil, "it wants PROGRAM"},
		{"inetd", flags{"max": {"0"}}, []string{"cat"}, "--max: must be at least 1"},
		{"inetd", flags{"grace": {"0s"}}, []string{"cat"}, "grace: must be above zero"},
		{"inetd", flags{"env": {"X"}}, []string{"cat"}, `cannot use variable "X": want KEY=VALUE`},
		{"cgi", flags{"env": {"X=1", "=2"}}, []string{"a"}, `cannot use variable "=2": want KEY=VALUE`},
		{"inetd", flags{"within": {"-1s"}}, []string{"cat"}, "within: must not be below zero"},
		{"proxy", nil, nil, "it wants BACKEND"},
		{"proxy", nil, []string{"nowhere"}, "cannot use backend nowhere"},
		{"proxy", flags{"header": {"3"}}, []string{"127.0.0.1:1"}, "--header: must be at most 2"},
		{"cgi", flags{"wait": {"soon"}}, []string{"a"}, "--wait: must be a duration"},
		{"echo", nil, []string{"x"}, `"x" is too much`},
		{"cas", nil, []string{"x"}, `"x" is too much`},
	} {
		got, err := settings(test.name, test.flags, test.args...)
		if err == nil || fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s %v %v: got %s, %v, want %s", test.name, test.flags, test.args, got, err, test.want)
		}
	}
	for name, text := range map[string]string{
		"static": `{"dir":"/","more":1}`, "inetd": `{}`, "proxy": `{"backends":[]}`, "cgi": `{"path":""}`, "echo": `{"x":1}`, "cas": `{"x":1}`,
	} {
		if got, err := find(t, name).Settings(stock.Words{Settings: json.RawMessage(text)}); err == nil || fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: %s becomes %s, %v", name, text, got, err)
		}
	}
	if _, err := find(t, "static").Settings(stock.Words{Settings: json.RawMessage(`{"dir":"/"}`), Args: []string{"/"}}); err == nil {
		t.Error("settings and arguments together are taken")
	}
}

func TestCheck_LooksAtThisMachine(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "plain"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, arg string
		want      fault.Kind
	}{
		{"static", filepath.Join(dir, "none"), fault.NotFound},
		{"cgi", filepath.Join(dir, "none"), fault.NotFound},
		{"cgi", filepath.Join(dir, "plain"), fault.Denied},
		{"inetd", filepath.Join(dir, "none"), fault.NotFound},
	} {
		data, err := settings(test.name, nil, test.arg)
		if err != nil {
			t.Fatal(err)
		}
		if err := find(t, test.name).Check(data); err == nil || fault.KindOf(err) != test.want && runtime.GOOS != "windows" {
			t.Errorf("%s %s: got %v, want %s", test.name, test.arg, err, test.want)
		}
	}
	for _, one := range []string{"static", "cgi"} {
		if data, err := settings(one, nil, dir); err != nil || find(t, one).Check(data) != nil {
			t.Errorf("%s: got %v, %v", one, err, find(t, one).Check(data))
		}
	}
}

// TestServices_AreConfiguredByWhatSettingsMade serves files as a process of a keeper does.
func TestServices_AreConfiguredByWhatSettingsMade(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "f.txt"), []byte("fine"), 0o644); err != nil {
		t.Fatal(err)
	}
	data, err := settings("static", flags{"log": {"false"}}, dir)
	if err != nil {
		t.Fatal(err)
	}
	all := stock.Services(stock.Env{Logger: slog.New(slog.DiscardHandler)})
	if len(all) != len(stock.All()) {
		t.Fatalf("%d services of %d servers", len(all), len(stock.All()))
	}
	one, err := service.Pick(all, "static")
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	sock := &socket.Socket{Socket: wire.Socket{Network: "tcp", Addr: ln.Addr().String()}, Listener: ln}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- service.Run(ctx, one, []*socket.Socket{sock}, &service.Options{Settings: data}) }()
	res, err := http.Get("http://" + sock.Addr + "/f.txt")
	if err != nil || res.StatusCode != 200 {
		t.Errorf("got %v, %v", res, err)
	}
	if err == nil {
		res.Body.Close()
	}
	http.DefaultClient.CloseIdleConnections()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	for _, s := range all { // what is wrong is found out before a socket is served on
		if err := s.Configure(json.RawMessage(`{"unknown":1}`)); err == nil {
			t.Errorf("%s takes an unknown setting", s.Name)
		}
	}
}
