//go:build !unix

package register

import (
	"errors"
	"os"
)

func mapFile(*os.File, int) ([]byte, error) {
	return nil, errors.New("this platform has no registers in files")
}

func unmapFile([]byte) error    { return nil }
func lockFile(*os.File) error   { return nil }
func unlockFile(*os.File) error { return nil }
