//go:build linux || darwin

package cas_test

import (
	"bufio"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/universal-server/become/keep/register"
	"github.com/universal-server/become/serve/stock/cas"
)

// In front of each kind of register, and beside the least that a server could do.
func BenchmarkCAS(b *testing.B) {
	for name, server := range map[string]func(*testing.B) string{
		"memory": casServer, "file": fileServer, "owner": ownedServer, "bare": bareServer,
	} {
		b.Run(name+"/one client", func(b *testing.B) { ask(b, server(b), 1) })
		b.Run(name+"/50 clients", func(b *testing.B) { ask(b, server(b), 50) })
		b.Run(name+"/pipelined", func(b *testing.B) { pipeline(b, server(b)) })
	}
	b.Run("register alone", func(b *testing.B) {
		var reg register.Memory
		ops := make([]register.Op, 1)
		b.ReportAllocs()
		for i := uint64(0); b.Loop(); i++ {
			ops[0] = register.Op{Old: register.Uint(i), New: register.Uint(i + 1)}
			reg.Swap(b.Context(), ops)
		}
		report(b)
	})
	b.Run("through Client by 50 goroutines", func(b *testing.B) {
		c := client(b, casServer(b))
		b.SetParallelism(25)
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := c.CAS(b.Context(), register.Uint(0), register.Uint(0)); err != nil {
					b.Error(err)
					return
				}
			}
		})
		report(b)
	})
}

func pipeline(b *testing.B, addr string) {
	c := dial(b, addr)
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
}

func fileServer(b *testing.B) string {
	return shared(b, "file:"+filepath.Join(b.TempDir(), "r"), "")
}

func ownedServer(b *testing.B) string {
	s, err := cas.ReadSettings([]byte(ownedRegister(b)))
	if err != nil {
		b.Fatal(err)
	}
	return shared(b, s.Register, s.Token)
}

func shared(b *testing.B, address, token string) string {
	reg, err := register.Open(b.Context(), address, token)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { reg.Close() })
	addr, _ := start(b, &cas.Options{Register: reg})
	return addr
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
