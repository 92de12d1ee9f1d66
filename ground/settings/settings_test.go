package settings_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/settings"
)

type crunch struct {
	Host string `doc:"where to listen"`
	Port int    `minimum:"1" maximum:"65535"`
	Wait time.Duration
	Loud bool
	Tags []string
	Mode string `enum:"fast,exact"`
	TLS  struct{ Cert string }
}

func factory() crunch { return crunch{Host: "127.0.0.1", Port: 5051, Wait: time.Second, Mode: "fast"} }

func load(t *testing.T, o settings.Options, args ...string) (crunch, settings.Outcome, error) {
	t.Helper()
	if o.Environ == nil {
		o.Environ = []string{}
	}
	c := factory()
	out, err := settings.Load("crunch", &c, args, &o)
	return c, out, err
}

func file(t *testing.T) settings.Options {
	return settings.Options{File: filepath.Join(t.TempDir(), "deep", "crunch.json")}
}

func TestLoad_TakesTheLaterBeforeTheEarlier(t *testing.T) {
	o := file(t)
	if c, _, err := load(t, o); err != nil || c.Port != 5051 {
		t.Errorf("factory: %+v, %v", c, err)
	}
	if _, out, err := load(t, o, "--port=6000", "--host", "a", "--store-settings"); err != nil || out.Text != "Ack()\n" || !out.Over {
		t.Fatalf("got %+v, %v", out, err)
	}
	c, _, err := load(t, o)
	if err != nil || c.Port != 6000 || c.Host != "a" || c.Wait != time.Second {
		t.Errorf("file: %+v, %v", c, err)
	}
	o.Environ = []string{"CRUNCH_PORT=7000", "CRUNCH_TLS_CERT=pem", "OTHER=1"}
	if c, _, err = load(t, o); err != nil || c.Port != 7000 || c.TLS.Cert != "pem" || c.Host != "a" {
		t.Errorf("environment: %+v, %v", c, err)
	}
	c, out, err := load(t, o, "--port", "8000", "--loud", `--tags=["x"]`, "--tls.cert=k", "--wait=5s", "in", "--", "--port=1")
	if err != nil || c.Port != 8000 || !c.Loud || c.Tags[0] != "x" || c.TLS.Cert != "k" || c.Wait != 5*time.Second {
		t.Errorf("command line: %+v, %v", c, err)
	}
	if strings.Join(out.Rest, " ") != "in --port=1" || out.Over {
		t.Errorf("got %+v", out)
	}
	o.Environ = nil
	if c, _, err = load(t, o, "--factory-reset"); err != nil || c.Port != 5051 {
		t.Errorf("reset: %+v, %v", c, err)
	}
	if c, _, err = load(t, o); err != nil || c.Port != 6000 {
		t.Errorf("the file changed: %+v, %v", c, err)
	}
}

func TestLoad_DumpsAsTheSeedDoes(t *testing.T) {
	s := struct {
		Host string
		Port int
	}{"127.0.0.1", 5051}
	o := file(t)
	out, err := settings.Load("crunch", &s, []string{"--dump-settings"}, &o)
	const want = "{\n    \"value\": {\n        \"host\": \"127.0.0.1\",\n        \"port\": 5051\n    }\n}\n"
	if err != nil || out.Text != want || !out.Over {
		t.Errorf("got %+v, %v", out, err)
	}
	if _, err := os.Stat(o.File); !errors.Is(err, os.ErrNotExist) {
		t.Error("dumping made a file")
	}
	o.Create = true
	if _, err := settings.Load("crunch", &s, nil, &o); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(o.File)
	info, _ := os.Stat(o.File)
	if err != nil || string(data) != want || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("got %s, %v, %v", data, info.Mode(), err)
	}
}

func TestLoad_AFileThatIsNamedIsThereOrStored(t *testing.T) {
	o := file(t)
	o.Create = true
	other := filepath.Join(t.TempDir(), "other.json")
	if _, _, err := load(t, o, "--dump-settings", "--settings-file", other); fault.KindOf(err) != fault.NotFound || !strings.Contains(err.Error(), other) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(other); err == nil {
		t.Error("it was made")
	}
	for range 2 {
		if _, _, err := load(t, o, "--port=7", "--store-settings", "--settings-file", other); err != nil {
			t.Error(err)
		}
		if _, _, err := load(t, o, "--settings-file", other); err != nil {
			t.Error(err)
		}
	}
}

func TestLoad_NamesWhatIsWrong(t *testing.T) {
	o := file(t)
	for args, want := range map[string]string{
		"--zork=1":          "cannot read flag --zork: there is no such setting; there is host, port, wait, loud, tags, mode, tls.cert",
		"--port=many":       "cannot read flag --port: must be a whole number",
		"--port=0":          "cannot read flag --port: must be at least 1",
		"--port":            "cannot read flag --port: it needs a value",
		"--dump-settings=1": "cannot read flag --dump-settings: it takes no value",
	} {
		if _, _, err := load(t, o, args); want == "" && err != nil || want != "" && (err == nil || !strings.HasPrefix(err.Error(), want) || fault.KindOf(err) != fault.Invalid) {
			t.Errorf("%s: got %v, want %s", args, err, want)
		}
	}
	o.Environ = []string{"CRUNCH_PORT=x"}
	if _, _, err := load(t, o); err == nil || err.Error() != "cannot read variable CRUNCH_PORT: must be a whole number" {
		t.Errorf("got %v", err)
	}
	o.Environ = nil
	os.MkdirAll(filepath.Dir(o.File), 0o700)
	for text, want := range map[string]string{
		`{"value":{"port":"x"}}`: "port: must be a number, not a text",
		`{"value":{"prot":1}}`:   "prot: there is no such field",
		`{}`:                     `there is no "value"`,
		`nonsense`:               "it is not JSON, see byte 2: ",
		`[1]`:                    "it is no JSON object",
	} {
		os.WriteFile(o.File, []byte(text), 0o600)
		if _, _, err := load(t, o); err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "cannot read settings "+o.File) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
		if _, _, err := load(t, o, "--factory-reset"); err != nil {
			t.Errorf("%s: the way out: %v", text, err)
		}
	}
	for _, v := range []any{nil, 1, crunch{}, (*crunch)(nil), &[]int{}} {
		if _, err := settings.Load("x", v, nil, &o); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%T: got %v", v, err)
		}
	}
}

func TestLoad_LetsTheUserEdit(t *testing.T) {
	o := file(t)
	o.Edit = func(path string) error {
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(path, []byte(strings.Replace(string(data), "5051", "6000", 1)), 0o600)
	}
	if _, out, err := load(t, o, "--edit-settings"); err != nil || !out.Over {
		t.Fatalf("got %+v, %v", out, err)
	}
	if c, _, err := load(t, o); err != nil || c.Port != 6000 {
		t.Errorf("got %+v, %v", c, err)
	}
	t.Setenv("TMPDIR", t.TempDir())
	wrong, edited := `{"value":{"port":-1}}`, ""
	o.Edit = func(path string) error { edited = path; return os.WriteFile(path, []byte(wrong), 0o600) }
	_, _, err := load(t, o, "--edit-settings")
	if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), edited+": port: must be at least 1") {
		t.Errorf("got %v", err)
	}
	if data, err := os.ReadFile(edited); err != nil || string(data) != wrong {
		t.Errorf("what the user wrote is lost: %q, %v", data, err)
	}
	o.Edit = func(path string) error { edited = path; return errors.New("no") }
	if _, _, err := load(t, o, "--edit-settings"); fault.KindOf(err) != fault.Canceled {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(edited); err == nil {
		t.Error("what nobody wrote is left behind")
	}
	o.Edit = nil
	if _, _, err := load(t, o, "--edit-settings"); fault.KindOf(err) != fault.Invalid {
		t.Errorf("got %v", err)
	}
	if c, _, err := load(t, o); err != nil || c.Port != 6000 {
		t.Errorf("what failed was kept: %+v, %v", c, err)
	}
}

func TestLoad_LetsTheUserEditWhatIsWrong(t *testing.T) {
	o := file(t)
	if _, _, err := load(t, o, "--store-settings"); err != nil {
		t.Fatal(err)
	}
	for _, wrong := range []string{`{"value":{"prot":6000}}`, `{"value":{`, `{"port":6000}`} {
		if err := os.WriteFile(o.File, []byte(wrong), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := load(t, o); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: got %v", wrong, err)
		}
		o.Edit = func(path string) error {
			if data, err := os.ReadFile(path); err != nil || string(data) != wrong {
				t.Errorf("%s: the editor shows %q, %v", wrong, data, err)
			}
			return os.WriteFile(path, []byte(`{"value":{"port":6000}}`), 0o600)
		}
		if _, out, err := load(t, o, "--edit-settings"); err != nil || out.Text != "Ack()\n" {
			t.Errorf("%s: got %+v, %v", wrong, out, err)
		}
		if c, _, err := load(t, o); err != nil || c.Port != 6000 || c.Host != "127.0.0.1" {
			t.Errorf("%s: got %+v, %v", wrong, c, err)
		}
	}
}

func TestLoad_DescribesTheSettings(t *testing.T) {
	o := file(t)
	o.Doc = "Crunch numbers."
	_, out, err := load(t, o, "--help", "--port=9")
	if err != nil || !out.Over {
		t.Fatal(err)
	}
	for _, want := range []string{"Crunch numbers.", "--host TEXT", `where to listen (default "127.0.0.1"); CRUNCH_HOST`, "--tls.cert TEXT", `fast, exact (default "fast"); CRUNCH_MODE`, "--dump-settings", o.File} {
		if !strings.Contains(out.Text, want) {
			t.Errorf("no %q in\n%s", want, out.Text)
		}
	}
}
