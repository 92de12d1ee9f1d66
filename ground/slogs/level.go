package slogs

import (
	"fmt"
	"log/slog"
	"strings"

	"github.com/universal-server/become/ground/fault"
)

// The levels, lowest first. Each shows itself and those above.
const (
	LevelDebug   = slog.LevelDebug
	LevelTrace   = slog.LevelDebug + 1
	LevelObject  = slog.LevelDebug + 2 // what the framework does: objects, messages, connections
	LevelConsole = slog.LevelInfo      // milestones
	LevelWarning = slog.LevelWarn
	LevelFault   = slog.LevelError
	LevelNone    = slog.Level(1 << 20) // shows nothing
)

// levels by name; the first of a level is what it is called, the others are slog's.
var levels = []struct {
	name  string
	level slog.Level
}{
	{"NONE", LevelNone}, {"FAULT", LevelFault}, {"WARNING", LevelWarning}, {"CONSOLE", LevelConsole},
	{"OBJECT", LevelObject}, {"TRACE", LevelTrace}, {"DEBUG", LevelDebug},
	{"ERROR", LevelFault}, {"WARN", LevelWarning}, {"INFO", LevelConsole},
}

// LevelNames lists the levels, for people.
const LevelNames = "NONE, FAULT, WARNING, CONSOLE, OBJECT, TRACE or DEBUG"

// ParseLevel reads a level's name, in any case; slog's are ERROR, WARN and INFO. fault.Invalid for another.
func ParseLevel(text string) (slog.Level, error) {
	for _, one := range levels {
		if strings.EqualFold(text, one.name) {
			return one.level, nil
		}
	}
	return 0, fault.Text(fault.Invalid, "read log level", fmt.Sprintf("%.40q", text), "it is one of "+LevelNames)
}

// LevelName is what a level is called; of one between two, the lower.
func LevelName(l slog.Level) string {
	for _, one := range levels {
		if l >= one.level {
			return one.name
		}
	}
	return "DEBUG"
}

// Format is how a record is written.
type Format string

// The formats.
const (
	Seed Format = "seed" // see the package
	JSON Format = "json" // of slog.JSONHandler
	Text Format = "text" // of slog.TextHandler
)

// ParseFormat reads a format's name. fault.Invalid for another.
func ParseFormat(text string) (Format, error) {
	switch f := Format(strings.ToLower(text)); f {
	case Seed, JSON, Text:
		return f, nil
	}
	return "", fault.Text(fault.Invalid, "read log format", fmt.Sprintf("%.40q", text), "it is one of json, text or seed")
}
