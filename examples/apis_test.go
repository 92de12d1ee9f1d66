package examples_test

import (
	"os/exec"
	"strings"
	"testing"
)

// crunch is asked as the seed does it.
func crunch(t *testing.T, p program) {
	addr, interrupt := serving(t, p)
	for path, want := range map[string]string{
		"Multiply?x=1.5&y=2.25": `{"value":["crunch.Output",{"value":3.375},[]]}`,
		"Divide?x=1.5&y=2.25":   `{"value":["crunch.Output",{"value":0.6666666666666666},[]]}`,
		"Divide?x=1.5&y=0":      `{"title":"Unprocessable Entity","status":422,"detail":"cannot write answer: value: +Inf is no number that JSON has","kind":"invalid"}`,
		"Multiply?z=1":          `{"title":"Bad Request","status":400,"detail":"z: there is no such field; there is x, y","kind":"invalid","errors":[{"path":"z","text":"there is no such field; there is x, y"}]}`,
	} {
		if got := get(t, "http://"+addr+"/"+path); got != want+"\n" {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
	if page := get(t, "http://"+addr+"/"); !strings.Contains(page, `data-request="Multiply"`) {
		t.Errorf("the page is %s", page)
	}
	interrupt()
	settings := exec.Command(p.path, "--host=0.0.0.0", "--dump-settings")
	settings.Env = p.env
	got, err := settings.Output()
	if err != nil || string(got) != "{\n    \"value\": {\n        \"host\": \"0.0.0.0\",\n        \"port\": 5051\n    }\n}\n" {
		t.Errorf("the settings are %s, %v", got, err)
	}
}
