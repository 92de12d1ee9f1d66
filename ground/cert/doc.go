// Package cert brings the certificates of TLS servers: from files, or self-made for development.
//
//	files, home → [cert] → serving process
//
// A [Pair] is plain PEM, so that it can be read by a parent that may, and given to a process that may not.
//
// # Guarantees
//
//   - A pair that is returned works: the key is the certificate's, and no password is needed. That its
//     time is over is no error, because to refuse it would be worse; see [Pair.Warning].
//   - A self-made certificate stays the same for the same hosts, across restarts and
//     versions, until 30 days before its end; two processes that ask at the same time get the same one. Its key is
//     readable by its user only, and never leaves the machine.
//
// # A first program
//
//	pair, err := cert.Source{Self: true}.Load(home.Default(), "localhost")
//	if err != nil {
//		return err
//	}
//	identity, err := pair.TLS()
//	if err != nil {
//		return err
//	}
//	config := &tls.Config{Certificates: []tls.Certificate{identity}, MinVersion: tls.VersionTLS12}
package cert
