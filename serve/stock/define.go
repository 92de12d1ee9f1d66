package stock

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/message"
	"github.com/universal-server/become/serve/manners"
	"github.com/universal-server/become/serve/service"
)

// definition is a server with settings of type S, a message. Fields with the tag arg are arguments, the
// others flags; times with the tag some must not be zero.
type definition[S any] struct {
	Server
	kind service.Kind
	// manners are its own limits; those of who runs it go first.
	manners manners.Manners
	// arguments sets the fields that are arguments. Default: there are none.
	arguments func(s *S, args []string) error
	// local makes relative paths absolute.
	local func(s *S, abs func(string) string)
	// valid checks what tags cannot say, and no machine is asked for.
	valid func(s *S) error
	// try says whether it could start here and now.
	try func(s *S) error
	// serve serves.
	serve func(ctx context.Context, sockets service.Sockets, s *S, env Env) error
}

// server is the definition for all who do not know the type.
func (d definition[S]) server() Server {
	t, err := message.Of(reflect.TypeFor[S]())
	s := d.Server
	if err != nil { // a test calls all of this
		s.settings = func(Words) (json.RawMessage, error) { return nil, err }
		s.check = func(json.RawMessage) error { return err }
		s.service = func(Env) service.Service { return service.Service{Name: s.Name} }
		return s
	}
	b := built[S]{d, t}
	s.Flags = b.flags()
	s.settings, s.check, s.service = b.settings, b.check, b.service
	return s
}

// built is a definition with its message type.
type built[S any] struct {
	definition[S]
	t *message.Type
}

// has says whether a field of S, by its path, is an argument, and whether it is a list.
func (b built[S]) has(path string) (arg, list bool) {
	for _, f := range reflect.VisibleFields(reflect.TypeFor[S]()) {
		if message.Snake(f.Name) == path {
			return f.Tag.Get("arg") != "", f.Type.Kind() == reflect.Slice
		}
	}
	return false, false
}

func (b built[S]) flags() []Flag {
	var preset S
	v := reflect.ValueOf(&preset).Elem()
	b.t.Preset(v)
	var out []Flag
	for _, leaf := range b.t.Leaves() {
		arg, list := b.has(leaf.Path)
		if arg {
			continue
		}
		f := Flag{Name: strings.ReplaceAll(leaf.Path, "_", "-"), Doc: leaf.Doc, Kind: leaf.Kind, List: list}
		if text, err := leaf.Get(v); err == nil && !slices.Contains([]string{"0", `""`, "null", "[]", "false", `"0s"`}, text) {
			f.Default = strings.Trim(text, `"`)
		}
		out = append(out, f)
	}
	return out
}

func (b built[S]) settings(w Words) (json.RawMessage, error) {
	s, err := b.words(w)
	if err != nil {
		return nil, invalid(err)
	}
	if b.local != nil {
		b.local(s, w.abs)
	}
	data, err := b.t.Append(nil, reflect.ValueOf(s).Elem())
	if err != nil {
		return nil, invalid(err)
	}
	s, err = b.read(data)
	if err == nil && b.valid != nil {
		err = b.valid(s)
	}
	return data, err
}

// words sets what a command line says.
func (b built[S]) words(w Words) (*S, error) {
	if len(w.Settings) > 0 {
		if len(w.Args) > 0 || len(w.Flags) > 0 {
			return nil, errors.New("all settings are given as JSON: no other arguments go with them")
		}
		return b.read(w.Settings)
	}
	s := new(S)
	v := reflect.ValueOf(s).Elem()
	b.t.Preset(v)
	for _, leaf := range b.t.Leaves() {
		name := strings.ReplaceAll(leaf.Path, "_", "-")
		values := w.Flags[name]
		if len(values) == 0 {
			continue
		}
		text := values[len(values)-1]
		if _, list := b.has(leaf.Path); list {
			data, err := json.Marshal(values)
			if err != nil {
				return nil, err
			}
			text = string(data)
		}
		if err := leaf.Set(v, text); err != nil {
			return nil, fmt.Errorf("--%s: %w", name, plain(err))
		}
	}
	switch {
	case b.arguments != nil:
		return s, b.arguments(s, w.Args)
	case len(w.Args) > 0:
		return nil, tooMuch(w.Args[0])
	}
	return s, nil
}

// plain is a problem without its path, which the flag says.
func plain(err error) error {
	if p, ok := errors.AsType[message.Problems](err); ok && len(p) == 1 {
		return errors.New(p[0].Text)
	}
	return err
}

// read reads complete settings, or those that differ from the defaults.
func (b built[S]) read(data []byte) (*S, error) {
	if len(data) == 0 {
		data = []byte("{}")
	}
	s := new(S)
	v := reflect.ValueOf(s).Elem()
	if err := b.t.Decode(data, v); err != nil {
		return nil, invalid(err)
	}
	for _, f := range reflect.VisibleFields(v.Type()) {
		d, ok := v.FieldByIndex(f.Index).Interface().(time.Duration)
		switch {
		case !ok:
		case d < 0:
			return nil, invalid(fmt.Errorf("%s: must not be below zero", message.Snake(f.Name)))
		case d == 0 && f.Tag.Get("some") != "":
			return nil, invalid(fmt.Errorf("%s: must be above zero", message.Snake(f.Name)))
		}
	}
	return s, nil
}

func (b built[S]) check(data json.RawMessage) error {
	s, err := b.read(data)
	if err == nil {
		err = b.try(s)
	}
	return err
}

func (b built[S]) service(env Env) service.Service {
	var s *S
	configure := func(data json.RawMessage) (err error) {
		s, err = b.read(data)
		return err
	}
	return service.Service{
		Name: b.Name, Kind: b.kind, Manners: b.manners, Configure: configure,
		Factory: func() (json.RawMessage, error) {
			v := reflect.New(reflect.TypeFor[S]()).Elem()
			b.t.Preset(v)
			return b.t.Append(nil, v)
		},
		Serve: func(ctx context.Context, sockets service.Sockets) error {
			if s == nil {
				if err := configure(nil); err != nil {
					return err
				}
			}
			return b.serve(ctx, sockets, s, env)
		},
	}
}

// invalid is an error about settings.
func invalid(err error) error {
	if fault.KindOf(err) == fault.Invalid {
		return err
	}
	return fault.New(fault.Invalid, "", "", err)
}
