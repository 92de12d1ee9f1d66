package otlp

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/universal-server/become/ground/fault"
)

// Config says where spans go, and how. The zero value of a field but Endpoint means its default.
type Config struct {
	// Endpoint is the whole address, as in http://127.0.0.1:4318/v1/traces. Empty: nowhere.
	Endpoint string
	// Header is sent with each batch: a collector's key.
	Header http.Header
	// Timeout bounds one POST. Default 10 s.
	Timeout time.Duration
	// Gzip packs what is sent.
	Gzip bool
	// Certificate is a PEM file of who signs the collector's certificate. Default: those that the system trusts. ClientCertificate and
	// ClientKey are PEM files of what is shown to the collector. Default: nothing is.
	Certificate, ClientCertificate, ClientKey string
	// Queue bounds what waits.
	Queue QueueOptions
}

const opConfig = "send traces to"

// FromEnv reads the environment: getenv is os.Getenv. Endpoint is empty if it says that nothing is to be sent. warnings are what was passed
// over; the error, of kind fault.Invalid, is why nothing can be sent.
func FromEnv(getenv func(string) string) (c Config, warnings []string, err error) {
	e := env{getenv: getenv}
	if !e.wanted() {
		return Config{}, e.warnings, nil
	}
	if c.Endpoint, err = e.endpoint(); err != nil || c.Endpoint == "" {
		return Config{}, e.warnings, err
	}
	if protocol := e.either("PROTOCOL"); protocol != "" && protocol != "http/json" && protocol != "http/protobuf" {
		e.warn("traces are posted as JSON over HTTP, not by %q, to %s: a collector has HTTP at port 4318 most often", protocol, shown(c.Endpoint))
	}
	c.Header = e.header()
	c.Timeout = e.millis(e.either("TIMEOUT"), "OTEL_EXPORTER_OTLP_TIMEOUT")
	switch packed := e.either("COMPRESSION"); packed {
	case "", "none":
	case "gzip":
		c.Gzip = true
	default:
		e.warn("OTEL_EXPORTER_OTLP_COMPRESSION is %q, not gzip or none: traces are not compressed", packed)
	}
	c.Certificate, c.ClientCertificate, c.ClientKey = e.either("CERTIFICATE"), e.either("CLIENT_CERTIFICATE"), e.either("CLIENT_KEY")
	c.Queue = QueueOptions{
		Delay: e.bsp("SCHEDULE_DELAY"), Within: e.bsp("EXPORT_TIMEOUT"), Size: e.count("MAX_QUEUE_SIZE"), Batch: e.count("MAX_EXPORT_BATCH_SIZE"),
	}
	return c, e.warnings, nil
}

// env reads variables and notes what is wrong with them.
type env struct {
	getenv   func(string) string
	warnings []string
}

func (e *env) warn(format string, args ...any) {
	e.warnings = append(e.warnings, fmt.Sprintf(format, args...))
}

func (e *env) get(name string) string { return strings.TrimSpace(e.getenv(name)) }

// either is the variable for traces, or else that for all.
func (e *env) either(name string) string {
	if v := e.get("OTEL_EXPORTER_OTLP_TRACES_" + name); v != "" {
		return v
	}
	return e.get("OTEL_EXPORTER_OTLP_" + name)
}

// wanted says whether spans are to be made and sent at all.
func (e *env) wanted() bool {
	if strings.EqualFold(e.get("OTEL_SDK_DISABLED"), "true") {
		return false
	}
	for name := range strings.SplitSeq(e.get("OTEL_TRACES_EXPORTER"), ",") {
		switch strings.TrimSpace(name) {
		case "", "otlp":
			return true
		case "none":
			return false
		}
	}
	e.warn("OTEL_TRACES_EXPORTER is %q: there is otlp and none, so no traces are sent", e.get("OTEL_TRACES_EXPORTER"))
	return false
}

// endpoint is the whole address.
func (e *env) endpoint() (string, error) {
	name, suffix := "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", ""
	text := e.get(name)
	if text == "" {
		name, suffix = "OTEL_EXPORTER_OTLP_ENDPOINT", "v1/traces"
		text = e.get(name)
	}
	if text == "" {
		return "", nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return "", fault.Text(fault.Invalid, opConfig, fmt.Sprintf("%.200q", redacted(u, text)), "want an address as in http://127.0.0.1:4318").
			WithHint("it is the value of " + name)
	}
	if suffix != "" {
		u = u.JoinPath(suffix)
	} else if u.Path == "" {
		u.Path = "/"
	}
	return u.String(), nil
}

// shown is an address for people that is one.
func shown(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		u = nil
	}
	return redacted(u, address)
}

// redacted is an address for people: a password in it is no business of the log.
func redacted(u *url.URL, text string) string {
	if u != nil {
		return u.Redacted()
	}
	if i := strings.LastIndexByte(text, '@'); i >= 0 {
		return "..." + text[i:]
	}
	return text
}

// header reads name=value,name=value. Values are not told to the log: they are keys.
func (e *env) header() http.Header {
	h := http.Header{}
	for pair := range strings.SplitSeq(e.either("HEADERS"), ",") {
		if pair = strings.TrimSpace(pair); pair == "" {
			continue
		}
		name, value, ok := strings.Cut(pair, "=")
		name = strings.TrimSpace(name)
		value, err := url.PathUnescape(strings.TrimSpace(value))
		if !ok || err != nil || !token(name) || !fieldValue(value) {
			e.warn("OTEL_EXPORTER_OTLP_HEADERS: a header %.100q cannot be sent: want name=value,name=value", name)
			continue
		}
		h.Set(name, value)
	}
	return h
}

// token says whether a text is one of RFC 9110.
func token(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune("\"(),/:;<=>?@[\\]{}", r)
	})
}

func fieldValue(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}

func (e *env) bsp(name string) time.Duration {
	name = "OTEL_BSP_" + name
	return e.millis(e.get(name), name)
}

// millis reads a time; 0, which is the default, for none.
func (e *env) millis(text, name string) time.Duration {
	const most = 24 * 60 * 60 * 1000
	if text == "" {
		return 0
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n <= 0 {
		e.warn("%s is %.100q, not a number of milliseconds: the default holds", name, text)
		return 0
	}
	return time.Duration(min(n, most)) * time.Millisecond
}

// count reads a number of spans; 0, which is the default, for none.
func (e *env) count(name string) int {
	const most = 1 << 20
	name = "OTEL_BSP_" + name
	text := e.get(name)
	if text == "" {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil || n <= 0 {
		e.warn("%s is %.100q, not a number of spans: the default holds", name, text)
		return 0
	}
	return min(n, most)
}
