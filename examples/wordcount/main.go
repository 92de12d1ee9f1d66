// Wordcount counts the words of any files and folders given, each file on
// whatever worker is free, and prints the twenty most frequent.
//
//	go run ./examples/wordcount .
//	go run ./cmd/become run ./examples/wordcount ground work README.md
//
// It shows a bar while it counts, if standard error is a terminal, then twenty lines of a count and
// a word, and last how many words there were in how many files.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/universal-server/become"
)

// chunkSize is how much text one task counts. Workers may be on machines that
// do not have the files, so the text travels.
const chunkSize = 128 << 10

var count = become.Func("count", func(_ context.Context, text []byte) (map[string]int, error) {
	words := map[string]int{}
	for word := range strings.FieldsFuncSeq(string(text), func(r rune) bool { return !unicode.IsLetter(r) && r != '\'' }) {
		words[strings.ToLower(word)]++
	}
	return words, nil
}, become.Options{Doc: "counts the words of a text"})

func main() { become.Main(boss) }

func boss(ctx context.Context, fleet *become.Fleet) error {
	if len(os.Args) < 2 {
		return errors.New("say which files or folders to count")
	}
	files, size, err := find(os.Args[1:])
	if err != nil {
		return err
	}
	var readErr error
	bar := progress{total: size}
	total := map[string]int{}
	for a := range count.Map(ctx, fleet, chunks(files, &readErr)) {
		if a.Err != nil {
			return a.Err
		}
		for word, n := range a.Value {
			total[word] += n
		}
		bar.add(int64(len(a.Input)))
	}
	bar.end()
	if readErr != nil {
		return readErr
	}
	show(total, len(files))
	return ctx.Err()
}

// find lists the regular files below the paths, and their size together.
func find(paths []string) (files []string, size int64, err error) {
	for _, path := range paths {
		err := filepath.WalkDir(path, func(name string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.Type().IsRegular() {
				info, err := d.Info()
				if err != nil {
					return err
				}
				files = append(files, name)
				size += info.Size()
			}
			return nil
		})
		if err != nil {
			return nil, 0, err
		}
	}
	return files, size, nil
}

// chunks yields the files' text in pieces that end between two words.
func chunks(files []string, failed *error) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for _, name := range files {
			text, err := os.ReadFile(name)
			if err != nil {
				*failed = errors.Join(*failed, err)
				continue
			}
			if !utf8.Valid(text) {
				continue // no text
			}
			for len(text) > 0 {
				n := len(text)
				if n > chunkSize {
					n = chunkSize
					for n < len(text) && text[n] > ' ' {
						n++
					}
				}
				if !yield(text[:n]) {
					return
				}
				text = text[n:]
			}
		}
	}
}

func show(words map[string]int, files int) {
	type entry struct {
		word string
		n    int
	}
	top := make([]entry, 0, len(words))
	all := 0
	for word, n := range words {
		top = append(top, entry{word, n})
		all += n
	}
	slices.SortFunc(top, func(a, b entry) int {
		return cmp.Or(cmp.Compare(b.n, a.n), cmp.Compare(a.word, b.word))
	})
	for _, e := range top[:min(20, len(top))] {
		fmt.Printf("%8d %s\n", e.n, e.word)
	}
	fmt.Printf("%8d words in %d files, %d different\n", all, files, len(words))
}

// progress is a bar on standard error, if that is a terminal.
type progress struct {
	total, done int64
	shown       int
}

func (p *progress) add(n int64) {
	p.done += n
	percent := int(100 * p.done / max(1, p.total))
	if percent == p.shown || !terminal() {
		return
	}
	p.shown = percent
	fmt.Fprintf(os.Stderr, "\r[%-50s] %3d%%", strings.Repeat("=", min(50, percent/2)), percent)
}

func (p *progress) end() {
	if p.shown > 0 {
		fmt.Fprint(os.Stderr, "\r\033[K")
	}
}

func terminal() bool {
	info, err := os.Stderr.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
