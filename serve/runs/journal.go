package runs

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/universal-server/become/ground/disk"
	"github.com/universal-server/become/ground/fault"
)

const (
	// Most is how many runs of a role are kept, besides those that go on.
	Most = 1000

	suffix   = ".jsonl"
	beatName = "beat"
	maxLine  = 64 << 10 // bytes; longer ones are not ours
	tidyAt   = 4 * Most // lines of a file
)

// Journal is the runs of a node. Its methods may be called by many goroutines.
type Journal struct {
	dir string

	mu    sync.Mutex
	roles map[string]*record
}

// record is what is known of a role; the journal's mu guards it.
type record struct {
	runs  []Run // in the order of their starts
	lines int   // of the file
	torn  bool  // its last line has no end
}

// Open reads the journal in a folder, which it creates if need be. on says which of the runs without an end still go on; the
// others are lost, at the time of the last Beat. Only one journal may be open in a folder.
func Open(dir string, on func(role string, r Run) bool) (*Journal, error) {
	j := &Journal{dir: dir, roles: map[string]*record{}}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fault.New(fault.KindOf(err), "open journal", dir, err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fault.New(fault.KindOf(err), "open journal", dir, err)
	}
	last := j.lastBeat()
	for _, e := range entries {
		text, ours := strings.CutSuffix(e.Name(), suffix)
		name, err := url.PathUnescape(text)
		if !ours || err != nil || !e.Type().IsRegular() {
			continue
		}
		if err := j.read(name); err != nil {
			return nil, fault.New(fault.KindOf(err), "open journal", j.path(name), err)
		}
		j.lose(name, last, on)
	}
	return j, nil
}

func (j *Journal) path(name string) string { return filepath.Join(j.dir, url.PathEscape(name)+suffix) }

// Beat notes that the node is alive.
func (j *Journal) Beat() error {
	path, now := filepath.Join(j.dir, beatName), time.Now()
	err := os.Chtimes(path, now, now)
	if errors.Is(err, fs.ErrNotExist) {
		err = os.WriteFile(path, nil, 0o600)
	}
	return err
}

// lastBeat is when the node was last alive, as far as is known.
func (j *Journal) lastBeat() time.Time {
	info, err := os.Stat(filepath.Join(j.dir, beatName))
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

// read takes a role's file.
func (j *Journal) read(name string) error {
	f, err := os.Open(j.path(name))
	if err != nil {
		return err
	}
	defer f.Close()
	rec := &record{}
	rec.torn, err = eachLine(f, func(line []byte) {
		rec.lines++
		var r Run
		if json.Unmarshal(line, &r) == nil && !r.Started.IsZero() {
			rec.take(r.bounded())
		}
	})
	j.roles[name] = rec
	return err
}

// eachLine calls f with each line that is not too long. torn says that the last one has no end, and was left out.
func eachLine(in io.Reader, f func([]byte)) (torn bool, err error) {
	for b := bufio.NewReaderSize(in, maxLine); ; {
		line, err := b.ReadSlice('\n')
		if err == nil {
			f(bytes.TrimSpace(line))
			continue
		}
		for errors.Is(err, bufio.ErrBufferFull) {
			line, err = b.ReadSlice('\n')
		}
		if errors.Is(err, io.EOF) {
			return len(line) > 0, nil
		}
		if err != nil {
			return false, err
		}
	}
}

// lose ends the runs that do not go on, when the node was seen alive last.
func (j *Journal) lose(name string, last time.Time, on func(string, Run) bool) {
	for _, r := range j.roles[name].runs {
		for _, at := range []time.Time{r.Started, r.Ended} {
			if at.After(last) {
				last = at
			}
		}
	}
	for i, r := range j.roles[name].runs {
		if r.Ended.IsZero() && !on(name, r) {
			r.Ended, r.Outcome, r.Reason = last, Lost, "its node was killed, or lost its power"
			j.roles[name].runs[i] = r
			j.append(name, r) // what is lost here is found lost again the next time
		}
	}
}

// Note keeps what is known of a run now: that it began, or how it ended. An error says that it is kept in memory only.
func (j *Journal) Note(role string, r Run) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	rec := j.roles[role]
	if rec == nil {
		rec = &record{}
		j.roles[role] = rec
	}
	r = r.bounded()
	rec.take(r)
	if rec.lines >= tidyAt+2*len(rec.runs) {
		return j.tidy(role, rec)
	}
	return j.append(role, r)
}

// take puts a run in its place, and drops the oldest that have ended.
func (rec *record) take(r Run) {
	i, found := slices.BinarySearchFunc(rec.runs, r.Started, func(x Run, t time.Time) int { return x.Started.Compare(t) })
	for ; found && i < len(rec.runs) && rec.runs[i].Started.Equal(r.Started); i++ {
		if rec.runs[i].same(r) {
			rec.runs[i] = r
			return
		}
	}
	rec.runs = slices.Insert(rec.runs, i, r)
	ended := 0
	for _, x := range rec.runs {
		if !x.Ended.IsZero() {
			ended++
		}
	}
	if ended > Most {
		oldest := slices.IndexFunc(rec.runs, func(x Run) bool { return !x.Ended.IsZero() })
		rec.runs = slices.Delete(rec.runs, oldest, oldest+1)
	}
}

// append adds a line to a role's file.
func (j *Journal) append(name string, r Run) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	rec := j.roles[name]
	if rec.torn {
		data = append([]byte("\n"), data...)
	}
	f, err := os.OpenFile(j.path(name), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(data, '\n'))
	rec.lines++
	rec.torn = err != nil
	return errors.Join(err, f.Close())
}

// tidy writes a role's file anew, without what is not kept.
func (j *Journal) tidy(name string, rec *record) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	for _, r := range rec.runs {
		if err := e.Encode(r); err != nil {
			return err
		}
	}
	rec.lines, rec.torn = len(rec.runs), false
	return disk.WriteFile(j.path(name), b.Bytes())
}

// Newest returns at most count runs of a role, in the order of their starts; Most if it is 0 or less.
func (j *Journal) Newest(role string, count int) []Run {
	j.mu.Lock()
	defer j.mu.Unlock()
	rec := j.roles[role]
	if rec == nil {
		return nil
	}
	if count <= 0 {
		count = Most
	}
	return slices.Clone(rec.runs[max(0, len(rec.runs)-count):])
}

// Forget removes what is known of a role.
func (j *Journal) Forget(role string) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	delete(j.roles, role)
	if err := os.Remove(j.path(role)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
