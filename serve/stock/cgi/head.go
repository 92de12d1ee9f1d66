package cgi

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
)

// head is the header of a script's answer.
type head struct {
	status int
	fields http.Header
	local  string // the path that the server is to ask for itself, or ""
}

// errNoHead says that a script's output ended before its header.
var errNoHead = errors.New("its output ended before the header was complete")

// readHead reads header lines until the empty one (RFC 3875, section 6). The errors of r are
// returned as they are, but for its end.
func readHead(r *bufio.Reader, limit int) (head, error) {
	h := head{fields: http.Header{}}
	status := ""
	for {
		line, err := readLine(r, &limit)
		if err != nil {
			return head{}, err
		}
		if len(line) == 0 {
			break
		}
		name, value, err := field(line)
		switch {
		case err != nil:
			return head{}, err
		case name == "Status" && status != "":
			return head{}, errors.New("it has two Status fields")
		case name == "Status":
			status = value
		case !unpassedBack[name]:
			h.fields.Add(name, value)
		}
	}
	return h, h.finish(status)
}

// readLine reads a line without its end, which is "\n" or "\r\n", and takes it off the limit.
func readLine(r *bufio.Reader, limit *int) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		if *limit -= len(part); *limit < 0 {
			return nil, errors.New("its header is too long")
		}
		line = append(line, part...)
		switch {
		case err == nil:
			return bytes.TrimSuffix(line[:len(line)-1], []byte("\r")), nil
		case errors.Is(err, io.EOF):
			return nil, errNoHead
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		}
	}
}

// field reads "Name: value".
func field(line []byte) (name, value string, err error) {
	before, after, ok := bytes.Cut(line, []byte(":"))
	if !ok || len(before) == 0 || bytes.IndexFunc(before, func(c rune) bool { return !token(c) }) >= 0 {
		return "", "", fmt.Errorf("it begins with a line that is no header field: %.60q", line)
	}
	value = strings.Trim(string(after), " \t")
	if strings.ContainsFunc(value, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }) {
		return "", "", fmt.Errorf("its header field %s has a control character: %.60q", before, value)
	}
	return textproto.CanonicalMIMEHeaderKey(string(before)), value, nil
}

// token says whether a character may be in a field's name (RFC 9110, section 5.6.2).
func token(c rune) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || strings.ContainsRune("!#$%&'*+-.^_`|~", c)
}

// unpassedBack are fields about the connection, which is the server's.
var unpassedBack = map[string]bool{
	"Connection": true, "Keep-Alive": true, "Proxy-Connection": true, "Te": true, "Trailer": true,
	"Transfer-Encoding": true, "Upgrade": true,
}

// finish settles what kind of answer it is.
func (h *head) finish(status string) error {
	location := h.fields.Get("Location")
	switch {
	case status != "":
		code, _, _ := strings.Cut(status, " ")
		n, err := strconv.Atoi(code)
		if err != nil || len(code) != 3 || n < 200 || n > 599 {
			return fmt.Errorf("its Status is %.60q", status)
		}
		h.status = n
	case strings.HasPrefix(location, "/") && !strings.HasPrefix(location, "//") && len(h.fields) == 1:
		h.local = location
	case location != "":
		h.status = http.StatusFound
	case h.fields.Get("Content-Type") == "":
		return errors.New("its header has neither Content-Type, Status nor Location")
	default:
		h.status = http.StatusOK
	}
	if l := h.fields["Content-Length"]; l != nil {
		if _, err := strconv.ParseUint(l[0], 10, 63); err != nil || len(l) > 1 {
			return fmt.Errorf("its Content-Length is %.60q", strings.Join(l, ", "))
		}
	}
	return nil
}
