package main

import (
	"strings"
	"testing"

	"github.com/universal-server/become/ground/fault"
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
