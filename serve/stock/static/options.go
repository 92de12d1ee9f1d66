package static

import "io"

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
	// Lines are written whole, one Write each, never two at once. Defaults to none.
	AccessLog io.Writer
	// Process is the name in the brackets. Defaults to "Process-1".
	Process string
	// CacheBytes is how much of file contents is kept in memory. Unit: bytes. Defaults to
	// 64 MiB; negative: none.
	CacheBytes int64
	// CacheFile is the size of the largest file that is kept. Unit: bytes. Defaults to 256 KiB.
	CacheFile int64
}

func (o *Options) process() string {
	if o == nil || o.Process == "" {
		return "Process-1"
	}
	return o.Process
}

func (o *Options) cacheBytes() int64 {
	if o == nil || o.CacheBytes == 0 {
		return 64 << 20
	}
	return max(o.CacheBytes, 0)
}

func (o *Options) cacheFile() int64 {
	if o == nil || o.CacheFile < 1 {
		return 256 << 10
	}
	return o.CacheFile
}
