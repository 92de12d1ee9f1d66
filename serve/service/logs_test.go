package service_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/universal-server/become/ground/slogs"
	"github.com/universal-server/become/serve/service"
	"github.com/universal-server/become/serve/socket"
)

var (
	address = regexp.MustCompile(`<[0-9a-f]{8}>`)
	varying = regexp.MustCompile(`(peer|after|at)=\S+`)
)

// events are the lines of a log, with addresses counted in the order in which they appear.
func events(t *testing.T, log string) (all []string) {
	t.Helper()
	seen := map[string]string{slogs.Address(slogs.Process): "<process>"}
	for text := range strings.Lines(log) {
		l, ok := slogs.Parse(strings.TrimSuffix(text, "\n"))
		if !ok {
			t.Fatalf("%q is no line of a log", text)
		}
		plain := address.ReplaceAllStringFunc(fmt.Sprintf("%c %s %s", l.Tag, l.Object, l.Text), func(a string) string {
			if seen[a] == "" {
				seen[a] = fmt.Sprintf("<%d>", len(seen))
			}
			return seen[a]
		})
		all = append(all, varying.ReplaceAllString(plain, "$1"))
	}
	return all
}

func hello(log *slog.Logger) service.Service {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		log.InfoContext(r.Context(), "of the handler")
		io.WriteString(w, "hello")
	})
	return service.Service{Name: "hello", Kind: service.Requests, Serve: service.HTTP(h, service.HTTPOptions{Logger: log})}
}

func TestRun_LogsWhatTheFrameworkDoes(t *testing.T) {
	for _, network := range []string{"tcp", "tls"} {
		var out bytes.Buffer // read when all is over
		log := slog.New(slogs.New(&out, &slogs.Options{Level: slogs.LevelObject}))
		o := service.Options{DrainWithin: time.Minute, Logger: log}
		at, url := socket.Address{Network: "tcp", Addr: "127.0.0.1:0"}, "http://"
		config := &tls.Config{}
		if network == "tls" {
			pair, trusting := identity(t)
			own, err := pair.TLS()
			if err != nil {
				t.Fatal(err)
			}
			o.Certificate, at.TLS, url, config = &own, true, "https://", trusting
		}
		r := startAt(t, at, hello(log), o)
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: config}}
		res, err := client.Get(url + r.addr + "/a?b=1")
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, res.Body)
		res.Body.Close()
		r.stop()
		if err := <-r.over; err != nil {
			t.Fatal(err)
		}
		got := events(t, out.String())
		// The end of a connection and that of the service come in any order.
		for i, one := range got {
			if one == "^ <1>hello stopping connections=1" {
				got[i] = "^ <1>hello stopping connections=0"
			}
			if one == "X <2>Connection Destroyed" && i+1 < len(got) && strings.Contains(got[i+1], "stopping") {
				got[i], got[i+1] = got[i+1], got[i]
			}
		}
		want := []string{
			"+ <1>hello Created by <process>",
			"^ <1>hello serving at",
			"+ <2>Connection Created by <1> peer",
			"< <1>hello Received HttpRequest from <2> method=GET uri=\"/a?b=1\"",
			"^ <1>hello of the handler",
			"> <1>hello Sent HttpResponse to <2> after",
			"^ <1>hello stopping connections=0",
			"X <2>Connection Destroyed",
			"X <1>hello Destroyed",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", network, diff)
		}
	}
}

func TestRun_IsQuietAboveItsLevel(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slogs.New(&out, &slogs.Options{Level: slogs.LevelWarning}))
	r := startAt(t, socket.Address{Network: "tcp", Addr: "127.0.0.1:0"}, hello(log), service.Options{Logger: log})
	if res, err := http.Get("http://" + r.addr); err != nil {
		t.Fatal(err)
	} else {
		res.Body.Close()
	}
	http.DefaultClient.CloseIdleConnections()
	r.stop()
	<-r.over
	if out.Len() > 0 {
		t.Errorf("got %s", out.String())
	}
}
