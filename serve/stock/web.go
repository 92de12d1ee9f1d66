package stock

import (
	"context"
	"errors"
	"io"
	"runtime"
	"time"

	"github.com/universal-server/become/serve/service"
	"github.com/universal-server/become/serve/stock/cgi"
	"github.com/universal-server/become/serve/stock/static"
)

// Static are the settings of static.
type Static struct {
	Dir        string `arg:"DIR" required:"true" minLength:"1" doc:"the folder with the files"`
	Listing    bool   `doc:"list folders that have no index.html"`
	Dotfiles   bool   `doc:"serve names that begin with a dot too"`
	Log        bool   `default:"true" doc:"print a line for each request"`
	CacheBytes int64  `default:"67108864" minimum:"0" doc:"how much of small files each process keeps in memory, in bytes"`
	CacheFile  int64  `default:"262144" minimum:"1" doc:"the largest file that it keeps, in bytes"`
}

func (s *Static) open(log io.Writer) (*static.Handler, error) {
	o := &static.Options{Listing: s.Listing, Dotfiles: s.Dotfiles, CacheBytes: s.CacheBytes, CacheFile: s.CacheFile}
	if s.CacheBytes == 0 {
		o.CacheBytes = -1
	}
	if s.Log {
		o.AccessLog = log
	}
	return static.New(s.Dir, o)
}

// ballastBytes is memory that is never touched, and so costs none, but that the garbage collector
// counts: a process that holds a few MiB only would collect what requests leave behind a hundred times a second. With it
// up to as much garbage waits, and an answer costs a tenth less time. Unit: bytes.
const ballastBytes = 16 << 20

func staticServer() Server {
	return definition[Static]{
		Server: Server{
			Name: "static", Short: "Files of a folder over HTTP", Args: "DIR", Listen: []string{"127.0.0.1:8000"}, Procs: 2,
			Long: `Files with ranges, ETag, and the forms stored beside them, name.zst and name.gz. A folder is its
index.html. Nothing outside of DIR is read. A change of a file is seen by the next request.`,
			Example: `  become serve static ./site
  become serve static ./site --listing --procs 4 --listen :8000`,
		},
		kind: service.Requests,
		arguments: func(s *Static, args []string) (err error) {
			s.Dir, err = one(args, "DIR, the folder with the files")
			return err
		},
		local: func(s *Static, abs func(string) string) { s.Dir = abs(s.Dir) },
		try: func(s *Static) error {
			h, err := s.open(io.Discard)
			if err == nil {
				err = h.Close()
			}
			return err
		},
		serve: func(ctx context.Context, sockets service.Sockets, s *Static, env Env) error {
			h, err := s.open(env.Out)
			if err != nil {
				return err
			}
			ballast := make([]byte, ballastBytes)
			defer runtime.KeepAlive(ballast)
			err = service.HTTP(h, service.HTTPOptions{Logger: env.Logger})(ctx, sockets)
			return errors.Join(err, h.Close())
		},
	}.server()
}

// CGI are the settings of cgi.
type CGI struct {
	Path          string        `arg:"SCRIPT|DIR" required:"true" minLength:"1" doc:"the script, or the folder with scripts"`
	Env           []string      `doc:"a variable for the scripts, KEY=VALUE"`
	Authorization bool          `doc:"tell scripts the Authorization of requests too"`
	Max           int           `default:"32" minimum:"1" doc:"how many scripts run at once; further requests wait"`
	Wait          time.Duration `some:"true" default:"10s" doc:"how long a request waits for one of these to end"`
	Within        time.Duration `some:"true" default:"1m" doc:"how long a script may run"`
	Grace         time.Duration `some:"true" default:"1s" doc:"what it has between SIGTERM and SIGKILL"`
	Body          int64         `default:"67108864" minimum:"1" doc:"how large a request's body may be, in bytes"`
	Spool         int64         `default:"536870912" minimum:"1" doc:"what all bodies on disk may have together, in bytes"`
	Head          int           `default:"65536" minimum:"1" doc:"how large the header of a script's answer may be, in bytes"`
}

func (s *CGI) open(env Env) (*cgi.Handler, error) {
	return cgi.New(s.Path, &cgi.Options{
		Env: s.Env, Authorization: s.Authorization, Max: s.Max, WaitWithin: s.Wait, Within: s.Within, Grace: s.Grace,
		MaxBody: s.Body, Spool: s.Spool, MaxHead: s.Head, Logger: env.Logger,
	})
}

func cgiServer() Server {
	return definition[CGI]{
		Server: Server{
			Name: "cgi", Short: "Programs behind HTTP, a process for each request (CGI/1.1)", Args: "SCRIPT|DIR", Listen: []string{"127.0.0.1:8000"}, Procs: 1,
			Long: `A script is any executable file: Python, shell, a compiled program. One SCRIPT answers every path; of a DIR the
first executable file on the path answers, and the rest is its PATH_INFO.`,
			Example: `  become serve cgi ./hello.py
  become serve cgi ./cgi-bin --max 8 --within 10s`,
		},
		kind: service.Requests,
		arguments: func(s *CGI, args []string) (err error) {
			s.Path, err = one(args, "SCRIPT or DIR: an executable file, or a folder with some")
			return err
		},
		local: func(s *CGI, abs func(string) string) { s.Path = abs(s.Path) },
		valid: func(s *CGI) error { return validEnv(s.Env) },
		try: func(s *CGI) error {
			h, err := s.open(Env{})
			if err == nil {
				err = h.Close()
			}
			return err
		},
		serve: func(ctx context.Context, sockets service.Sockets, s *CGI, env Env) error {
			h, err := s.open(env)
			if err != nil {
				return err
			}
			err = service.HTTP(h, service.HTTPOptions{Logger: env.Logger})(ctx, sockets)
			return errors.Join(err, h.Close())
		},
	}.server()
}
