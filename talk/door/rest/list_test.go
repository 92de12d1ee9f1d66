package rest_test

import (
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/universal-server/become/keep/collection"
	"github.com/universal-server/become/talk/door/rest"
)

func TestCollection_ComesInPages(t *testing.T) {
	c := serve(t, new(collection.Memory[Note]), &rest.Options{MaxPage: 50})
	var want []string
	for i := range 25 {
		id := "n" + strconv.Itoa(100+i)
		want = append(want, id)
		c.put("/notes/"+id, `{"title":"T`+strconv.Itoa(i%5)+`","done":`+strconv.FormatBool(i%5 == 0)+`,"by":{"name":"a&b"}}`)
	}
	link := regexp.MustCompile(`<([^>]*)>; rel="next"`)
	pages := func(query string) (ids []string, n int) {
		for path := "/notes" + query; ; n++ {
			a := c.want(c.ask("GET", path, ""), 200)
			var page struct {
				Items []struct{ ID, ETag string }
				Next  string
			}
			if err := json.Unmarshal([]byte(a.body), &page); err != nil {
				t.Fatal(err)
			}
			for _, one := range page.Items {
				ids = append(ids, one.ID)
				c.want(c.ask("GET", "/notes/"+one.ID, "", "If-None-Match", one.ETag), 304)
			}
			next := link.FindStringSubmatch(strings.Join(a.header["Link"], ", "))
			if (next == nil) != (page.Next == "") || n > 30 {
				t.Fatalf("the next is %q, and by its header %v", page.Next, a.header["Link"])
			}
			if next == nil {
				return ids, n + 1
			}
			path = "/notes" + next[1]
		}
	}
	for query, n := range map[string]int{"": 1, "?limit=1000": 1, "?limit=25": 1, "?limit=24": 2, "?limit=10": 3, "?limit=1": 25} {
		if ids, got := pages(query); got != n || !slices.Equal(ids, want) {
			t.Errorf("%q: %d pages of %v", query, got, ids)
		}
	}
	for query, n := range map[string]int{"?done=true&limit=2": 5, "?title=T3": 5, "?title=T3&done=true": 0, "?by.name=a%26b&limit=7": 25, "?cursor=n120": 4, "?tags=[]": 25} {
		if ids, _ := pages(query); len(ids) != n || !slices.IsSorted(ids) {
			t.Errorf("%q: %v", query, ids)
		}
	}
	c.want(c.ask("GET", "/notes?limit=2&title=T1", ""), 200, `Link: <?cursor=n106&limit=2&title=T1>; rel="next"`)
	c.want(c.ask("GET", "/notes?limit=2", "", "Accept", "text/html"), 200, `<a rel="next" href="?cursor=n101&amp;limit=2">next</a>`)
	for query, text := range map[string]string{
		"limit=0": "limit: must be a whole number, 1 or more", "limit=x": "limit", "limit=99999999999999999999": "limit", "no=1": "there is no such field; there is limit, cursor, title",
		"done=x": "done: must be true or false", "a=%zz": "cannot be read", "a;b": "cannot be read",
	} {
		c.want(c.ask("GET", "/notes?"+query, ""), 400, text)
	}
}

func TestCollection_AFilterLooksAtSoMuchAndGoesOnLater(t *testing.T) {
	var s collection.Memory[Note]
	for i := range 3000 {
		if _, err := s.Swap(t.Context(), strconv.Itoa(10000+i), &Note{Title: "x", Done: i == 2500}, ""); err != nil {
			t.Fatal(err)
		}
	}
	c := serve(t, &s, nil)
	cursor, found, pages := "", 0, 0
	for range 10 {
		pages++
		a := c.want(c.ask("GET", "/notes?done=true&cursor="+cursor, ""), 200)
		found += strings.Count(a.body, `"id"`)
		var page struct{ Next string }
		if err := json.Unmarshal([]byte(a.body), &page); err != nil {
			t.Fatal(err)
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	if found != 1 || cursor != "" || pages < 3 {
		t.Errorf("found %d in %d pages, and it goes on after %q", found, pages, cursor)
	}
}
