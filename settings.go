package become

import (
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"github.com/universal-server/become/ground/settings"
)

// HostPort is where a service listens that runs alone, as settings: embed it in a service's own.
//
//	settings := struct {
//		become.HostPort
//		Greeting string
//	}{become.HostPort{Host: "127.0.0.1", Port: 5051}, "hello"}
//
// Then --host=0.0.0.0 listens for everybody. --listen goes before, and so does a keeper, which has the sockets.
type HostPort struct {
	Host string `doc:"the address to listen at; empty for all"`
	Port int    `doc:"the port to listen at; 0 for any that is free" minimum:"0" maximum:"65535"`
}

// Listen returns the address. A settings struct with such a method says where the service listens.
func (h HostPort) Listen() string { return net.JoinHostPort(h.Host, strconv.Itoa(h.Port)) }

// loadSettings fills the settings of a service that runs alone. over says that the command line wanted nothing else.
func loadSettings(s *Server, set *flag.FlagSet, args []string, stdout io.Writer) (over bool, err error) {
	out, err := settings.Load(s.service.Name, s.settings, args, &settings.Options{
		Create: true, Flags: set, Doc: s.doc, Edit: edit,
	})
	if err != nil {
		return false, err
	}
	if len(out.Rest) > 0 {
		return false, notFlag(out.Rest[0])
	}
	if out.Over {
		_, err = io.WriteString(stdout, out.Text)
	}
	return out.Over, err
}

// edit opens a file in the user's editor.
func edit(path string) error {
	editor := os.Getenv("VISUAL")
	if editor == "" {
		editor = os.Getenv("EDITOR")
	}
	words := strings.Fields(editor)
	if len(words) == 0 {
		words = []string{"vi"}
	}
	cmd := exec.Command(words[0], append(words[1:], path)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("the editor %s: %w", words[0], err)
	}
	return nil
}
