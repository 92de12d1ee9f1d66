// Package static serves the files of a directory over HTTP.
//
//	http.Server → [static] → files
//
// # What it answers
//
//   - GET and HEAD only; others get 405 with Allow.
//   - Ranges (RFC 9110, single and several; of GET only), If-Range, If-Modified-Since, If-None-Match and If-Match, by the
//     ETag. That of a file small enough for memory is a hash of what is sent, and so the same on every node; that of a
//     larger one is its size and time of change, and weak in the two seconds after a change.
//   - name.zst and name.gz beside name, when they are not older than it, to clients that accept
//     zstd or gzip; the client's weights decide, then zstd, gzip, and the file itself. Ranges are then of the encoded form.
//   - A directory by its index.html; without one it is 404, or a listing with [Options.Listing]. Directories end
//     in a slash, files do not: the other form is redirected.
//
// # Guarantees
//
//   - Nothing outside the directory is read: names are opened through os.Root, so neither ".." nor a
//     symbolic link leaves it. Links that stay within are followed; absolute ones are not.
//   - Names with an element that begins with a dot are not found, but for .well-known at the top; see
//     [Options.Dotfiles]. The same holds for names with a NUL, a backslash or an empty element, and for what is no
//     regular file: a pipe or device cannot hold up a request.
//   - A small file is kept in memory, bounded by [Options.CacheBytes], and what the disk says about a file
//     for [Options.CheckEvery], 10 ms: a change is seen by every request that begins later than that.
//   - A file that shrinks while it is sent ends its connection; the client cannot take it for whole.
//
// Timeouts and limits of connections are the http.Server's.
//
// # A first program
//
//	files, err := static.New("public", nil)
//	...
//	defer files.Close()
//	err = http.ListenAndServe("127.0.0.1:8000", files)
package static
