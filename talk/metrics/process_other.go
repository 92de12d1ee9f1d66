//go:build !linux

package metrics

// process has nothing to say where there is no proc(5).
func (p *page) process() {}
