package micro

import "testing"

func TestOpened_AnswersWithAndWithoutEnvelopes(t *testing.T) {
	for text, want := range map[string]struct {
		name, value string
		ok          bool
	}{
		`{"value":["crunch.Output",{"value":3.375},[]]}`:      {"crunch.Output", `{"value":3.375}`, true},
		`{ "value" : [ "a.B" , [1, 2] , [] ], "version": 1 }`: {"a.B", "[1, 2]", true},
		`{"value":["a\u0062",null,[]]}` + "\n":                {"ab", "null", true},
		`{"value":["a",1]}`:                                   {"", `{"value":["a",1]}`, true},
		`{"value":["a",1,[],2]}`:                              {"", `{"value":["a",1,[],2]}`, true},
		`{"value":[1,2,[]]}`:                                  {"", `{"value":[1,2,[]]}`, true},
		`{"value":3}`:                                         {"", `{"value":3}`, true},
		`{"value":["a", 1 ,[]]}`:                              {"a", "1", true},
		`{"value":["a",1,2,[]]}`:                              {"", `{"value":["a",1,2,[]]}`, true},
		`{"value":["a",,[]]}`:                                 {"", `{"value":["a",,[]]}`, false},
		`17`:                                                  {"", "17", true},
		`{"value":["a",1,[]]`:                                 {"", `{"value":["a",1,[]]`, false},
		`{"value":["a",1,[]]}x`:                               {"", `{"value":["a",1,[]]}x`, false},
		``:                                                    {"", "", false},
	} {
		a, ok := opened([]byte(text))
		if ok != want.ok || a.Type != want.name || string(a.Value) != want.value {
			t.Errorf("%s: got %q, %s, %v", text, a.Type, a.Value, ok)
		}
	}
}

// FuzzOpened checks that the quick way and the long one agree.
func FuzzOpened(f *testing.F) {
	f.Add([]byte(`{"value":["crunch.Output",{"value":3.375},[]]}`))
	f.Add([]byte(`{"value":["a",1,[],2]}`))
	f.Add([]byte(`{"value":["",{} ,[]]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if a, ok := ours(data); ok {
			long, _ := opened(append([]byte(" "), data...))
			if a.Type != long.Type || string(a.Value) != string(long.Value) {
				t.Errorf("%q: got %q, %s, want %q, %s", data, a.Type, a.Value, long.Type, long.Value)
			}
		}
	})
}
