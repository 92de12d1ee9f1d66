//go:build !unix

package program

import "errors"

func setNonblock(uintptr, bool) error { return errors.ErrUnsupported }
