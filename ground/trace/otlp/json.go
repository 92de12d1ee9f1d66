package otlp

// The messages of opentelemetry/proto/collector/trace/v1/trace_service.proto and those within, in the JSON encoding of OTLP: ids in
// hexadecimal, 64-bit numbers as texts, enumerations as numbers, names in lowerCamelCase.

type request struct {
	ResourceSpans []*resourceSpans `json:"resourceSpans"`
}

type resourceSpans struct {
	Resource   resourceOf    `json:"resource"`
	ScopeSpans []*scopeSpans `json:"scopeSpans"`
	SchemaURL  string        `json:"schemaUrl,omitempty"`
}

type resourceOf struct {
	Attributes []keyValue `json:"attributes,omitempty"`
}

type scopeSpans struct {
	Scope     scope   `json:"scope"`
	Spans     []*span `json:"spans"`
	SchemaURL string  `json:"schemaUrl,omitempty"`
}

type scope struct {
	Name       string     `json:"name,omitempty"`
	Version    string     `json:"version,omitempty"`
	Attributes []keyValue `json:"attributes,omitempty"`
}

type span struct {
	TraceID           string     `json:"traceId"`
	SpanID            string     `json:"spanId"`
	TraceState        string     `json:"traceState,omitempty"`
	ParentSpanID      string     `json:"parentSpanId,omitempty"`
	Flags             uint32     `json:"flags,omitempty"`
	Name              string     `json:"name"`
	Kind              int        `json:"kind,omitempty"`
	Start             int64      `json:"startTimeUnixNano,string"`
	End               int64      `json:"endTimeUnixNano,string"`
	Attributes        []keyValue `json:"attributes,omitempty"`
	DroppedAttributes int        `json:"droppedAttributesCount,omitempty"`
	Events            []event    `json:"events,omitempty"`
	DroppedEvents     int        `json:"droppedEventsCount,omitempty"`
	Links             []link     `json:"links,omitempty"`
	DroppedLinks      int        `json:"droppedLinksCount,omitempty"`
	Status            *status    `json:"status,omitempty"`
}

type event struct {
	Time       int64      `json:"timeUnixNano,string"`
	Name       string     `json:"name,omitempty"`
	Attributes []keyValue `json:"attributes,omitempty"`
	Dropped    int        `json:"droppedAttributesCount,omitempty"`
}

type link struct {
	TraceID    string     `json:"traceId"`
	SpanID     string     `json:"spanId"`
	TraceState string     `json:"traceState,omitempty"`
	Attributes []keyValue `json:"attributes,omitempty"`
	Dropped    int        `json:"droppedAttributesCount,omitempty"`
	Flags      uint32     `json:"flags,omitempty"`
}

type status struct {
	Message string `json:"message,omitempty"`
	Code    int    `json:"code,omitempty"`
}

type keyValue struct {
	Key   string `json:"key"`
	Value value  `json:"value"`
}

// value has one field at most; none for an empty value.
type value struct {
	String *string `json:"stringValue,omitempty"`
	Bool   *bool   `json:"boolValue,omitempty"`
	Int    *int64  `json:"intValue,omitempty,string"`
	Double any     `json:"doubleValue,omitempty"` // a number, or the name of what JSON has not
	Array  *array  `json:"arrayValue,omitempty"`
	Map    *list   `json:"kvlistValue,omitempty"`
	Bytes  *[]byte `json:"bytesValue,omitempty"` // base64, unlike ids
}

type array struct {
	Values []value `json:"values,omitempty"`
}

type list struct {
	Values []keyValue `json:"values,omitempty"`
}
