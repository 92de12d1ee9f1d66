package otlp

import (
	"encoding/json"
	"math"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Encode writes spans as an ExportTraceServiceRequest, in OTLP's JSON encoding. Texts that are no UTF-8 are repaired.
func Encode(spans []sdk.ReadOnlySpan) ([]byte, error) { return json.Marshal(requestOf(spans)) }

// requestOf groups spans by what they are of, and by who made them.
func requestOf(spans []sdk.ReadOnlySpan) *request {
	type place struct {
		of *resourceSpans
		by instrumentation.Scope
	}
	q := &request{ResourceSpans: []*resourceSpans{}}
	ofs := map[attribute.Distinct]*resourceSpans{}
	bys := map[place]*scopeSpans{}
	for _, s := range spans {
		if s == nil {
			continue
		}
		key := s.Resource().Equivalent()
		of := ofs[key]
		if of == nil {
			of = resourceSpansOf(s.Resource())
			ofs[key] = of
			q.ResourceSpans = append(q.ResourceSpans, of)
		}
		at := place{of, s.InstrumentationScope()}
		by := bys[at]
		if by == nil {
			by = &scopeSpans{
				Scope:     scope{clean(at.by.Name), clean(at.by.Version), keyValues(at.by.Attributes.ToSlice())},
				SchemaURL: clean(at.by.SchemaURL),
			}
			bys[at] = by
			of.ScopeSpans = append(of.ScopeSpans, by)
		}
		by.Spans = append(by.Spans, spanOf(s))
	}
	return q
}

func resourceSpansOf(r *resource.Resource) *resourceSpans {
	return &resourceSpans{Resource: resourceOf{keyValues(r.Attributes())}, SchemaURL: clean(r.SchemaURL())}
}

// The flags of a span beside those of W3C: whether its parent is of another process, and whether that is known.
const (
	remoteKnown = 0x100
	remote      = 0x200
)

func flags(own, parent trace.SpanContext) uint32 {
	f := uint32(own.TraceFlags()) | remoteKnown
	if parent.IsRemote() {
		f |= remote
	}
	return f
}

func spanOf(s sdk.ReadOnlySpan) *span {
	c := s.SpanContext()
	out := &span{
		TraceID: c.TraceID().String(), SpanID: c.SpanID().String(), TraceState: c.TraceState().String(), Flags: flags(c, s.Parent()),
		Name: clean(s.Name()), Kind: int(s.SpanKind()), Start: nanos(s.StartTime()), End: nanos(s.EndTime()),
		Attributes: keyValues(s.Attributes()), DroppedAttributes: s.DroppedAttributes(),
		DroppedEvents: s.DroppedEvents(), DroppedLinks: s.DroppedLinks(), Status: statusOf(s.Status()),
	}
	if s.Parent().SpanID().IsValid() {
		out.ParentSpanID = s.Parent().SpanID().String()
	}
	for _, e := range s.Events() {
		out.Events = append(out.Events, event{nanos(e.Time), clean(e.Name), keyValues(e.Attributes), e.DroppedAttributeCount})
	}
	for _, l := range s.Links() {
		to := l.SpanContext
		out.Links = append(out.Links, link{
			TraceID: to.TraceID().String(), SpanID: to.SpanID().String(), TraceState: to.TraceState().String(),
			Attributes: keyValues(l.Attributes), Dropped: l.DroppedAttributeCount, Flags: flags(to, to),
		})
	}
	return out
}

// nanos is a moment as OTLP has it: what was before 1970 is not.
func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return max(0, t.UnixNano())
}

// statusOf gives the numbers of OTLP, which are not those of the SDK.
func statusOf(s sdk.Status) *status {
	switch s.Code {
	case codes.Ok:
		return &status{Code: 1}
	case codes.Error:
		return &status{Message: clean(s.Description), Code: 2}
	}
	return nil
}

func keyValues(all []attribute.KeyValue) []keyValue {
	out := make([]keyValue, 0, len(all))
	for _, kv := range all {
		out = append(out, keyValue{clean(string(kv.Key)), valueOf(kv.Value)})
	}
	return out
}

func valueOf(v attribute.Value) value {
	switch v.Type() {
	case attribute.BOOL:
		return boolean(v.AsBool())
	case attribute.INT64:
		return whole(v.AsInt64())
	case attribute.FLOAT64:
		return number(v.AsFloat64())
	case attribute.STRING:
		return text(v.AsString())
	case attribute.BYTESLICE:
		b := v.AsByteSlice()
		return value{Bytes: &b}
	case attribute.MAP:
		return value{Map: &list{keyValues(v.AsMap())}}
	case attribute.SLICE:
		return arrayOf(v.AsSlice(), valueOf)
	case attribute.BOOLSLICE:
		return arrayOf(v.AsBoolSlice(), boolean)
	case attribute.INT64SLICE:
		return arrayOf(v.AsInt64Slice(), whole)
	case attribute.FLOAT64SLICE:
		return arrayOf(v.AsFloat64Slice(), number)
	case attribute.STRINGSLICE:
		return arrayOf(v.AsStringSlice(), text)
	}
	return value{}
}

func boolean(b bool) value { return value{Bool: &b} }

func whole(n int64) value { return value{Int: &n} }

func text(s string) value {
	s = clean(s)
	return value{String: &s}
}

// number is a float64; what JSON has no number for goes by its name in protobuf's JSON.
func number(f float64) value {
	switch {
	case math.IsNaN(f):
		return value{Double: "NaN"}
	case math.IsInf(f, 1):
		return value{Double: "Infinity"}
	case math.IsInf(f, -1):
		return value{Double: "-Infinity"}
	}
	return value{Double: f}
}

func arrayOf[T any](all []T, one func(T) value) value {
	a := &array{}
	for _, v := range all {
		a.Values = append(a.Values, one(v))
	}
	return value{Array: a}
}

func clean(s string) string { return strings.ToValidUTF8(s, "\ufffd") }
