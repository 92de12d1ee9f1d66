package bus

import "strings"

// ValidName reports whether s can name a store: letters, digits, '-' and '_'.
func ValidName(s string) bool { return s != "" && only(s, nameChars) }

// ValidKey reports whether s can be a key: letters, digits and any of "-_=./",
// with no dot at either end and no two in a row.
func ValidKey(s string) bool {
	return s != "" && s[0] != '.' && s[len(s)-1] != '.' && !strings.Contains(s, "..") && only(s, nameChars+"=./")
}

const nameChars = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

func only(s, chars string) bool {
	for i := range len(s) {
		if strings.IndexByte(chars, s[i]) < 0 {
			return false
		}
	}
	return true
}

// ValidSubject reports whether s is a subject, or with wildcards allowed a
// pattern of subjects.
func ValidSubject(s string, wildcards bool) bool {
	for {
		t, rest, more := strings.Cut(s, ".")
		switch {
		case t == "" || strings.ContainsAny(t, " \t\r\n\x00"):
			return false
		case t == "*" || t == ">":
			if !wildcards || t == ">" && more {
				return false
			}
		}
		if !more {
			return true
		}
		s = rest
	}
}

// IsInbox reports whether answers may go to a subject: one that begins with _INBOX, as those of Inbox and of NATS's clients do, or what servers
// of NATS make of an inbox between accounts (_R_.) and clusters (_GR_.), where no client may send answers.
func IsInbox(subject string) bool {
	return strings.HasPrefix(subject, "_INBOX") || strings.HasPrefix(subject, "_R_.") || strings.HasPrefix(subject, "_GR_.")
}

// Match reports whether a subject matches a pattern.
func Match(pattern, subject string) bool {
	for {
		p, prest, pmore := strings.Cut(pattern, ".")
		if p == ">" {
			return subject != ""
		}
		s, srest, smore := strings.Cut(subject, ".")
		if p != "*" && p != s || pmore != smore {
			return false
		}
		if !pmore {
			return true
		}
		pattern, subject = prest, srest
	}
}

// Overlap reports whether some subject matches both patterns.
func Overlap(a, b string) bool {
	for {
		at, arest, amore := strings.Cut(a, ".")
		bt, brest, bmore := strings.Cut(b, ".")
		if at == ">" || bt == ">" {
			return true
		}
		if at != bt && at != "*" && bt != "*" || amore != bmore {
			return false
		}
		if !amore {
			return true
		}
		a, b = arest, brest
	}
}
