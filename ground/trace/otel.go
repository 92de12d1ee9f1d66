package trace

import (
	"context"

	otel "go.opentelemetry.io/otel/trace"
)

// From is the place in a trace that a context is of: that of the OpenTelemetry span that is open in it, else where it came from. Not
// valid for none.
func From(ctx context.Context) Place {
	if s := otel.SpanContextFromContext(ctx); s.IsValid() {
		return OfSpan(s)
	}
	if m := of(ctx); m != nil {
		return m.place
	}
	return Place{}
}

// OfSpan is the place of an OpenTelemetry span. A tracestate longer than what Parse takes is left out.
func OfSpan(s otel.SpanContext) Place {
	p := Place{Trace: s.TraceID(), Span: s.SpanID(), Flags: byte(s.TraceFlags())}
	if state := s.TraceState(); state.Len() > 0 {
		if text := state.String(); len(text) <= maxState {
			p.State = text
		}
	}
	return p
}

// SpanContext is the place as OpenTelemetry has it, of a span of another process. A tracestate that breaks the standard's rules is left out.
func (p Place) SpanContext() otel.SpanContext {
	c := otel.SpanContextConfig{TraceID: p.Trace, SpanID: p.Span, TraceFlags: otel.TraceFlags(p.Flags), Remote: true}
	if p.State != "" {
		if state, err := otel.ParseTraceState(p.State); err == nil {
			c.TraceState = state
		}
	}
	return otel.NewSpanContext(c)
}
