package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/universal-server/become/ground/fault"
)

// apply makes new settings of those of now.
func (w settingsWish) apply(now json.RawMessage) (json.RawMessage, error) {
	all, err := jsonObject(now)
	if err != nil {
		return nil, fault.New(fault.Invalid, "change settings", "", err)
	}
	if w.reset {
		all = map[string]any{}
	}
	if w.whole != nil {
		if all, err = jsonObject(mustJSON(w.whole)); err != nil { // a copy: it may be applied twice
			return nil, err
		}
	}
	for _, key := range w.unset {
		if err := change(all, key, nil); err != nil {
			return nil, err
		}
	}
	for _, word := range slices.Concat(w.words, w.texts) {
		key, text, _ := strings.Cut(word, "=")
		if err := change(all, key, &text); err != nil {
			return nil, err
		}
	}
	if len(all) == 0 {
		return nil, nil
	}
	data, err := json.Marshal(all)
	if err == nil && len(data) > maxSettings {
		err = fault.Text(fault.Invalid, "change settings", "", fmt.Sprintf("%d bytes, the limit is %d", len(data), maxSettings))
	}
	return data, err
}

func mustJSON(v map[string]any) json.RawMessage {
	data, err := json.Marshal(v)
	if err != nil { // it came from JSON
		return nil
	}
	return data
}

// jsonObject reads a JSON object, numbers as they are written; nothing is an empty one.
func jsonObject(data []byte) (map[string]any, error) {
	all := map[string]any{}
	if len(data) == 0 {
		return all, nil
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(&all); err != nil {
		if bad, ok := errors.AsType[*json.SyntaxError](err); ok {
			return nil, fault.Text(fault.Invalid, "", "", fmt.Sprintf("they are not JSON, see byte %d: %v", bad.Offset, bad))
		}
		return nil, fault.Text(fault.Invalid, "", "", "they are no JSON object")
	}
	if d.More() {
		return nil, fault.Text(fault.Invalid, "", "", "something follows the JSON object")
	}
	if all == nil {
		all = map[string]any{}
	}
	return all, nil
}

// change sets the value at a path, or removes it when text is nil.
func change(all map[string]any, key string, text *string) error {
	path := strings.Split(key, ".")
	for i, name := range path[:len(path)-1] {
		inner, ok := all[name].(map[string]any)
		if !ok && all[name] != nil {
			return fault.Text(fault.Invalid, "change settings", key, strings.Join(path[:i+1], ".")+" has nothing in it")
		}
		if !ok && text == nil {
			return nil
		}
		if !ok {
			inner = map[string]any{}
			all[name] = inner
		}
		all = inner
	}
	last := path[len(path)-1]
	if text == nil {
		delete(all, last)
		return nil
	}
	all[last] = settingOf(*text, all[last])
	return nil
}

// settingOf reads a value as JSON, or else as a text. What was a text stays one, unless it is quoted now.
func settingOf(text string, was any) any {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil || d.More() {
		return text
	}
	_, quoted := v.(string)
	if _, isText := was.(string); isText && !quoted {
		return text
	}
	return v
}

// wholeFile reads a file, or standard input for "-", of at most so many bytes.
func (a *app) wholeFile(path string, most int64) ([]byte, error) {
	in := a.in
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, most+1))
	if err == nil && int64(len(data)) > most {
		err = fault.Text(fault.Invalid, "", "", fmt.Sprintf("it has more than %d bytes", most))
	}
	return data, err
}
