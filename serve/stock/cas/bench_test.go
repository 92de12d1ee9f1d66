package cas_test

import (
	"bufio"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/universal-server/become/serve/stock/cas"
)

func BenchmarkCAS(b *testing.B) {
	b.Run("one client", func(b *testing.B) { ask(b, casServer(b), 1) })
	b.Run("50 clients", func(b *testing.B) { ask(b, casServer(b), 50) })
	b.Run("one client of a bare line server", func(b *testing.B) { ask(b, bareServer(b), 1) })
	b.Run("50 clients of a bare line server", func(b *testing.B) { ask(b, bareServer(b), 50) })
	b.Run("pipelined", func(b *testing.B) {
		c := dial(b, casServer(b))
		const batch = 1000
		lines := []byte(strings.Repeat("0 1\n1 0\n", batch/2))
		b.ReportAllocs()
		b.ResetTimer()
		var wg sync.WaitGroup
		wg.Go(func() {
			for range (b.N + batch - 1) / batch {
				c.Write(lines)
			}
			c.CloseWrite()
		})
		n, err := io.Copy(io.Discard, c)
		wg.Wait()
		if want := int64((b.N + batch - 1) / batch * batch * len("0\n\r")); n != want || err != nil {
			b.Fatalf("got %d bytes, %v, want %d", n, err, want)
		}
		report(b)
	})
	b.Run("in memory", func(b *testing.B) {
		var reg cas.Register
		b.ReportAllocs()
		for i := uint64(0); b.Loop(); i++ {
			reg.Swap(cas.Uint(i), cas.Uint(i+1))
		}
		report(b)
	})
	b.Run("through Client by 50 goroutines", func(b *testing.B) {
		c := client(b, casServer(b))
		b.SetParallelism(25)
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := c.CAS(b.Context(), cas.Uint(0), cas.Uint(0)); err != nil {
					b.Error(err)
					return
				}
			}
		})
		report(b)
	})
}

func casServer(b *testing.B) string {
	addr, _ := start(b, nil)
	return addr
}

// bareServer answers each line with 0, by the least code that one would write.
func bareServer(b *testing.B) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				r := bufio.NewReader(c)
				for {
					if _, err := r.ReadSlice('\n'); err != nil {
						return
					}
					c.Write([]byte("0\n\r"))
				}
			}()
		}
	}()
	return ln.Addr().String()
}

func ask(b *testing.B, addr string, clients int) {
	conns := make([]net.Conn, clients)
	for i := range conns {
		conns[i] = dial(b, addr)
	}
	b.ReportAllocs()
	b.ResetTimer()
	var wg sync.WaitGroup
	for i, c := range conns {
		n := (b.N + i) / clients
		wg.Go(func() {
			line, reply := []byte("0 0\n"), make([]byte, 3)
			for range n {
				if _, err := c.Write(line); err != nil {
					b.Error(err)
					return
				}
				if _, err := io.ReadFull(c, reply); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	report(b)
}

func report(b *testing.B) {
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
}
