// Package load puts a load on servers, ours and peers alike, from processes of their own.
//
//	measure → [load] → server
//
// Clients that are written here are processes of this program, see [Roles]; requests over HTTP
// come from wrk. Every answer is checked.
package load
