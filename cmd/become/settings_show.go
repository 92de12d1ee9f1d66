package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/universal-server/become/ground/bundle"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/serve/role"
	"github.com/universal-server/become/serve/stock"
)

// shownSettings are a service's settings: those that it was given over the program's own.
type shownSettings struct {
	// Value is all of them, Given what was given.
	Value map[string]any `json:"value"`
	Given map[string]any `json:"given"`
}

// showSettings prints the settings that a service has.
func (a *app) showSettings(ctx context.Context, s *session, r role.Role) error {
	own, err := factoryOf(ctx, s, r.Now)
	if err != nil {
		return err
	}
	var shown shownSettings
	if shown.Given, err = jsonObject(r.Now.Spec.Settings); err == nil {
		shown.Value, err = jsonObject(own)
	}
	if err != nil {
		return fault.New(fault.Internal, "read settings", r.Name, err)
	}
	overlay(shown.Value, shown.Given)
	if a.json {
		return a.printJSON(shown)
	}
	if len(own) == 0 {
		fmt.Fprintf(a.err, "become: the program of %s has no settings of its own, or does not say which\n", r.Name)
	}
	if len(shown.Value) == 0 {
		return nil
	}
	factory, err := jsonObject(own)
	if err != nil {
		return err
	}
	return a.settingsTable(shown, factory, r.Now.Stock != "").flush()
}

// settingsTable lists single values. The flags of a stock server give all of its settings, those too that they do not change.
func (a *app) settingsTable(shown shownSettings, factory map[string]any, isStock bool) *table {
	all, given, own := map[string]string{}, map[string]string{}, map[string]string{}
	spread(all, "", shown.Value)
	spread(given, "", shown.Given)
	spread(own, "", factory)
	t := newTable(a.out, "SETTING", "VALUE", "FROM")
	for _, key := range slices.Sorted(maps.Keys(all)) {
		from := "program"
		if _, is := given[key]; is && (!isStock || all[key] != own[key]) {
			from = "given"
		}
		t.row(key, cut(all[key], settingWidth), from)
	}
	return t
}

// settingWidth is how much of a value has room in the table.
const settingWidth = 100

// factoryOf returns the settings that what an edition runs has by itself; nil if it has none, or nobody knows.
func factoryOf(ctx context.Context, s *session, e role.Edition) (json.RawMessage, error) {
	if e.Stock != "" {
		if server, ok := stock.Find(e.Stock); ok {
			return server.Factory()
		}
		return nil, nil
	}
	m, err := s.Bundles().Manifest(ctx, e.Digest)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(m.Services, func(one bundle.Service) bool { return one.Name == e.Spec.Service })
	if e.Spec.Service == "" && len(m.Services) == 1 {
		i = 0
	}
	if i < 0 {
		return nil, nil
	}
	return m.Services[i].Settings, nil
}

// overlay puts what is given in the place of what is there, in structs within structs too.
func overlay(all, given map[string]any) {
	for key, value := range given {
		inner, isStruct := value.(map[string]any)
		was, wasStruct := all[key].(map[string]any)
		if isStruct && wasStruct {
			overlay(was, inner)
			continue
		}
		all[key] = value
	}
}

// spread lists single values by their paths, as JSON.
func spread(all map[string]string, path string, fields map[string]any) {
	for name, value := range fields {
		at := strings.TrimPrefix(path+"."+name, ".")
		if inner, ok := value.(map[string]any); ok && len(inner) > 0 {
			spread(all, at, inner)
			continue
		}
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		if e.Encode(value) == nil {
			all[at] = strings.TrimSpace(b.String())
		}
	}
}
