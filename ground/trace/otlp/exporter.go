package otlp

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	sdk "go.opentelemetry.io/otel/sdk/trace"

	"github.com/universal-server/become/ground/fault"
)

// Exporter posts spans to a collector. It is a SpanExporter of OpenTelemetry's SDK, and to be called by one goroutine, as that promises.
type Exporter struct {
	config Config
	name   string // of the collector, for people: its address without a password
	client *http.Client
	logger *slog.Logger
	away   bool      // the collector did not take the last that was posted, and the log says so
	toldAt time.Time // when the log was told last what a collector says that takes all
}

var _ sdk.SpanExporter = (*Exporter)(nil)

// maxAnswer bounds what is read of a collector's answer. Unit: bytes.
const maxAnswer = 64 << 10

// NewExporter returns an exporter. fault.Invalid for files that are no certificates. The logger, which may be nil, is told
// when the collector goes away and comes back, and what it says otherwise, once a minute at most.
func NewExporter(c Config, logger *slog.Logger) (*Exporter, error) {
	if c.Timeout <= 0 {
		c.Timeout = 10 * time.Second
	}
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	secure, err := c.tls()
	if err != nil {
		return nil, fault.New(fault.Invalid, opConfig, shown(c.Endpoint), err)
	}
	return &Exporter{config: c, name: shown(c.Endpoint), logger: logger, client: &http.Client{
		Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: secure, MaxIdleConns: 2, IdleConnTimeout: 90 * time.Second},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

func (c *Config) tls() (*tls.Config, error) {
	out := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.Certificate != "" {
		pem, err := os.ReadFile(c.Certificate)
		if err != nil {
			return nil, err
		}
		if out.RootCAs = x509.NewCertPool(); !out.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate", c.Certificate)
		}
	}
	if c.ClientCertificate != "" || c.ClientKey != "" {
		pair, err := tls.LoadX509KeyPair(c.ClientCertificate, c.ClientKey)
		if err != nil {
			return nil, err
		}
		out.Certificates = []tls.Certificate{pair}
	}
	return out, nil
}

// The pauses between tries, when the collector says nothing of it.
const (
	firstPause = 500 * time.Millisecond
	longPause  = 5 * time.Second
)

// ExportSpans posts a batch, and tries again while that may help, until ctx ends. The error is or wraps a *Rejected when a part was taken.
func (e *Exporter) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	if len(spans) == 0 {
		return nil
	}
	body, err := e.body(spans)
	if err != nil {
		return fault.New(fault.Internal, opConfig, e.name, err)
	}
	for pause := firstPause; ; pause = min(2*pause, longPause) {
		err := e.post(ctx, body)
		again, ok := errors.AsType[*againError](err)
		if errors.Is(ctx.Err(), context.Canceled) { // our own end, and nothing that the collector has done
			return err
		}
		e.note(again)
		if !ok {
			return err
		}
		wait := pause/2 + rand.N(pause/2)
		if again.after > 0 {
			wait = again.after
		}
		if ctx.Value(onceKey{}) != nil || !sleep(ctx, wait) {
			return again.error
		}
	}
}

// note logs that the collector is away, and that it is back.
func (e *Exporter) note(again *againError) {
	switch away := again != nil; {
	case away && !e.away:
		e.logger.Warn("the collector of traces does not take them now", "err", again.error)
	case !away && e.away:
		e.logger.Info("the collector of traces takes them again", "endpoint", e.name)
	}
	e.away = again != nil
}

// onceKey is in the context of a batch that is not to be tried again: the last ones.
type onceKey struct{}

// Shutdown lets go of the connections.
func (e *Exporter) Shutdown(context.Context) error {
	e.client.CloseIdleConnections()
	return nil
}

func (e *Exporter) body(spans []sdk.ReadOnlySpan) ([]byte, error) {
	body, err := Encode(spans)
	if err != nil || !e.config.Gzip {
		return body, err
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	z.Write(body)
	err = z.Close()
	return packed.Bytes(), err
}

// againError is the error of what may succeed later.
type againError struct {
	error
	after time.Duration // 0: nobody said when
}

func (e *againError) Unwrap() error { return e.error }

// post tries once.
func (e *Exporter) post(ctx context.Context, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, e.config.Timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, e.config.Endpoint, bytes.NewReader(body))
	if err != nil {
		return fault.New(fault.Invalid, opConfig, e.name, err)
	}
	for name, values := range e.config.Header {
		r.Header[name] = values
	}
	if host := e.config.Header.Get("Host"); host != "" {
		r.Host = host
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "become")
	if e.config.Gzip {
		r.Header.Set("Content-Encoding", "gzip")
	}
	res, err := e.client.Do(r)
	if err != nil {
		return &againError{error: fault.New(fault.Lost, opConfig, e.name, fault.Reason(err))}
	}
	defer res.Body.Close()
	answer, _ := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	return e.answered(res, answer)
}

// answered says what an answer means.
func (e *Exporter) answered(res *http.Response, answer []byte) error {
	if res.StatusCode/100 == 2 {
		return e.accepted(answer)
	}
	text := res.Status
	if said := said(res, answer); said != "" {
		text += ": " + said
	}
	err := fault.Text(fault.Remote, opConfig, e.name, text)
	switch res.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return &againError{err, retryAfter(res.Header.Get("Retry-After"), time.Now())}
	}
	return err
}

// Rejected is the error of a batch of which a collector has taken only a part. It is not worth another try.
type Rejected struct {
	Spans   int    // how many it has not taken
	Message string // why, in its words; may be empty
}

func (r *Rejected) Error() string {
	text := fmt.Sprintf("the collector has not taken %d spans", r.Spans)
	if r.Message != "" {
		text += ": " + r.Message
	}
	return text
}

// accepted says what a collector that took a batch has not taken of it. What else it says is logged.
func (e *Exporter) accepted(answer []byte) error {
	var partial struct {
		PartialSuccess struct {
			RejectedSpans json.RawMessage `json:"rejectedSpans"` // a number, or a text of one
			ErrorMessage  string          `json:"errorMessage"`
		} `json:"partialSuccess"`
	}
	if json.Unmarshal(answer, &partial) != nil {
		return nil
	}
	p := partial.PartialSuccess
	rejected, _ := strconv.ParseInt(strings.Trim(string(p.RejectedSpans), `"`), 10, 32)
	message := readable(p.ErrorMessage)
	if rejected > 0 {
		return fault.New(fault.Remote, opConfig, e.name, &Rejected{int(rejected), message})
	}
	if message != "" && (e.toldAt.IsZero() || time.Since(e.toldAt) >= tellEvery) {
		e.toldAt = time.Now()
		e.logger.Warn("the collector of traces has something to say", "endpoint", e.name, "message", message)
	}
	return nil
}

// said is the text in a refusal: a google.rpc.Status in JSON, or a text.
func said(res *http.Response, answer []byte) string {
	var status struct{ Message string }
	if json.Unmarshal(answer, &status) == nil && status.Message != "" {
		return readable(status.Message)
	}
	if strings.HasPrefix(res.Header.Get("Content-Type"), "text/plain") {
		return readable(string(answer))
	}
	return ""
}

// readable makes one short line of what a collector says.
func readable(text string) string {
	text = strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "\ufffd"))), " ")
	if r := []rune(text); len(r) > 200 {
		text = string(r[:200]) + "..."
	}
	return text
}

// retryAfter reads the header field: seconds, or a date. 0 if there is none.
func retryAfter(text string, now time.Time) time.Duration {
	const most = 24 * time.Hour
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n >= 0 {
		return min(time.Duration(min(n, int64(most/time.Second)))*time.Second, most)
	}
	if at, err := http.ParseTime(text); err == nil {
		return min(max(0, at.Sub(now)), most)
	}
	return 0
}

// sleep returns false when ctx ends before the time is over: at once if that is known.
func sleep(ctx context.Context, d time.Duration) bool {
	if end, ok := ctx.Deadline(); ok && time.Until(end) < d {
		return false
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
