package main

import (
	"maps"
	"strings"
	"testing"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/serve/role"
)

func TestSettings_AreChangedByPath(t *testing.T) {
	for _, c := range []struct {
		now  string
		wish settingsWish
		want string
	}{
		{``, settingsWish{words: []string{"greeting=hello", "limits.size=10", "on=true"}}, `{"greeting":"hello","limits":{"size":10},"on":true}`},
		{`{"code":"7","n":7}`, settingsWish{words: []string{"code=8", "n=8"}}, `{"code":"8","n":8}`},
		{`{"code":"7"}`, settingsWish{words: []string{`code="8"`}}, `{"code":"8"}`},
		{`{"n":12345678901234567890}`, settingsWish{words: []string{"m=98765432109876543210"}}, `{"m":98765432109876543210,"n":12345678901234567890}`},
		{`{"a":{"b":1,"c":2}}`, settingsWish{unset: []string{"a.b", "x.y"}}, `{"a":{"c":2}}`},
		{`{"a":1}`, settingsWish{unset: []string{"a"}}, ``},
		{`{"a":1}`, settingsWish{reset: true, words: []string{"b={}"}}, `{"b":{}}`},
		{`{"a":1}`, settingsWish{whole: map[string]any{"c": 3}, words: []string{"b=a b"}}, `{"b":"a b","c":3}`},
	} {
		for range 2 { // somebody else was faster
			got, err := c.wish.apply([]byte(c.now))
			if err != nil || string(got) != c.want {
				t.Errorf("%s, %+v: got %s, %v", c.now, c.wish, got, err)
			}
		}
	}
}

func TestSettings_WhatMakesNoSenseIsRefused(t *testing.T) {
	for now, w := range map[string]settingsWish{
		`{"a":1}`: {words: []string{"a.b=1"}},
		`[1]`:     {words: []string{"a=1"}},
		``:        {words: []string{"a=" + strings.Repeat("x", maxSettings)}},
	} {
		if got, err := w.apply([]byte(now)); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: got %.50s, %v", now, got, err)
		}
	}
}

func TestOverlay_PutsGivenInThePlaceOfTheProgramsOwn(t *testing.T) {
	all, err := jsonObject([]byte(`{"greeting":"hello","limits":{"size":10,"rate":1.50},"names":["world"],"empty":{}}`))
	if err != nil {
		t.Fatal(err)
	}
	given, err := jsonObject([]byte(`{"limits":{"size":12345678901234567890},"names":[],"more":{"a":{"b":"<&>"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	overlay(all, given)
	got := map[string]string{}
	spread(got, "", all)
	want := map[string]string{
		"greeting": `"hello"`, "limits.size": "12345678901234567890", "limits.rate": "1.50", "names": "[]", "empty": "{}", "more.a.b": `"<&>"`,
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// What --json prints is taken again as what was given, what --dump-settings prints as a whole.
func TestUnwrapped_FindsTheSettingsOfADocument(t *testing.T) {
	for text, want := range map[string]string{
		`{"value":{"a":1,"b":2},"given":{"b":2}}`: `{"b":2}`,
		`{"value":{"a":1}}`:                       `{"a":1}`,
		`{"value":1}`:                             `{"value":1}`,
		`{"value":{"a":1},"other":2}`:             `{"other":2,"value":{"a":1}}`,
		`{"a":1}`:                                 `{"a":1}`,
	} {
		whole, err := jsonObject([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if got := string(mustJSON(unwrapped(whole))); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}

// Who is overtaken while he waits hears by what, and where to look.
func TestOvertaken_SaysByWhat(t *testing.T) {
	want := role.Role{Name: "crunch", Now: role.Edition{Number: 3}}
	if err := overtaken(want, want); err != nil {
		t.Errorf("as it was wanted: %v", err)
	}
	now := role.Role{Name: "crunch", Now: role.Edition{Number: 4}}
	err := overtaken(want, now)
	if fault.KindOf(err) != fault.Conflict || !strings.Contains(err.Error(), "overtaken by a newer change") {
		t.Errorf("a newer one: %v", err)
	}
	now.Report = "not that"
	if err := overtaken(want, now); !strings.Contains(err.Error(), "not that") {
		t.Errorf("taken back: %v", err)
	}
}
