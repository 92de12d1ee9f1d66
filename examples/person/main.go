// Person is an API with messages of all sorts: identities, times, enumerations, sets, maps, optional fields, rules.
//
//	go run ./examples/person --listen 127.0.0.1:8080
//	curl -d '{"give_name":"Ada","family_name":"Lovelace","dob":"1815-12-10T00:00:00Z"}' -H 'Content-Type: application/json' http://127.0.0.1:8080/Register
//	curl 'http://127.0.0.1:8080/Find?family_name=Lovelace'
package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"math/big"
	"sync"
	"time"

	"github.com/universal-server/become"
)

// ID is 128 random bits, written as 32 hexadecimal digits.
type ID [16]byte

// MarshalText and UnmarshalText make it a text in messages.
func (id ID) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, id[:]), nil }

func (id *ID) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(string(text))
	if err != nil || len(b) != len(id) {
		return fmt.Errorf("%.40q is no identity; want 32 hexadecimal digits", text)
	}
	copy(id[:], b)
	return nil
}

// Address is part of a person.
type Address struct {
	Street, Town string
	Country      string `default:"GB" pattern:"^[A-Z]{2}$"`
}

// Register asks to keep a person.
type Register struct {
	GiveName   string              `required:"true" minLength:"1" doc:"the name among friends"`
	FamilyName string              `required:"true" minLength:"1"`
	Dob        time.Time           `doc:"date and time of birth" example:"1815-12-10T00:00:00Z"`
	Pronoun    string              `enum:"she,he,they" default:"they"`
	Recent     []float64           `maxLength:"5" doc:"the newest measures, at most five"`
	Tags       map[string]struct{} `doc:"a set"`
	Hours      map[int]float64     `doc:"hours of work by weekday, [day, hours]"`
	Notice     time.Duration       `default:"24h"`
	Fortune    *big.Int            `doc:"exact, however large"`
	Portrait   []byte              `maxLength:"65536" doc:"base64"`
	Home       *Address
}

// Person is one that is kept.
type Person struct {
	PersonID ID `json:"person_id"`
	Register
}

// Find asks for a person by name.
type Find struct {
	FamilyName string `required:"true"`
}

// Nobody is the other answer to Find: a reply names its type.
type Nobody struct{ FamilyName string }

// register keeps people in memory.
type register struct {
	mu     sync.Mutex
	people []Person
}

// Register is the request of that name.
func (r *register) Register(_ context.Context, m Register) (Person, error) {
	p := Person{Register: m}
	rand.Read(p.PersonID[:])
	r.mu.Lock()
	defer r.mu.Unlock()
	r.people = append(r.people, p)
	return p, nil
}

// Find is too; it answers with a Person or with Nobody.
func (r *register) Find(_ context.Context, m Find) (any, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.people {
		if p.FamilyName == m.FamilyName {
			return p, nil
		}
	}
	return Nobody(m), nil
}

func main() {
	become.Serve(become.API("person",
		become.Methods(&register{}, become.RequestOptions{Name: "Find", Replies: []any{Person{}, Nobody{}}}),
	))
}
