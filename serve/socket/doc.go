// Package socket opens the sockets of a service, passes them to other processes and takes
// them over from there.
//
//	address → [socket] → keeper → process
//
// An address is a text of one of these forms, each with a name in front if a service
// has several: "admin=127.0.0.1:8081".
//
//	:8080  127.0.0.1:0  tcp://[::1]:80   TCP
//	tls://:8443                          TCP, and what is accepted there speaks TLS
//	udp://127.0.0.1:5353                 UDP
//	unix:/run/hello.sock                 a Unix stream socket
//
// # Guarantees
//
//   - All processes that share a socket accept from one queue: closing one process's copy
//     loses no connection that waits.
//   - A socket stays non-blocking in every process, whoever passes or takes it.
//   - A Unix socket's file that nobody listens at any more is replaced. One in use is not.
//   - What is inherited is checked to be of the kind that it is said to be, and is not inherited further.
//
// # Platforms
//
// Passing and inheriting need Linux or macOS; elsewhere they answer with fault.Invalid.
package socket
