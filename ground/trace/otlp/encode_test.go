package otlp_test

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	proto "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/universal-server/become/ground/trace/otlp"
	"github.com/universal-server/become/ground/trace/otlp/otlptest"
)

var (
	traceID = trace.TraceID{1, 2, 3, 0xfe, 0xff}
	begun   = time.Unix(1_700_000_000, 123)
)

func place(id byte, remote bool) trace.SpanContext {
	state, _ := trace.ParseTraceState("a=1,b=2")
	return trace.NewSpanContext(trace.SpanContextConfig{TraceID: traceID, SpanID: trace.SpanID{id}, TraceFlags: trace.FlagsSampled, TraceState: state, Remote: remote})
}

// stub has all that a span can have.
func stub() tracetest.SpanStub {
	return tracetest.SpanStub{
		Name: "POST /Multiply", SpanContext: place(1, false), Parent: place(2, true), SpanKind: trace.SpanKindServer,
		StartTime: begun, EndTime: begun.Add(time.Second),
		Attributes: []attribute.KeyValue{
			attribute.String("text", "quote \" é <&>"), attribute.String("broken", "\xff!"), attribute.String("empty", ""),
			attribute.Bool("bool", false), attribute.Int64("whole", math.MinInt64), attribute.Float64("number", 0.1),
			attribute.Float64("nan", math.NaN()), attribute.Float64("inf", math.Inf(-1)),
			attribute.StringSlice("texts", []string{"a", ""}), attribute.Int64Slice("wholes", []int64{1}), attribute.BoolSlice("bools", []bool{true}),
			attribute.Float64Slice("numbers", []float64{math.Inf(1)}), attribute.ByteSlice("bytes", []byte{0, 0xff}),
		},
		Events: []sdk.Event{{Name: "exception", Time: begun, Attributes: []attribute.KeyValue{attribute.Int("n", 1)}, DroppedAttributeCount: 3}},
		Links:  []sdk.Link{{SpanContext: place(3, true), Attributes: []attribute.KeyValue{attribute.Int("n", 2)}}},
		Status: sdk.Status{Code: codes.Error, Description: "division by zero"}, DroppedAttributes: 4, DroppedEvents: 5, DroppedLinks: 6,
		Resource:             resource.NewSchemaless(attribute.String("service.name", "crunch")),
		InstrumentationScope: instrumentation.Scope{Name: "scope", Version: "1"},
	}
}

func word(key string, v *common.AnyValue) *common.KeyValue {
	return &common.KeyValue{Key: key, Value: v}
}

func text(s string) *common.AnyValue {
	return &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: s}}
}

func whole(n int64) *common.AnyValue {
	return &common.AnyValue{Value: &common.AnyValue_IntValue{IntValue: n}}
}

func number(f float64) *common.AnyValue {
	return &common.AnyValue{Value: &common.AnyValue_DoubleValue{DoubleValue: f}}
}

func boolean(b bool) *common.AnyValue {
	return &common.AnyValue{Value: &common.AnyValue_BoolValue{BoolValue: b}}
}

func array(all ...*common.AnyValue) *common.AnyValue {
	return &common.AnyValue{Value: &common.AnyValue_ArrayValue{ArrayValue: &common.ArrayValue{Values: all}}}
}

// want is what the official schema makes of stub.
func want() *proto.Span {
	id := func(n byte) []byte { return []byte{n, 0, 0, 0, 0, 0, 0, 0} }
	return &proto.Span{
		TraceId: traceID[:], SpanId: id(1), ParentSpanId: id(2), TraceState: "a=1,b=2", Flags: 0x301, Name: "POST /Multiply",
		Kind: proto.Span_SPAN_KIND_SERVER, StartTimeUnixNano: 1_700_000_000_000_000_123, EndTimeUnixNano: 1_700_000_001_000_000_123,
		Attributes: []*common.KeyValue{
			word("text", text("quote \" é <&>")), word("broken", text("\ufffd!")), word("empty", text("")),
			word("bool", boolean(false)), word("whole", whole(math.MinInt64)), word("number", number(0.1)),
			word("nan", number(math.NaN())), word("inf", number(math.Inf(-1))),
			word("texts", array(text("a"), text(""))), word("wholes", array(whole(1))), word("bools", array(boolean(true))),
			word("numbers", array(number(math.Inf(1)))),
			word("bytes", &common.AnyValue{Value: &common.AnyValue_BytesValue{BytesValue: []byte{0, 0xff}}}),
		},
		Events: []*proto.Span_Event{{TimeUnixNano: 1_700_000_000_000_000_123, Name: "exception", Attributes: []*common.KeyValue{word("n", whole(1))}, DroppedAttributesCount: 3}},
		Links:  []*proto.Span_Link{{TraceId: traceID[:], SpanId: id(3), TraceState: "a=1,b=2", Attributes: []*common.KeyValue{word("n", whole(2))}, Flags: 0x301}},
		Status: &proto.Status{Message: "division by zero", Code: proto.Status_STATUS_CODE_ERROR}, DroppedAttributesCount: 4, DroppedEventsCount: 5, DroppedLinksCount: 6,
	}
}

func TestEncode_IsWhatTheOfficialSchemaSays(t *testing.T) {
	data, err := otlp.Encode(tracetest.SpanStubs{stub()}.Snapshots())
	if err != nil {
		t.Fatal(err)
	}
	got, err := otlptest.Decode(data)
	if err != nil || len(got) != 1 || got[0].Service != "crunch" {
		t.Fatalf("got %v, %v of %s", got, err, data)
	}
	if diff := cmp.Diff(want(), got[0].Span, protocmp.Transform(), cmpopts.EquateNaNs()); diff != "" {
		t.Error(diff)
	}
}

func TestEncode_GroupsSpansByWhoMadeThem(t *testing.T) {
	a, b, c := stub(), stub(), stub()
	b.InstrumentationScope.Name = "other"
	c.Resource = resource.NewSchemaless(attribute.String("service.name", "other"))
	c.Status, c.Parent = sdk.Status{Code: codes.Ok}, trace.SpanContext{}
	data, err := otlp.Encode(tracetest.SpanStubs{a, b, c, a}.Snapshots())
	if err != nil {
		t.Fatal(err)
	}
	got, err := otlptest.Decode(data)
	if err != nil || len(got) != 4 {
		t.Fatalf("got %d spans, %v", len(got), err)
	}
	var services []string
	for _, s := range got {
		services = append(services, s.Service)
	}
	if diff := cmp.Diff([]string{"crunch", "crunch", "crunch", "other"}, services); diff != "" {
		t.Error(diff)
	}
	if last := got[3]; last.Status.GetCode() != proto.Status_STATUS_CODE_OK || len(last.ParentSpanId) != 0 || last.Flags != 0x101 {
		t.Errorf("got %v", last)
	}
	if empty, err := otlp.Encode(nil); err != nil || string(empty) != `{"resourceSpans":[]}` {
		t.Errorf("got %s, %v of no spans", empty, err)
	}
}

func FuzzEncode(f *testing.F) {
	f.Add("name", "key", "value", 0.5, int64(-1))
	f.Fuzz(func(t *testing.T, name, key, value string, number float64, whole int64) {
		s := stub()
		s.Name, s.Status.Description = name, value
		s.Attributes = []attribute.KeyValue{attribute.String(key, value), attribute.Float64("number", number), attribute.Int64("whole", whole)}
		data, err := otlp.Encode(tracetest.SpanStubs{s}.Snapshots())
		if err != nil {
			t.Fatal(err)
		}
		got, err := otlptest.Decode(data)
		if err != nil || len(got) != 1 || got[0].Words["whole"] == "" {
			t.Fatalf("got %v, %v of %s", got, err, data)
		}
	})
}
