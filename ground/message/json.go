package message

import (
	"bytes"
	"errors"
	"io"
	"math/big"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// ParseJSON reads one JSON value as a tree, for DecodeTree and for other formats: whole numbers are int64, uint64 or *big.Int, others
// float64, members in their order. The error is Problems.
func ParseJSON(data []byte) (any, error) {
	d := jsontext.NewDecoder(bytes.NewReader(data))
	tree, err := parseJSON(d, 0)
	if err != nil {
		return nil, err
	}
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, failed("something follows the value")
	}
	return tree, nil
}

func parseJSON(d *jsontext.Decoder, depth int) (any, error) {
	if depth > maxDepth {
		return nil, failed("it is nested more than 100 levels deep")
	}
	tok, err := d.ReadToken()
	if err != nil {
		return nil, failed("not JSON: %v", err)
	}
	switch tok.Kind() {
	case '{':
		return parseMembers(d, depth)
	case '[':
		return parseElements(d, depth)
	case '"':
		return tok.String(), nil
	case '0':
		return parseNumber(tok.String())
	case 't', 'f':
		return tok.Bool(), nil
	}
	return nil, nil
}

func parseMembers(d *jsontext.Decoder, depth int) (any, error) {
	all := Object{}
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			return nil, failed("not JSON: %v", err)
		}
		text := name.String()
		value, err := parseJSON(d, depth+1)
		if err != nil {
			return nil, at(err, text)
		}
		all = append(all, Member{text, value})
	}
	_, err := d.ReadToken()
	return all, err
}

func parseElements(d *jsontext.Decoder, depth int) (any, error) {
	all := []any{}
	for d.PeekKind() != ']' {
		value, err := parseJSON(d, depth+1)
		if err != nil {
			return nil, at(err, "["+strconv.Itoa(len(all))+"]")
		}
		all = append(all, value)
	}
	_, err := d.ReadToken()
	return all, err
}

func parseNumber(text string) (any, error) {
	if strings.ContainsAny(text, ".eE") {
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, failed("%s is out of range", text)
		}
		return f, nil
	}
	if i, err := strconv.ParseInt(text, 10, 64); err == nil {
		return i, nil
	}
	if u, err := strconv.ParseUint(text, 10, 64); err == nil {
		return u, nil
	}
	if len(text) > maxDigits {
		return nil, failed("a number must have at most %d digits", maxDigits)
	}
	n, _ := new(big.Int).SetString(text, 10)
	return n, nil
}
