// Package program is what the stock servers that start other programs have in common: finding
// one, its environment, what it says on standard error, and its end.
//
//	inetd, cgi → [program] → process
//
// # Guarantees
//
//   - A program that cannot be started is found out before anybody asks for it.
//   - What a program says reaches the log line by line, however much and whatever it is; a line is at
//     most [LongestLine] bytes.
//   - [End] returns when the program and its process group are gone, or with an error that says
//     who is not.
//
// # A first program
//
//	path, err := program.Find("/bin/cat")
//	...
//	said := program.Lines(func(text string) { logger.Info("program says", "text", text) })
//	p, err := process.Start(ctx, process.Spec{Path: path, Env: program.Environ(), Stderr: said})
package program
