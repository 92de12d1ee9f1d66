// Package stocktest runs a ready-made server for the length of a test.
//
//	test → [stocktest] → server
//
// # Guarantees
//
//   - The server has ended when the test has.
//   - A server that does not end in order fails its test.
//
// # A first program
//
//	stop := stocktest.Run(t, func(ctx context.Context) error { return echo.Serve(ctx, ln, nil) })
package stocktest
