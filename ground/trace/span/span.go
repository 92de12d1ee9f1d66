package span

import (
	"context"
	"reflect"
	"strings"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	otrace "go.opentelemetry.io/otel/trace"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/trace"
)

// Kind says what a span is to others of its trace.
type Kind = otrace.SpanKind

// The kinds. Who is waited for is a Server of a Client; a Consumer does what a Producer has left to be done.
const (
	Internal = otrace.SpanKindInternal
	Server   = otrace.SpanKindServer
	Client   = otrace.SpanKindClient
	Producer = otrace.SpanKindProducer
	Consumer = otrace.SpanKindConsumer
)

// Scope is the name under which become makes its spans.
const Scope = "github.com/universal-server/become"

// unset is what OpenTelemetry has for a provider before anybody sets one; nil if a package was faster than this one.
var unset = func() otrace.TracerProvider {
	p := otel.GetTracerProvider()
	if t := reflect.TypeOf(p); t.Kind() == reflect.Pointer && strings.HasSuffix(t.Elem().PkgPath(), "otel/internal/global") {
		return p
	}
	return nil
}()

// On says whether somebody makes spans in this process: a provider is set.
func On() bool { return otel.GetTracerProvider() != unset }

// Span is a span that is open. Nil is none: its methods do nothing.
type Span struct{ s otrace.Span }

// Begin opens a span; it is nil, and the context the same, if nobody makes spans. End it.
func Begin(ctx context.Context, kind Kind, name string) (context.Context, *Span) {
	if !On() {
		return ctx, nil
	}
	if !otrace.SpanContextFromContext(ctx).IsValid() {
		ctx = At(ctx, trace.From(ctx))
	}
	ctx, s := otel.GetTracerProvider().Tracer(Scope).Start(ctx, name, otrace.WithSpanKind(kind))
	return ctx, &Span{s}
}

// At returns a context at a place in another process, whatever span is open in it: spans begun in it are that place's children. A
// place that is not valid changes nothing.
func At(ctx context.Context, place trace.Place) context.Context {
	switch {
	case !place.Valid():
		return ctx
	case On():
		return otrace.ContextWithRemoteSpanContext(ctx, place.SpanContext())
	}
	return trace.Mark(ctx, trace.RequestID(ctx), place)
}

// Recorded says whether anybody will see the span: if not, there is no use in telling it anything.
func (s *Span) Recorded() bool { return s != nil && s.s.IsRecording() }

// Name gives the span a better name than that it began with.
func (s *Span) Name(name string) {
	if s != nil {
		s.s.SetName(name)
	}
}

// Text notes an attribute that is a text, if it is not empty. It is cut at 2 KiB.
func (s *Span) Text(key, value string) {
	if s != nil && value != "" {
		s.s.SetAttributes(attribute.String(key, short(value)))
	}
}

// Number notes an attribute that is a number.
func (s *Span) Number(key string, value int) {
	if s != nil {
		s.s.SetAttributes(attribute.Int(key, value))
	}
}

// Note notes an error that does not decide how the span ended: one of several, or one that its door has a status for.
func (s *Span) Note(err error) {
	if s != nil && err != nil {
		s.s.AddEvent("exception", otrace.WithAttributes(
			attribute.String("exception.type", fault.KindOf(err).String()), attribute.String("exception.message", short(err.Error()))))
	}
}

// Fail says that what the span is of has failed, and why: error.type is kind.
func (s *Span) Fail(kind, text string) {
	if s != nil {
		s.s.SetStatus(codes.Error, short(text))
		s.s.SetAttributes(attribute.String("error.type", kind))
	}
}

// Failed is Fail with an error's kind and text, and notes it.
func (s *Span) Failed(err error) {
	if s != nil && err != nil {
		s.Note(err)
		s.Fail(fault.KindOf(err).String(), err.Error())
	}
}

// End closes the span, with what went wrong, if anything did.
func (s *Span) End(err error) {
	if s != nil {
		s.Failed(err)
		s.s.End()
	}
}

// Judge says how a request ended for its server, whose error, if there is one, was noted. What the client did wrong is no failure of the server.
func (s *Span) Judge(err error) {
	if s == nil || err == nil {
		return
	}
	switch kind := fault.KindOf(err); kind {
	case fault.Invalid, fault.NotFound, fault.Conflict, fault.Denied, fault.Canceled:
		s.Text("error.type", kind.String())
	default:
		s.Fail(kind.String(), err.Error())
	}
}

// Served closes the span of a request that a server has answered, see Judge.
func (s *Span) Served(err error) {
	if s != nil {
		s.Judge(err)
		s.s.End()
	}
}

// Of is the span that is open in a context, for those who did not begin it; nil for one that nobody will see.
func Of(ctx context.Context) *Span {
	if !On() {
		return nil
	}
	if s := otrace.SpanFromContext(ctx); s.IsRecording() {
		return &Span{s}
	}
	return nil
}

const maxText = 2 << 10

// short makes a text fit to be told: texts from outside may be long, or no texts at all.
func short(text string) string {
	if len(text) > maxText {
		text = text[:maxText]
	}
	return strings.ToValidUTF8(text, "\ufffd")
}
