package manners

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/universal-server/become/ground/confine"
)

// Flag is a field as a command line has it.
type Flag struct {
	Name  string
	Usage string
	// Set sets the field; the error says what text should have been.
	Set func(text string) error
}

const none = "none"

// Flags are the flags that fill m. Each of them also takes "none".
func (m *Manners) Flags() []Flag {
	return []Flag{
		{"max-conns", "`connections` that each process has open at once, or none", count(&m.MaxConns)},
		{"accept-rate", "`connections` that each process takes in a second, or none", rate(&m.AcceptRate)},
		{"accept-burst", "`connections` taken at once after a quiet time (default those of a second)", count(&m.AcceptBurst)},
		{"idle-timeout", "`time` without a request, or without a byte of another protocol, until a connection is closed, or none", duration(&m.IdleMS)},
		{"read-timeout", "`time` for a whole request, or for one read of another protocol, or none", duration(&m.ReadMS)},
		{"write-timeout", "`time` for a whole answer, or for one write of another protocol, or none", duration(&m.WriteMS)},
		{"header-timeout", "`time` for a request's header, or none (HTTP)", duration(&m.HeaderMS)},
		{"max-header", "`size` of a request's header, as 64KB (HTTP; default 1MB)", size(&m.MaxHeader)},
		{"max-body", "`size` of a request's body, as 10MB, or none (HTTP)", size(&m.MaxBody)},
	}
}

func count(field *int) func(string) error {
	return func(text string) error {
		if text == none {
			*field = None
			return nil
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return fmt.Errorf("want a number above zero, or none")
		}
		*field = n
		return nil
	}
}

func rate(field *float64) func(string) error {
	return func(text string) error {
		if text == none {
			*field = None
			return nil
		}
		n, err := strconv.ParseFloat(text, 64)
		if err != nil || !(n > 0) || math.IsInf(n, 0) {
			return fmt.Errorf("want a number above zero, or none")
		}
		*field = n
		return nil
	}
}

func duration(field *int64) func(string) error {
	return func(text string) error {
		if text == none {
			*field = None
			return nil
		}
		d, err := time.ParseDuration(text)
		if err != nil || d <= 0 {
			return fmt.Errorf("want a time as 30s, or none")
		}
		*field = MS(d)
		return nil
	}
}

func size(field *int64) func(string) error {
	return func(text string) error {
		if text == none {
			*field = None
			return nil
		}
		n, err := confine.ParseBytes(text)
		if err != nil || n < 1 {
			return fmt.Errorf("want a size as 64KB, or none")
		}
		*field = n
		return nil
	}
}
