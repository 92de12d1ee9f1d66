package js_test

import (
	"context"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"github.com/universal-server/become/work/engine"
	"github.com/universal-server/become/work/engine/js"
	"github.com/universal-server/become/work/engine/js/prepare"
)

func BenchmarkInvoke(b *testing.B) {
	for name, format := range map[string]engine.Format{"cbor": engine.CBOR, "json": engine.JSON} {
		b.Run(name, func(b *testing.B) {
			script, err := prepare.Expression("(n) => n * n")
			if err != nil {
				b.Fatal(err)
			}
			f := lookup(b, open(b, string(script), nil), "default")
			ctx, cancel := context.WithCancel(b.Context())
			defer cancel()
			in := []byte{12}
			if format == engine.JSON {
				in = []byte("12")
			}
			var out []byte
			b.ReportAllocs()
			for b.Loop() {
				if out, err = f.Invoke(ctx, format, in, out[:0]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkInvoke_Records(b *testing.B) {
	f := lookup(b, open(b, `exports.f = list => list`, nil), "f")
	var records []map[string]any
	for i := range 1000 {
		records = append(records, map[string]any{"id": i, "name": "name", "price": 1.5, "tags": []string{"a", "b"}})
	}
	in, _ := cbor.Marshal(records)
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		if _, err := f.Invoke(b.Context(), engine.CBOR, in, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	script, err := prepare.Expression("(n) => n * n")
	if err != nil {
		b.Fatal(err)
	}
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			js.Open(script, nil)
		}
	})
	b.Run("first call", func(b *testing.B) {
		for b.Loop() {
			e, err := js.Open(script, nil)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := invokeIn(b.Context(), lookup(b, e, "default"), "12"); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("prepare", func(b *testing.B) {
		for b.Loop() {
			prepare.Expression("(n) => n * n")
		}
	})
}
