package metrics

import (
	"runtime"
	"runtime/metrics"
)

// fromRuntime are figures of package runtime/metrics under the names of Prometheus' client for Go.
var fromRuntime = []struct{ key, name, kind, help string }{
	{"/sched/goroutines:goroutines", "go_goroutines", "gauge", "Goroutines that there are."},
	{"/sched/gomaxprocs:threads", "go_sched_gomaxprocs_threads", "gauge", "Threads that run Go code at once."},
	{"/memory/classes/heap/objects:bytes", "go_memstats_heap_alloc_bytes", "gauge", "Memory of objects on the heap."},
	{"/memory/classes/total:bytes", "go_memstats_sys_bytes", "gauge", "Memory that the runtime has from the system."},
	{"/gc/heap/allocs:bytes", "go_memstats_alloc_bytes_total", "counter", "Memory that was allocated, with what was freed again."},
	{"/gc/heap/allocs:objects", "go_memstats_mallocs_total", "counter", "Objects that were allocated."},
	{"/gc/heap/live:bytes", "go_gc_heap_live_bytes", "gauge", "Memory that the last collection found in use."},
	{"/gc/cycles/total:gc-cycles", "go_gc_cycles_total_gc_cycles_total", "counter", "Collections."},
	{"/cpu/classes/gc/total:cpu-seconds", "go_cpu_classes_gc_total_cpu_seconds_total", "counter", "Processor time of the collector, estimated."},
}

func (p *page) runtime() {
	samples := make([]metrics.Sample, len(fromRuntime))
	for i, one := range fromRuntime {
		samples[i].Name = one.key
	}
	metrics.Read(samples)
	for i, one := range fromRuntime {
		switch v := samples[i].Value; v.Kind() {
		case metrics.KindUint64:
			p.single(one.name, one.kind, one.help, float64(v.Uint64()))
		case metrics.KindFloat64:
			p.single(one.name, one.kind, one.help, v.Float64())
		}
	}
	p.head("go_info", "gauge", "The version of Go.")
	p.sample("go_info", label("version", runtime.Version()), 1)
}
