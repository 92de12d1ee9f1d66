package register

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/universal-server/become/ground/fault"
)

// The layout of a register's file. The numbers are of the machine's own byte order: it never travels.
//
//	0       magic, 8 bytes
//	8       word: the value, or noSmall
//	16      which slot holds the value while the word is noSmall: 0 or 1
//	64      slot 0: a length of 8 bytes, then the digits
//	65608   slot 1: the same
const (
	fileMagic = "become-1"
	wordAt    = 8
	activeAt  = 16
	slotsAt   = 64
	slotSize  = 8 + MaxDigits
	fileSize  = slotsAt + 2*slotSize
)

// File is a register in memory that processes share: each maps the same file. Below 2⁶⁴-1 an operation is one
// instruction of the processor, above it takes the file's lock (flock).
//
// A process may be killed at any moment: what it did is done or not done, and its lock is free. One that is
// stopped while it holds the lock holds up those who need it. The file keeps the value when all processes
// have ended, not when the machine has.
//
// It is there on Linux and macOS.
type File struct {
	path string
	word *atomic.Uint64
	// active is the slot that holds the value; only a holder of the lock reads or changes it.
	active *atomic.Uint64

	mapped sync.RWMutex // held for reading while memory is used
	memory []byte       // nil: closed
	file   *os.File

	mu sync.Mutex // flock knows files, not goroutines
}

// OpenFile opens the register in the file at path, and makes it if there is none: it holds 0. An error is of kind
// [fault.Invalid] when the file is something else, or the platform has no such registers.
func OpenFile(path string) (*File, error) {
	const op = "open register"
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		if err = makeFile(path); err == nil {
			f, err = os.OpenFile(path, os.O_RDWR, 0)
		}
	}
	if err != nil {
		return nil, fault.New(kindOfFile(err), op, path, reason(err))
	}
	memory, err := mapRegister(f)
	if err != nil {
		f.Close()
		return nil, fault.New(fault.Invalid, op, path, err)
	}
	return &File{
		path: path, file: f, memory: memory,
		word:   (*atomic.Uint64)(unsafe.Pointer(&memory[wordAt])),
		active: (*atomic.Uint64)(unsafe.Pointer(&memory[activeAt])),
	}, nil
}

// kindOfFile is Invalid for a path that cannot be one, and Internal for what the machine has.
func kindOfFile(err error) fault.Kind {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return fault.Invalid
	}
	return fault.Internal
}

// reason is err without the path that the fault names already.
func reason(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	if l, ok := errors.AsType[*os.LinkError](err); ok {
		return l.Err
	}
	return err
}

// makeFile makes a register's file that is whole when it appears. All of it is written, so that a disk
// that is full says so here and not by a fault in mapped memory.
func makeFile(path string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".register-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	content := make([]byte, fileSize)
	copy(content, fileMagic)
	_, err = f.Write(content)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err = os.Link(f.Name(), path); errors.Is(err, fs.ErrExist) {
		return nil // another process was faster
	}
	return err
}

func mapRegister(f *os.File) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, reason(err)
	}
	magic := make([]byte, len(fileMagic))
	f.ReadAt(magic, 0)
	if info.Size() != fileSize || !bytes.Equal(magic, []byte(fileMagic)) {
		return nil, errors.New("the file is no register")
	}
	return mapFile(f, fileSize)
}

// Swap is [Swapper]'s. Its errors are fault.Invalid, fault.Lost after Close, and [fault.Internal] when
// somebody has damaged the file.
func (f *File) Swap(_ context.Context, ops []Op) (Number, error) {
	if err := check(ops); err != nil {
		return Number{}, err
	}
	f.mapped.RLock()
	defer f.mapped.RUnlock()
	if f.memory == nil {
		return Number{}, fault.New(fault.Lost, opSwap, "", os.ErrClosed)
	}
	if present, ok := swapWord(f.word, ops); ok {
		return present, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := lockFile(f.file); err != nil {
		return Number{}, fault.New(fault.Internal, "lock register", f.path, err)
	}
	defer unlockFile(f.file)
	return swapLong(f.word, ops, f.load, f.store)
}

func (f *File) slot(n uint64) []byte { return f.memory[slotsAt+n*slotSize:][:slotSize] }

// load reads the active slot.
func (f *File) load() (Number, error) {
	slot := f.slot(f.active.Load() & 1)
	n := binary.NativeEndian.Uint64(slot)
	if n > MaxDigits {
		return Number{}, fault.Text(fault.Internal, "read register", f.path, "the file is damaged")
	}
	return canonical(slot[8 : 8+n])
}

// store writes the other slot and makes it the active one: whoever dies between the two has changed nothing.
func (f *File) store(n Number) error {
	next := 1 - f.active.Load()&1
	slot := f.slot(next)
	binary.NativeEndian.PutUint64(slot, uint64(len(n.digits)))
	copy(slot[8:], n.digits)
	f.active.Store(next)
	return nil
}

// Close ends the use of the file. It waits for operations under way.
func (f *File) Close() error {
	f.mapped.Lock()
	defer f.mapped.Unlock()
	if f.memory == nil {
		return nil
	}
	err := errors.Join(unmapFile(f.memory), f.file.Close())
	f.memory = nil
	return err
}
