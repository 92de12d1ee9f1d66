package key

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/universal-server/become/ground/fault"
)

const (
	secretPrefix = "become-key-1:"
	publicPrefix = "become-pub-1:"
	maxText      = 4 << 10
)

var encoding = base64.RawURLEncoding

// Key is a fleet's secret.
type Key struct{ private ed25519.PrivateKey }

// Public is what checks a fleet's signatures.
type Public struct{ key ed25519.PublicKey }

// New makes a key.
func New() *Key {
	seed := make([]byte, ed25519.SeedSize)
	rand.Read(seed)
	return &Key{ed25519.NewKeyFromSeed(seed)}
}

// Parse reads a key's text form.
func Parse(text string) (*Key, error) {
	seed, err := parse(text, secretPrefix, ed25519.SeedSize)
	if err != nil {
		return nil, fault.New(fault.Invalid, "read key", "", err)
	}
	return &Key{ed25519.NewKeyFromSeed(seed)}, nil
}

// ParsePublic reads a public key's text form.
func ParsePublic(text string) (Public, error) {
	b, err := parse(text, publicPrefix, ed25519.PublicKeySize)
	if err != nil {
		return Public{}, fault.New(fault.Invalid, "read public key", "", err)
	}
	return Public{b}, nil
}

func parse(text, prefix string, size int) ([]byte, error) {
	text = strings.TrimSpace(text)
	rest, ok := strings.CutPrefix(text, prefix)
	if !ok || len(text) > maxText {
		return nil, fmt.Errorf("it does not begin with %s", prefix)
	}
	b, err := decode(rest)
	if err != nil || len(b) != size {
		return nil, errors.New("it is damaged")
	}
	return b, nil
}

// decode is strict: one text for one value. The decoder itself skips line ends.
func decode(text string) ([]byte, error) {
	if strings.ContainsAny(text, "\r\n") {
		return nil, errors.New("it has line ends")
	}
	return encoding.Strict().DecodeString(text)
}

// Load reads a key from a file that nobody but its owner can read.
func Load(path string) (*Key, error) {
	info, err := os.Stat(path)
	if err != nil {
		kind := fault.Internal
		if errors.Is(err, fs.ErrNotExist) {
			kind = fault.NotFound
		}
		return nil, fault.New(kind, "read key", path, err).WithHint("make one with: become key new " + path)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, fault.Text(fault.Denied, "read key", path, "others can read it").WithHint("chmod 600 " + path)
	}
	if !info.Mode().IsRegular() || info.Size() > maxText {
		return nil, fault.Text(fault.Invalid, "read key", path, "it is no key file")
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fault.New(fault.Internal, "read key", "", err)
	}
	k, err := Parse(string(text))
	if err != nil {
		return nil, fault.New(fault.Invalid, "read key", path, errors.Unwrap(err))
	}
	return k, nil
}

// Save writes the key to a new file that nobody else can read. fault.Conflict
// when there is a file.
func (k *Key) Save(path string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".key-*") // 0600
	if err != nil {
		return fault.New(fault.Internal, "save key", path, err)
	}
	defer os.Remove(f.Name())
	_, err = fmt.Fprintln(f, k.String())
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Link(f.Name(), path) // fails if there is one, and is whole if it does not
	}
	if errors.Is(err, fs.ErrExist) {
		return fault.New(fault.Conflict, "save key", path, err)
	}
	if err != nil {
		return fault.New(fault.Internal, "save key", path, err)
	}
	return nil
}

// String returns the text form: a secret.
func (k *Key) String() string { return secretPrefix + encoding.EncodeToString(k.private.Seed()) }

// LogValue keeps the secret out of logs.
func (k *Key) LogValue() slog.Value { return slog.StringValue(k.Public().String()) }

// Format keeps the secret out of everything that is printed, whatever the verb;
// String alone tells it.
func (k Key) Format(f fmt.State, _ rune) {
	if len(k.private) != ed25519.PrivateKeySize {
		io.WriteString(f, "no key")
		return
	}
	io.WriteString(f, "secret of "+k.Public().String())
}

// Public returns the half that may be known.
func (k *Key) Public() Public { return Public{k.private.Public().(ed25519.PublicKey)} }

// String returns the text form.
func (p Public) String() string { return publicPrefix + encoding.EncodeToString(p.key) }

// message sets signatures for different purposes apart.
func message(context string, msg []byte) []byte {
	b := make([]byte, 0, len(context)+len(msg)+16)
	b = append(b, "become:"...)
	b = append(b, context...)
	b = append(b, 0)
	return append(b, msg...)
}

// Sign signs msg for the purpose that context names.
func (k *Key) Sign(context string, msg []byte) []byte {
	return ed25519.Sign(k.private, message(context, msg))
}

// Verify reports whether sig is the fleet's signature of msg for that purpose.
func (p Public) Verify(context string, msg, sig []byte) bool {
	return len(p.key) == ed25519.PublicKeySize && ed25519.Verify(p.key, message(context, msg), sig)
}

// Role is what a ticket lets its holder do.
type Role string

const (
	RoleOperator Role = "operator" // bosses and clients that hold the key
	RoleNode     Role = "node"
	RoleWorker   Role = "worker"  // a process that runs user code
	RoleService  Role = "service" // a process of a service: it answers requests to its name
	RoleCaller   Role = "caller"  // a program that asks services, and does nothing else: see InboxOf
)

// InboxOf begins the subjects on which a caller or worker of that id hears answers; nobody else does.
func InboxOf(r Role, id string) string { return "_INBOX." + string(r[0]) + "_" + id }

// Claims is what a ticket says.
type Claims struct {
	Role    Role      `json:"role"`
	ID      string    `json:"id"`
	Digest  string    `json:"digest,omitempty"` // of a worker's bundle
	Name    string    `json:"name,omitempty"`   // of a service
	Expires time.Time `json:"exp"`
}

const ticketContext = "ticket"

// Ticket returns the signed claims, to be shown to the bus.
func (k *Key) Ticket(c Claims) string {
	b, err := json.Marshal(c)
	if err != nil { // a time beyond year 9999
		return ""
	}
	return encoding.EncodeToString(b) + "." + encoding.EncodeToString(k.Sign(ticketContext, b))
}

// CheckTicket returns the claims of a ticket of this fleet that has not
// expired. fault.Denied otherwise.
func (p Public) CheckTicket(ticket string, now time.Time) (Claims, error) {
	denied := func(why string) (Claims, error) {
		return Claims{}, fault.Text(fault.Denied, "check ticket", "", why)
	}
	body, sig, ok := strings.Cut(ticket, ".")
	if !ok || len(ticket) > maxText {
		return denied("it is none")
	}
	b, err1 := decode(body)
	s, err2 := decode(sig)
	if err1 != nil || err2 != nil || !p.Verify(ticketContext, b, s) {
		return denied("it is not signed with this fleet's key")
	}
	var c Claims
	if err := json.Unmarshal(b, &c); err != nil {
		return denied("it is damaged")
	}
	if now.After(c.Expires) {
		return denied("it expired " + c.Expires.Format(time.RFC3339))
	}
	return c, nil
}
