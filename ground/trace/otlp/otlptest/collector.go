package otlptest

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"

	common "go.opentelemetry.io/proto/otlp/common/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"
)

// Path is where spans are posted.
const Path = "/v1/traces"

// Span is one that was posted.
type Span struct {
	*trace.Span
	Service  string // of whom, service.name
	Resource map[string]string
	Words    map[string]string // its attributes, as texts
	Header   http.Header       // that it came with
}

// Is says whether it is the span of that name and kind: "SERVER", "CLIENT".
func (s Span) Is(kind, name string) bool {
	return s.Name == name && s.Kind.String() == "SPAN_KIND_"+kind
}

// Under says whether it is a child of another.
func (s Span) Under(parent Span) bool {
	return bytes.Equal(s.ParentSpanId, parent.SpanId) && bytes.Equal(s.TraceId, parent.TraceId)
}

// Collector takes traces. The zero value is ready. mu guards what is below it.
type Collector struct {
	mu     sync.Mutex
	spans  []Span
	errs   []error
	change chan struct{} // closed when a POST has come
}

// ServeHTTP takes what is posted.
func (c *Collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	spans, err := Read(r)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.change != nil {
		close(c.change)
		c.change = nil
	}
	if err != nil {
		c.errs = append(c.errs, err)
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c.spans = append(c.spans, spans...)
	w.Header().Set("Content-Type", "application/json")
	io.WriteString(w, "{}")
}

// Spans are all that have come, in their order.
func (c *Collector) Spans() []Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.spans)
}

// Errors are what was posted and is no ExportTraceServiceRequest.
func (c *Collector) Errors() []error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.errs)
}

// Wait returns the spans once they are what is waited for; the error is ctx's, or that of a POST that was none.
func (c *Collector) Wait(ctx context.Context, there func([]Span) bool) ([]Span, error) {
	for {
		c.mu.Lock()
		spans, errs := slices.Clone(c.spans), c.errs
		if c.change == nil {
			c.change = make(chan struct{})
		}
		change := c.change
		c.mu.Unlock()
		switch {
		case len(errs) > 0:
			return spans, errs[0]
		case there(spans):
			return spans, nil
		}
		select {
		case <-change:
		case <-ctx.Done():
			return spans, ctx.Err()
		}
	}
}

// Read reads what an exporter posts.
func Read(r *http.Request) ([]Span, error) {
	switch {
	case r.Method != http.MethodPost || r.URL.Path != Path:
		return nil, fmt.Errorf("%s %s, want POST %s", r.Method, r.URL.Path, Path)
	case r.Header.Get("Content-Type") != "application/json":
		return nil, fmt.Errorf("the content's type is %q", r.Header.Get("Content-Type"))
	}
	var body io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(body)
		if err != nil {
			return nil, err
		}
		body = z
	}
	data, err := io.ReadAll(body)
	if err != nil {
		return nil, err
	}
	spans, err := Decode(data)
	for i := range spans {
		spans[i].Header = r.Header
	}
	return spans, err
}

// Decode reads an ExportTraceServiceRequest in OTLP's JSON.
func Decode(data []byte) ([]Span, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var tree any
	if err := d.Decode(&tree); err != nil {
		return nil, err
	}
	if err := encodeIDs(tree); err != nil {
		return nil, err
	}
	plain, err := json.Marshal(tree)
	if err != nil {
		return nil, err
	}
	// TracesData has the same fields, with the same numbers, as ExportTraceServiceRequest, and links no gRPC.
	var all trace.TracesData
	if err := protojson.Unmarshal(plain, &all); err != nil {
		return nil, err
	}
	var spans []Span
	for _, of := range all.ResourceSpans {
		resource := words(of.Resource.GetAttributes())
		for _, by := range of.ScopeSpans {
			for _, s := range by.Spans {
				spans = append(spans, Span{Span: s, Service: resource["service.name"], Resource: resource, Words: words(s.Attributes)})
			}
		}
	}
	return spans, nil
}

// encodeIDs turns ids from hexadecimal, which OTLP wants, to base64, which protobuf has for bytes.
func encodeIDs(tree any) error {
	lengths := map[string]int{"traceId": 16, "spanId": 8, "parentSpanId": 8}
	switch v := tree.(type) {
	case []any:
		for _, one := range v {
			if err := encodeIDs(one); err != nil {
				return err
			}
		}
	case map[string]any:
		for name, one := range v {
			length, is := lengths[name]
			if !is {
				if err := encodeIDs(one); err != nil {
					return err
				}
				continue
			}
			text, _ := one.(string)
			id, err := hex.DecodeString(text)
			if err != nil || len(id) != length {
				return fmt.Errorf("%s is %v", name, one)
			}
			v[name] = base64.StdEncoding.EncodeToString(id)
		}
	}
	return nil
}

// words are attributes as texts.
func words(all []*common.KeyValue) map[string]string {
	out := map[string]string{}
	for _, kv := range all {
		text := protojson.Format(kv.Value)
		switch v := kv.Value.GetValue().(type) {
		case *common.AnyValue_StringValue:
			text = v.StringValue
		case *common.AnyValue_IntValue:
			text = fmt.Sprint(v.IntValue)
		case *common.AnyValue_BoolValue:
			text = fmt.Sprint(v.BoolValue)
		case *common.AnyValue_DoubleValue:
			text = fmt.Sprint(v.DoubleValue)
		}
		out[kv.Key] = text
	}
	return out
}

// Tree is the spans for people: each under its parent, with its kind and whom it is of, in the order of their beginnings.
func Tree(spans []Span) string {
	spans = slices.Clone(spans)
	slices.SortFunc(spans, func(a, b Span) int { return int(int64(a.StartTimeUnixNano) - int64(b.StartTimeUnixNano)) })
	var b strings.Builder
	var tell func(depth int, s Span)
	tell = func(depth int, s Span) {
		kind := strings.ToLower(strings.TrimPrefix(s.Kind.String(), "SPAN_KIND_"))
		fmt.Fprintf(&b, "%s%s (%s, %s)\n", strings.Repeat("  ", depth), s.Name, kind, s.Service)
		for _, child := range spans {
			if child.Under(s) {
				tell(depth+1, child)
			}
		}
	}
	for _, s := range spans {
		if !slices.ContainsFunc(spans, func(parent Span) bool { return s.Under(parent) }) {
			tell(0, s)
		}
	}
	return b.String()
}
