// Package metrics counts what an API does, and says it in Prometheus' text format.
//
//	door → API → [Metrics] → GET /metrics → Prometheus
//
// The format is version 0.0.4 of https://prometheus.io/docs/instrumenting/exposition_formats/. There are:
//
//	become_api_requests_total{request,outcome}       answers; outcome is ok, or the error's kind as in package fault
//	become_api_request_duration_seconds{request}     histogram of what clients waited for a handler's answer
//	become_api_requests_in_flight{request}           handlers that run
//	become_api_sessions                              clients that are connected by a session
//	go_…, process_…                                  a choice of those of Prometheus' own client for Go, by its names
//
// A request that is refused before it comes to a handler is in the first only; one for which there is no handler has the name "". Those of
// a resource are named as in traces, GET /notes/{id}, whatever the id. A handler that is late counts as deadline when its client is told
// so, and is in flight until it returns.
//
// # Several processes
//
// The figures are those of one process. When several serve one port, a scrape meets any of them: Options.Process gives all series a
// label that tells them apart. Each process's counters are whole then, if with gaps, and a sum of rates is right
// when its window holds a few scrapes of each process: sum by (request) (rate(become_api_requests_total[5m])).
//
// # Guarantees
//
//   - Counting takes no lock and no memory, and what can be scraped is bounded: by the requests and the kinds of errors.
//   - What is scraped is consistent: a histogram's count is the sum of its buckets.
//
// # A first program
//
//	m := metrics.New(nil)
//	a, err := api.New("crunch", handlers, &api.Options{Meter: m})
//	if err != nil {
//		return err
//	}
//	m.Cover(a)
//	http.Handle("/metrics", m)
package metrics
