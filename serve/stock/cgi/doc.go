// Package cgi answers HTTP requests by programs, one process for each: CGI/1.1, RFC 3875.
//
//	http.Server → [cgi] → script
//
// A script is any executable: Python, a shell script, a compiled program. It finds the request in its environment
// and on standard input, and prints header lines, an empty line, and the body. What it says on standard error is
// logged line by line. A Python WSGI application is served by wsgiref.handlers.CGIHandler().run(app).
//
// # Which script
//
// [New] takes one script, which then answers every path, or a folder. There the script is the first executable file
// on the path, and what follows its name is PATH_INFO: /tools/add.py/3/4 runs tools/add.py. Files that are not
// executable, names that begin with a dot, and links that leave the folder are not found. Its folder is the
// script's working directory.
//
// # What a script gets
//
//   - The variables of RFC 3875, REMOTE_PORT, REQUEST_URI and SCRIPT_FILENAME, HTTPS=on behind TLS, and for each header
//     field HTTP_*. Left out are fields about the connection, those with an underscore, which could be taken for
//     others, Proxy (CVE-2016-5385, "httpoxy"), and Authorization but for [Options.Authorization].
//   - Of the server's own environment PATH, HOME, LANG, LC_ALL, TZ and TMPDIR only; and [Options.Env].
//   - The request's body as a file. It is complete before the script starts: a slow client holds no
//     process, and a chunked body has a CONTENT_LENGTH too.
//
// Not there: PATH_TRANSLATED, arguments from a query without "=" (CVE-2012-1823 shows why), and scripts that write the whole
// answer themselves (nph-).
//
// # What a script may answer
//
// Content-Type, Status (200 to 599), Location and any other field. A Location that is a path, alone, is asked for by the
// server itself, up to five times; another one is a 302 to the client. The body goes to the client as it is printed.
//
// # Guarantees
//
//   - No more than [Options.Max] scripts run; a request that finds none free within [Options.WaitWithin]
//     is answered 503.
//   - A script that has not answered within [Options.Within] is ended and its client gets 504; one that ends, crashes or
//     prints nonsense before its header is complete, 502. A body that is cut short for whatever reason ends its
//     connection: the client cannot take it for whole. What is printed behind its Content-Length is dropped.
//   - A script is ended when its client has gone for [Options.Grace] or takes nothing for [Options.TakeWithin], when
//     its time is over, and by [Handler.Close]: SIGTERM to its process group, then SIGKILL, seen gone. Whatever is
//     left of its group ends with it.
//   - Bodies are bounded ([Options.MaxBody], 413, and [Options.Spool] for all of them together, 503), and so are header
//     fields of a script ([Options.MaxHead], 502). Output is bounded by time; memory per request is constant.
//   - Every script's end is logged, and every answer that is the server's own with its reason.
//
// Timeouts and limits of connections are the http.Server's.
//
// # A first program
//
//	scripts, err := cgi.New("cgi-bin", nil)
//	if err != nil {
//		return err
//	}
//	defer scripts.Close()
//	return http.ListenAndServe("127.0.0.1:8000", scripts)
package cgi
