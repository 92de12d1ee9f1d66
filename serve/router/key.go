package router

import "bytes"

// finder looks for a key in what a client sends, line by line. It looks at each byte once.
type finder struct {
	policy  Policy
	at      int  // where the line begins
	seen    int  // up to where there is no end of it
	request bool // the request's first line was seen
}

// find returns the key, nil if there is none, and whether that is certain: b is all that was read so far,
// and ended says that nothing will follow.
func (f *finder) find(b []byte, ended bool) (key []byte, done bool) {
	for {
		i := bytes.IndexByte(b[f.seen:], '\n')
		if i < 0 {
			f.seen = len(b)
			if !ended {
				return nil, false
			}
			key, _ = f.line(b[f.at:])
			return key, true
		}
		end := f.seen + i
		line := b[f.at:end]
		f.at, f.seen = end+1, end+1
		if key, done = f.line(bytes.TrimSuffix(line, []byte("\r"))); done {
			return key, true
		}
	}
}

// line looks at one line.
func (f *finder) line(line []byte) (key []byte, done bool) {
	switch {
	case f.policy.by == "line":
		return notEmpty(line), true
	case !f.request: // empty lines may come before it (RFC 9112, section 2.2)
		f.request = len(line) > 0
		return nil, false
	case len(line) == 0:
		return nil, true
	}
	name, value, ok := bytes.Cut(line, []byte(":"))
	if !ok || !bytes.EqualFold(name, []byte(f.policy.header)) {
		return nil, false
	}
	return notEmpty(bytes.Trim(value, " \t")), true
}

func notEmpty(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return b
}
