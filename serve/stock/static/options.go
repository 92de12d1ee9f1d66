package static

import (
	"io"
	"time"
)

// Options are the settings of [New]. Zero values and nil are the defaults.
type Options struct {
	// Listing lists directories without index.html. Off by default: they are 404.
	Listing bool
	// Dotfiles serves names that begin with a dot. Off by default: they are 404.
	Dotfiles bool
	// AccessLog gets a line for each request when its answer is complete:
	//
	//	[Process-N]\t"GET /hello.txt HTTP/1.1" 200 -
	//
	// Lines are written whole, several at once, within 10 ms, by one goroutine. While a Write blocks 1 MiB
	// of them waits; further ones are counted, and the count is written. Defaults to none.
	AccessLog io.Writer
	// Process is the name in the brackets. Defaults to none, and no brackets: whoever starts
	// several processes marks what they print.
	Process string
	// CacheBytes is how much of file contents is kept in memory. Unit: bytes. Defaults to
	// 64 MiB; negative: none.
	CacheBytes int64
	// CheckEvery is how old what is known about a file may be before the disk is asked again, and so
	// how long a change may go unnoticed. Defaults to 10 ms; negative: the disk is asked for each request.
	CheckEvery time.Duration
	// CacheFile is the size of the largest file that is kept. Unit: bytes. Defaults to 256 KiB.
	CacheFile int64
}

func (o *Options) cacheBytes() int64 {
	if o == nil || o.CacheBytes == 0 {
		return 64 << 20
	}
	return max(o.CacheBytes, 0)
}

func (o *Options) checkEvery() time.Duration {
	if o == nil || o.CheckEvery == 0 {
		return 10 * time.Millisecond
	}
	return max(o.CheckEvery, 0)
}

func (o *Options) cacheFile() int64 {
	if o == nil || o.CacheFile < 1 {
		return 256 << 10
	}
	return o.CacheFile
}
