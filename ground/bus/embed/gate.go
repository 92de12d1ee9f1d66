package embed

import (
	"log/slog"
	"regexp"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/universal-server/become/ground/bus/jet"
	"github.com/universal-server/become/ground/key"
)

// gate lets in who holds a ticket of the fleet.
type gate struct {
	public key.Public
	logger *slog.Logger
}

// Check reports whether the client may come in, and gives it its rights.
func (g *gate) Check(c server.ClientAuthentication) bool {
	claims, err := g.public.CheckTicket(c.GetOpts().Token, time.Now())
	if err != nil {
		if g.logger != nil {
			g.logger.Warn("refused a connection to the bus", "from", c.RemoteAddress(), "err", err)
		}
		return false
	}
	user := &server.User{Username: string(claims.Role) + " " + claims.ID}
	switch claims.Role {
	case key.RoleNode, key.RoleOperator:
	case key.RoleWorker:
		user.Permissions = workerRights(claims)
	case key.RoleService:
		if !serviceName.MatchString(claims.Name) || claims.Name == "become" || strings.HasPrefix(claims.Name, "become_") {
			return false
		}
		user.Permissions = serviceRights(claims)
	case key.RoleCaller:
		user.Permissions = callerRights(claims)
	default:
		return false
	}
	c.RegisterUser(user)
	return true
}

// serviceName is what a service may be named at the bus: nothing that the fleet or NATS uses.
var serviceName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]*$`)

// serviceRights are those of a process that answers requests to its name, as a NATS micro service. It publishes to inboxes only, whose names
// nobody guesses. Why not by NATS's right to respond? That one is for whatever subject a request names, and who asks could name one of the fleet.
func serviceRights(c key.Claims) *server.Permissions {
	listen := []string{c.Name + ".>"}
	for _, verb := range []string{"PING", "INFO", "STATS"} {
		listen = append(listen, "$SRV."+verb, "$SRV."+verb+"."+c.Name, "$SRV."+verb+"."+c.Name+".*")
	}
	return &server.Permissions{
		Publish:   &server.SubjectPermission{Allow: []string{"_INBOX.>"}},
		Subscribe: &server.SubjectPermission{Allow: listen},
	}
}

// callerRights are those of a program that asks services for what they do and how they are: NAME.REQUEST, and $SRV. No subject of the fleet's
// own, and none of JetStream's, has two parts, but become's and those that its streams would keep.
func callerRights(c key.Claims) *server.Permissions {
	return &server.Permissions{
		Publish:   &server.SubjectPermission{Allow: []string{"*.*", "$SRV.>"}, Deny: []string{"become.>", "become_job.>", "become_result.>", "become_dead.>", "_INBOX.>"}},
		Subscribe: &server.SubjectPermission{Allow: []string{key.InboxOf(c.Role, c.ID) + ".>"}},
	}
}

// workerRights are those of a process that runs user code: its own bundle's
// jobs and results, values, and calling others. Nothing that administers a stream,
// nothing that changes code or names, no other process's answers.
func workerRights(c key.Claims) *server.Permissions {
	jobs := "become_job"
	publish := []string{
		// As a boss: finding workers, submitting jobs, cancelling them.
		"become.want", "become.wake", "become.progress.>", jobs + ".>", "$KV.become_tombs.>",
		// Its bundle's results and dead letters.
		"become_result." + c.Digest + ".>", "become_dead." + c.Digest + ".>",
		// Values by reference.
		"$O.become_values.>",
		// Its jobs: consumer of its own filters, acknowledgements.
		"$JS.API.INFO",
		"$JS.API.CONSUMER.CREATE." + jobs + ".*.become_job." + c.Digest + ".run.>",
		"$JS.API.CONSUMER.CREATE." + jobs + ".*.become_job." + c.Digest + ".solo.>",
		"$JS.FC.>",
	}
	for _, class := range []string{"run", "solo"} {
		consumer := jet.ConsumerName(jobs + "." + c.Digest + "." + class + ".>")
		publish = append(publish, "$JS.API.CONSUMER.MSG.NEXT."+jobs+"."+consumer, "$JS.API.CONSUMER.INFO."+jobs+"."+consumer, "$JS.ACK."+jobs+"."+consumer+".>")
	}
	for _, store := range []string{jobs, "become_result", "become_dead", "KV_become_names", "KV_become_bundles", "KV_become_tombs", "OBJ_become_code", "OBJ_become_values"} {
		publish = append(publish, "$JS.API.STREAM.INFO."+store)
	}
	for _, store := range []string{"become_result", "KV_become_names", "KV_become_bundles", "KV_become_tombs", "OBJ_become_values"} {
		publish = append(publish,
			"$JS.API.STREAM.MSG.GET."+store, "$JS.API.DIRECT.GET."+store, "$JS.API.DIRECT.GET."+store+".>",
			// Watching and reading by short-lived consumers.
			"$JS.API.CONSUMER.CREATE."+store, "$JS.API.CONSUMER.CREATE."+store+".>", "$JS.API.CONSUMER.DELETE."+store+".*", "$JS.API.CONSUMER.INFO."+store+".*")
	}
	return &server.Permissions{
		Publish: &server.SubjectPermission{Allow: publish},
		Subscribe: &server.SubjectPermission{Allow: []string{
			key.InboxOf(c.Role, c.ID) + ".>", "become.up.>", "become.down.>", "become.cancel." + c.Digest,
			"become.progress.>", "become_result.>",
		}},
	}
}
