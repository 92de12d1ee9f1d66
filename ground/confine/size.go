package confine

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/universal-server/become/ground/fault"
)

var units = map[string]float64{"B": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}

// ParseBytes reads a size with its unit: "256MB", "1.5 GiB", "64k". Each unit is 1024 of the one before,
// whether written with an i or without. A number without a unit is refused, because
// nobody knows what it means. fault.Invalid.
func ParseBytes(text string) (int64, error) {
	number := strings.TrimRight(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ")
	unit := strings.ToUpper(strings.TrimSpace(text[len(number):]))
	if len(unit) > 1 {
		unit = strings.TrimSuffix(strings.TrimSuffix(unit, "B"), "I")
	}
	factor, known := units[unit]
	n, err := strconv.ParseFloat(number, 64)
	bytes := n * factor
	if err != nil || !known || !(bytes >= 0 && bytes < math.MaxInt64/2) {
		return 0, fault.Text(fault.Invalid, "read size", fmt.Sprintf("%.40q", text), "a size is a number with a unit").WithHint("as in 256MB or 1.5GB")
	}
	return int64(bytes), nil
}
