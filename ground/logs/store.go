package logs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/universal-server/become/ground/fault"
)

const (
	maxSegment   = 64 << 20
	maxRecord    = 256 << 10
	bufferBytes  = 64 << 10               // written to disk when so much has gathered
	flushWithin  = 150 * time.Millisecond // or after this time
	followWithin = 20 * time.Millisecond  // or this when somebody follows
)

// Options tunes a store. Nil and zero values mean the defaults.
type Options struct {
	// MaxBytes bounds the sum of all segments. Unit: bytes. Defaults to 1 GiB.
	MaxBytes int64
	// SegmentBytes is the size of one segment, the unit of deletion, but for the times of its lines, which are its last record; at most 64 MiB.
	// Defaults to 8 MiB or a 16th of MaxBytes, the smaller.
	SegmentBytes int64
	// SinkRate is how much a sink accepts for ever, and SinkBurst how much at once. Each
	// line counts its length and 128 bytes. Units: bytes a second, bytes. Default to 4 MiB
	// and 16 MiB.
	SinkRate, SinkBurst int64
	// Logger hears of disk errors. Defaults to none.
	Logger *slog.Logger
}

func (o *Options) withDefaults() Options {
	var d Options
	if o != nil {
		d = *o
	}
	if d.MaxBytes <= 0 {
		d.MaxBytes = 1 << 30
	}
	if d.SegmentBytes <= 0 {
		d.SegmentBytes = min(8<<20, d.MaxBytes/16)
	}
	d.SegmentBytes = max(1, min(d.SegmentBytes, maxSegment, d.MaxBytes))
	if d.SinkRate <= 0 {
		d.SinkRate = 4 << 20
	}
	if d.SinkBurst <= 0 {
		d.SinkBurst = 16 << 20
	}
	d.SinkBurst = max(d.SinkBurst, MaxLine+lineCost)
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	return d
}

// Store is a node's log. One goroutine writes what has gathered; Close ends it.
// Only one store may be open on a folder: the home's lock sees to that.
type Store struct {
	dir  string
	opts Options
	wg   sync.WaitGroup
	kick chan struct{} // room for one: there is something to write
	stop chan struct{}

	mu      sync.Mutex // guards everything below
	segs    []*segment // oldest first, never empty; the last one is written to
	file    *os.File   // the last segment
	total   int64      // sum of the segments' sizes
	deleted Position   // end of the newest deleted segment
	buf     bytes.Buffer
	waiting []record // the records in buf
	lost    int      // lines that could not be written and were not told of yet
	failed  error    // why
	changed chan struct{}
	follows int
	noisy   map[*sink]struct{} // sinks with drops to tell of
	closed  bool
}

// record is what is known of a record that waits in the buffer.
type record struct {
	size  int
	time  time.Time
	lines int // that are lost with it: one, or those it tells the loss of
}

// Open opens the log in dir, which it creates. opts may be nil.
func Open(dir string, opts *Options) (*Store, error) {
	s := &Store{
		dir: dir, opts: opts.withDefaults(),
		kick: make(chan struct{}, 1), stop: make(chan struct{}),
		changed: make(chan struct{}), noisy: map[*sink]struct{}{},
	}
	if err := s.open(); err != nil {
		return nil, fault.New(fault.KindOf(err), "open log", dir, err)
	}
	s.wg.Go(s.run)
	return s, nil
}

func (s *Store) open() (err error) {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	if s.segs, err = listSegments(s.dir); err != nil {
		return err
	}
	if n := len(s.segs); n > 0 {
		s.file, err = openTail(s.dir, s.segs[n-1])
	} else {
		err = s.rollLocked()
	}
	if err != nil {
		return err
	}
	for _, g := range s.segs {
		s.total += g.size
	}
	if err := s.makeRoomLocked(0); err != nil {
		s.file.Close()
		return err
	}
	return nil
}

// Append adds a line. It costs a copy, and now and then a write to the disk. A zero
// Time becomes now. fault.Invalid for a line above 256 KiB, fault.Lost after Close;
// an error of the disk is returned to one caller after it happened.
func (s *Store) Append(l Line) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.appendLocked(l)
}

func (s *Store) appendLocked(l Line) error {
	if s.closed {
		return errClosed()
	}
	if s.lost > 0 && s.failed == nil {
		note := Line{Stream: Node, Text: fmt.Sprintf("[%d lines lost: the log could not be written]", s.lost)}
		if s.encodeLocked(note, s.lost) == nil {
			s.lost = 0
		}
	}
	if err := s.encodeLocked(l, 1); err != nil {
		return err
	}
	err := s.failed
	s.failed = nil
	if s.buf.Len() >= bufferBytes {
		s.flushLocked()
		return err
	}
	s.wakeLocked()
	return err
}

// encodeLocked puts the line's record into the buffer.
func (s *Store) encodeLocked(l Line, lines int) error {
	if l.Time.IsZero() {
		l.Time = time.Now().UTC()
	}
	before := s.buf.Len()
	enc := json.NewEncoder(&s.buf)
	enc.SetEscapeHTML(false)
	err := enc.Encode(l)
	size := s.buf.Len() - before
	if err == nil && (size > maxRecord || int64(size) > s.opts.MaxBytes) {
		err = fmt.Errorf("line has %d bytes", size)
	}
	if err != nil {
		s.buf.Truncate(before)
		return fault.New(fault.Invalid, "append to log", "", err)
	}
	s.waiting = append(s.waiting, record{size, l.Time, lines})
	return nil
}

func errClosed() error { return fault.Text(fault.Lost, "use log", "", "log is closed") }

func (s *Store) wakeLocked() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// run writes what has gathered, a little after it began to gather.
func (s *Store) run() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-s.kick:
		case <-s.stop:
			return
		}
		timer.Reset(s.delay())
		select {
		case <-timer.C:
		case <-s.stop:
			return
		}
		s.tellDrops()
		s.mu.Lock()
		s.flushLocked()
		s.mu.Unlock()
	}
}

func (s *Store) delay() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.follows > 0 {
		return followWithin
	}
	return flushWithin
}

// flushLocked writes the buffer. What cannot be written is lost, and counted:
// memory must not grow because a disk is full.
func (s *Store) flushLocked() {
	if s.buf.Len() == 0 {
		return
	}
	for len(s.waiting) > 0 {
		if err := s.writeLocked(); err != nil {
			s.failLocked(err)
			break
		}
	}
	s.buf.Reset()
	s.waiting = s.waiting[:0]
	close(s.changed)
	s.changed = make(chan struct{})
}

// failLocked counts what is lost and logs the first of a row of failures.
func (s *Store) failLocked(err error) {
	if s.lost == 0 && s.waiting[0].lines == 1 {
		s.opts.Logger.Error("cannot write log", "dir", s.dir, "err", err)
	}
	for _, r := range s.waiting {
		s.lost += r.lines
	}
	s.failed = fault.New(fault.Internal, "write log", s.dir, err)
}

// writeLocked writes as many waiting records as the segment has room for.
func (s *Store) writeLocked() error {
	n, bytes := s.fittingLocked()
	if n == 0 {
		s.sealLocked()
		return s.rollLocked()
	}
	if err := s.makeRoomLocked(int64(bytes)); err != nil {
		return err
	}
	g := s.segs[len(s.segs)-1]
	if _, err := s.file.Write(s.buf.Bytes()[:bytes]); err != nil {
		s.undoLocked(g)
		return err
	}
	if g.size == 0 {
		g.timed = true
	}
	g.sealed = false
	for _, r := range s.waiting[:n] {
		g.note(r.time)
	}
	g.size += int64(bytes)
	s.total += int64(bytes)
	s.waiting = s.waiting[n:]
	s.buf.Next(bytes)
	return nil
}

// fittingLocked returns how many records fit into the segment; at least one
// fits into an empty one.
func (s *Store) fittingLocked() (n, bytes int) {
	size := s.segs[len(s.segs)-1].size
	for _, r := range s.waiting {
		if size+int64(bytes+r.size) > s.opts.SegmentBytes && (size > 0 || n > 0) {
			break
		}
		n, bytes = n+1, bytes+r.size
	}
	return n, bytes
}

// undoLocked takes back half a write. If even that fails the segment counts as
// long as it is; readers skip the torn record.
func (s *Store) undoLocked(g *segment) {
	if s.file.Truncate(g.size) == nil {
		return
	}
	if info, err := s.file.Stat(); err == nil {
		s.total += info.Size() - g.size
		g.size = info.Size()
	}
}

// rollLocked begins a new segment.
func (s *Store) rollLocked() error {
	num := uint64(1)
	if n := len(s.segs); n > 0 {
		num = s.segs[n-1].num + 1
	}
	f, err := os.OpenFile(filepath.Join(s.dir, segmentName(num)), os.O_CREATE|os.O_EXCL|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	if s.file != nil {
		s.file.Close()
	}
	s.file = f
	s.segs = append(s.segs, &segment{num: num})
	return nil
}

// makeRoomLocked deletes the oldest segments until need more bytes are within the cap.
func (s *Store) makeRoomLocked(need int64) error {
	for s.total+need > s.opts.MaxBytes {
		if len(s.segs) == 1 {
			if err := s.rollLocked(); err != nil {
				return err
			}
		}
		if err := s.deleteOldestLocked(); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) deleteOldestLocked() error {
	g := s.segs[0]
	if err := os.Remove(filepath.Join(s.dir, segmentName(g.num))); err != nil && !os.IsNotExist(err) {
		return err
	}
	s.segs = s.segs[1:]
	s.total -= g.size
	s.deleted = Position{g.num, g.size}
	return nil
}

// Close writes what has gathered and ends followers. Sinks still open write into nothing.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.flushLocked()
	s.closed = true
	close(s.changed)
	err := s.failed
	s.mu.Unlock()
	close(s.stop)
	s.wg.Wait()
	if cerr := s.file.Close(); err == nil && cerr != nil {
		err = fault.New(fault.Internal, "close log", s.dir, cerr)
	}
	return err
}
