package otlp_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/trace/otlp"
)

func environment(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

const (
	general = "OTEL_EXPORTER_OTLP_ENDPOINT"
	special = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
)

func TestFromEnv_AddressesAreThoseOfTheSpecification(t *testing.T) {
	for _, test := range []struct{ general, special, want string }{
		{"http://127.0.0.1:4318", "", "http://127.0.0.1:4318/v1/traces"},
		{"http://127.0.0.1:4318/", "", "http://127.0.0.1:4318/v1/traces"},
		{"https://collector/mycollector/", "", "https://collector/mycollector/v1/traces"},
		{"https://collector/mycollector", "", "https://collector/mycollector/v1/traces"},
		{" http://[::1]:4318 ", "", "http://[::1]:4318/v1/traces"},
		{"http://other:4318", "https://collector:4318", "https://collector:4318/"},
		{"", "http://collector/my/traces", "http://collector/my/traces"},
		{"", "", ""},
	} {
		c, warnings, err := otlp.FromEnv(environment(general, test.general, special, test.special))
		if err != nil || c.Endpoint != test.want || len(warnings) > 0 {
			t.Errorf("%q and %q: got %q, %v, %v", test.general, test.special, c.Endpoint, warnings, err)
		}
	}
}

func TestFromEnv_ABadAddressIsAnError(t *testing.T) {
	for _, bad := range []string{"127.0.0.1:4318", "localhost", "grpc://host:4317", "http://", "http://:4318", "unix:/x", "http://a b", "%", "http://u:secret@h:x"} {
		c, _, err := otlp.FromEnv(environment(general, bad))
		if fault.KindOf(err) != fault.Invalid || err == nil || c.Endpoint != "" || !strings.Contains(fault.Hint(err), general) {
			t.Errorf("%q: got %q, %v", bad, c.Endpoint, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("the password is told: %v", err)
		}
	}
}

func TestFromEnv_ReadsAllThatIsThere(t *testing.T) {
	c, warnings, err := otlp.FromEnv(environment(
		general, "http://h:4318", "OTEL_EXPORTER_OTLP_HEADERS", "other=x", "OTEL_EXPORTER_OTLP_TRACES_HEADERS", "Authorization=Bearer%20k, x-scope = a=b ,",
		"OTEL_EXPORTER_OTLP_TIMEOUT", "1500", "OTEL_EXPORTER_OTLP_COMPRESSION", "gzip", "OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf",
		"OTEL_EXPORTER_OTLP_CERTIFICATE", "ca.pem", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "c.pem", "OTEL_EXPORTER_OTLP_CLIENT_KEY", "k.pem",
		"OTEL_BSP_SCHEDULE_DELAY", "100", "OTEL_BSP_EXPORT_TIMEOUT", "200", "OTEL_BSP_MAX_QUEUE_SIZE", "7", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "3",
		"OTEL_TRACES_EXPORTER", "otlp",
	))
	want := otlp.Config{
		Endpoint: "http://h:4318/v1/traces", Header: http.Header{"Authorization": {"Bearer k"}, "X-Scope": {"a=b"}}, Timeout: 1500 * time.Millisecond,
		Gzip: true, Certificate: "ca.pem", ClientCertificate: "c.pem", ClientKey: "k.pem",
		Queue: otlp.QueueOptions{Delay: 100 * time.Millisecond, Within: 200 * time.Millisecond, Size: 7, Batch: 3},
	}
	if diff := cmp.Diff(want, c); diff != "" || err != nil || len(warnings) > 0 {
		t.Errorf("%v, %v\n%s", warnings, err, diff)
	}
}

func TestFromEnv_CanBeTurnedOff(t *testing.T) {
	for _, off := range [][2]string{{"OTEL_SDK_DISABLED", "True"}, {"OTEL_TRACES_EXPORTER", "none"}} {
		if c, warnings, err := otlp.FromEnv(environment(general, "http://h:4318", off[0], off[1])); c.Endpoint != "" || err != nil || len(warnings) > 0 {
			t.Errorf("%v: got %+v, %v, %v", off, c, warnings, err)
		}
	}
}

func TestFromEnv_WarnsOfWhatItPassesOver(t *testing.T) {
	for _, test := range []struct{ name, value, want string }{
		{"OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", `not by "grpc", to http://h:4317/v1/traces`},
		{"OTEL_EXPORTER_OTLP_TIMEOUT", "10s", "milliseconds"},
		{"OTEL_BSP_SCHEDULE_DELAY", "-1", "milliseconds"},
		{"OTEL_BSP_MAX_QUEUE_SIZE", "many", "number of spans"},
		{"OTEL_EXPORTER_OTLP_COMPRESSION", "zstd", "zstd"},
		{"OTEL_EXPORTER_OTLP_HEADERS", "no value", "no value"},
		{"OTEL_EXPORTER_OTLP_HEADERS", "x=%0a", `"x"`},
		{"OTEL_TRACES_EXPORTER", "zipkin", "zipkin"},
	} {
		_, warnings, err := otlp.FromEnv(environment(general, "http://h:4317", test.name, test.value))
		if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], test.want) {
			t.Errorf("%s=%s: got %q, %v", test.name, test.value, warnings, err)
		}
	}
}

func FuzzFromEnv(f *testing.F) {
	f.Add("http://127.0.0.1:4318", "a=b,c=%20", "10")
	f.Add("https://u:p@h/%zz", "=,=", "99999999999999999999")
	f.Fuzz(func(t *testing.T, endpoint, headers, number string) {
		c, _, err := otlp.FromEnv(environment(general, endpoint, "OTEL_EXPORTER_OTLP_HEADERS", headers, "OTEL_EXPORTER_OTLP_TIMEOUT", number, "OTEL_BSP_MAX_QUEUE_SIZE", number))
		if err != nil || c.Endpoint == "" {
			return
		}
		if c.Timeout < 0 || c.Queue.Size < 0 || c.Queue.Size > 1<<20 {
			t.Errorf("got %+v", c)
		}
		if _, err := http.NewRequest(http.MethodPost, c.Endpoint, nil); err != nil {
			t.Errorf("%q becomes %q: %v", endpoint, c.Endpoint, err)
		}
	})
}
