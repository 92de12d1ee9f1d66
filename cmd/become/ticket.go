package main

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/universal-server/become/fleet"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/home"
	"github.com/universal-server/become/ground/key"
)

// natsContext is what the nats tool keeps of a server, in a file of its contexts.
type natsContext struct {
	Description string `json:"description"`
	URL         string `json:"url"`
	Token       string `json:"token"`
	InboxPrefix string `json:"inbox_prefix"`
}

func (a *app) ticketCommand() *cobra.Command {
	lasts := time.Hour
	cmd := &cobra.Command{
		Use: "ticket", Short: "Let a program of NATS ask the fleet's services", Args: wants(0, 0, "no argument"),
		Long: `Print what lets a program that speaks NATS ask the services of this machine's node, as a context of the nats tool
(https://github.com/nats-io/natscli): an address, a token, and the prefix of its inboxes, which must be used. Who has it can ask every
API and see how it does ($SRV.PING, $SRV.INFO, $SRV.STATS), and nothing else, until it expires. The node must listen at loopback.`,
		Example: `  become key ticket > ~/.config/nats/context/become.json
  nats --context become micro ls
  nats --context become micro stats crunch
  nats --context become req crunch.Multiply 'x=1.5&y=2.25'`,
		RunE: func(*cobra.Command, []string) error {
			c, err := a.ticket(lasts)
			if err != nil {
				return err
			}
			text, err := json.MarshalIndent(c, "", "  ")
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(a.out, "%s\n", text)
			return err
		},
	}
	cmd.Flags().DurationVar(&lasts, "for", lasts, "how `long` it is good, as in 30m or 8h; up to the next full second")
	return cmd
}

// ticket makes one for the node that runs on this machine, or the one that --nats says.
func (a *app) ticket(lasts time.Duration) (c natsContext, err error) {
	const op = "make ticket"
	if lasts <= 0 {
		return c, fault.Text(fault.Invalid, op, "--for "+lasts.String(), "it would be expired")
	}
	at, err := a.busAt()
	if err != nil {
		return c, err
	}
	u, err := url.Parse(at)
	if err != nil || u.Host == "" {
		return c, fault.Text(fault.Invalid, op, fmt.Sprintf("%.100q", at), "want an address as in nats://127.0.0.1:4222")
	}
	if ip := net.ParseIP(u.Hostname()); (ip == nil || !ip.IsLoopback()) && u.Hostname() != "localhost" {
		return c, fault.Text(fault.Invalid, op, u.Redacted(), "the bus speaks the fleet's own TLS there, which no other program knows").
			WithHint("become call asks services from everywhere")
	}
	k, err := fleet.ReadKey(a.keyFor(a.homeDir()))
	if err != nil {
		return c, err
	}
	id, expires := strings.ToLower(rand.Text()[:10]), expiry(time.Now(), lasts)
	return natsContext{
		Description: "services of become, until " + expires.Format(time.RFC3339), URL: at,
		Token:       k.Ticket(key.Claims{Role: key.RoleCaller, ID: id, Expires: expires}),
		InboxPrefix: key.InboxOf(key.RoleCaller, id),
	}, nil
}

// expiry is when a ticket expires that is good for so long: tickets are for whole seconds, and this one is not to be too short.
func expiry(now time.Time, lasts time.Duration) time.Time {
	return now.Add(lasts + time.Second - 1).UTC().Truncate(time.Second)
}

// busAt is the address of the fleet's bus, as far as it is known without asking anybody.
func (a *app) busAt() (string, error) {
	if u := a.givenURL(); u != "" {
		return u, nil
	}
	dir := a.homeDir()
	contact, ok, err := home.Find(dir)
	if err == nil && !ok {
		err = noNode(dir)
	}
	return contact.URL, err
}
