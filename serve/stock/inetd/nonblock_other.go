//go:build !unix

package inetd

import "errors"

func setNonblock(uintptr, bool) error { return errors.ErrUnsupported }
