//go:build !linux

package timeserver

import "net"

const originSize = 0

func tellOrigins(*net.UDPConn) bool { return false }

func answerFrom([]byte) []byte { return nil }
