package node

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net"
	"os"
	"path/filepath"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/keep/register"
	"github.com/universal-server/become/serve/master"
	"github.com/universal-server/become/serve/role"
	"github.com/universal-server/become/serve/stock/cas"
)

// owned is the fleet's register of a role, served to this node's processes of it.
type owned struct {
	reg   *register.Stored
	stop  context.CancelFunc
	ended chan struct{}
}

// spec is an edition's, with the register that all processes of a cas role share, on all nodes. Its name is
// the role's: it keeps its value over editions, and when the role is removed.
func (v *served) spec(ctx context.Context, e role.Edition) (master.Spec, error) {
	spec := e.Spec
	if e.Stock != cas.Name {
		return spec, nil
	}
	if s, err := cas.ReadSettings(spec.Settings); err != nil || s.Register != "" {
		return spec, err
	}
	address, token, err := v.own(ctx)
	if err == nil {
		spec.Settings, err = cas.Share(spec.Settings, address, token)
	}
	return spec, err
}

// own serves the register, unless it does already. Address and token are the same each time that a
// node with this home does so: its processes may outlive it.
func (v *served) own(ctx context.Context) (address, token string, err error) {
	n := v.s.n
	digest := sha256.Sum256([]byte(v.name))
	path := filepath.Join(n.home.Run(), "reg-"+hex.EncodeToString(digest[:8]))
	secret := sha256.Sum256(n.key.Sign("register", []byte(n.ID()+"/"+v.name)))
	address, token = "unix:"+path, hex.EncodeToString(secret[:])
	if v.owned != nil {
		return address, token, nil
	}
	kv, err := n.bus.KV(ctx, bus.Spec{Name: register.Bucket})
	if err != nil {
		return "", "", fetched(err)
	}
	os.Remove(path) // of a node that was killed
	ln, err := net.Listen("unix", path)
	if err != nil {
		return "", "", fault.New(fault.Internal, "serve register", v.name, err)
	}
	serving, stop := context.WithCancel(context.Background())
	o := &owned{reg: register.NewStored(kv, v.name), stop: stop, ended: make(chan struct{})}
	logger := n.opts.Logger.With("role", v.name)
	go func() {
		defer close(o.ended)
		err := register.Serve(serving, ln, secret[:], o.reg, &register.OwnerOptions{Identity: v.name, Logger: logger})
		if err != nil {
			logger.Error("the register can no longer be reached", "err", err)
		}
	}()
	v.owned = o
	return address, token, nil
}

// disown ends the serving of the register, once no process needs it.
func (v *served) disown() {
	if v.owned == nil {
		return
	}
	v.owned.stop()
	<-v.owned.ended
	v.owned.reg.Close()
	v.owned = nil
}
