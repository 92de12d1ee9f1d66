package reexec

import "os"

// onMainThread need not be asked here: no child dies with a thread.
func onMainThread() bool { return true }

// memory returns a file that has no name any more.
func memory() (*os.File, error) {
	f, err := os.CreateTemp("", "become-state-")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
