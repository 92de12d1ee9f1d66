package rest

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"html/template"
	"net/url"
	"strings"
)

//go:embed page.html
var pageText string

var pages = template.Must(template.New("page").Parse(pageText))

// row is an item, or a field of one.
type row struct {
	Name, Link string
	Words      []string
}

// columns are how many fields a collection's page shows.
const columns = 6

// words are an item's first fields as people write them.
func (s *Resource) words(one item, most int) ([]string, error) {
	var all []string
	for i, leaf := range s.item.Leaves() {
		if i == most {
			break
		}
		text, err := leaf.Get(one.value)
		if err != nil {
			return nil, err
		}
		if strings.HasPrefix(text, `"`) {
			if err := json.Unmarshal([]byte(text), &text); err != nil {
				return nil, err
			}
		}
		if text == "null" {
			text = ""
		}
		all = append(all, text)
	}
	return all, nil
}

func (s *Resource) itemPage(now *item) ([]byte, error) {
	words, err := s.words(*now, -1)
	if err != nil {
		return nil, err
	}
	rows := make([]row, len(words))
	for i, leaf := range s.item.Leaves() {
		rows[i] = row{Name: leaf.Path, Words: words[i : i+1]}
	}
	modified := ""
	if !now.modified.IsZero() {
		modified = now.modified.UTC().Format("2006-01-02 15:04:05 UTC")
	}
	return render(map[string]any{"Name": s.name, "ID": now.id, "Doc": s.opts.Doc, "Rows": rows, "Modified": modified, "Revision": now.revision})
}

func (s *Resource) listPage(u *url.URL, all []item, next string) ([]byte, error) {
	var heads []string
	for i, leaf := range s.item.Leaves() {
		if i < columns {
			heads = append(heads, leaf.Path)
		}
	}
	rows := make([]row, len(all))
	for i, one := range all {
		words, err := s.words(one, columns)
		if err != nil {
			return nil, err
		}
		rows[i] = row{Name: one.id, Link: s.name + "/" + url.PathEscape(one.id), Words: words}
	}
	more := ""
	if next != "" {
		more = turn(u, next)
	}
	return render(map[string]any{"Name": s.name, "Doc": s.opts.Doc, "Heads": heads, "Rows": rows, "Next": more})
}

func render(data map[string]any) ([]byte, error) {
	var b bytes.Buffer
	err := pages.Execute(&b, data)
	return b.Bytes(), err
}
