package keeper

import (
	"github.com/universal-server/become/ground/cert"
	"github.com/universal-server/become/serve/wire"
)

// renewCertificate loads the certificate of the current generation again. The caller has begun an operation.
func (k *Keeper) renewCertificate() error {
	k.mu.Lock()
	g := k.current
	pair := g.certificate
	k.mu.Unlock()
	if pair == nil {
		return nil
	}
	pair, err := pair.Again()
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	g.certificate = pair
	return nil
}

// certificateOf is what processes of a generation show.
func (k *Keeper) certificateOf(g *generation) *wire.Certificate {
	k.mu.Lock()
	defer k.mu.Unlock()
	if g.certificate == nil {
		return nil
	}
	return &wire.Certificate{Cert: g.certificate.Cert, Key: g.certificate.Key}
}

// reloaded is the certificate of a program that comes back. One that cannot be loaded any more is shown as it was.
func reloaded(pair *cert.Pair) *cert.Pair {
	if pair == nil {
		return nil
	}
	if fresh, err := pair.Again(); err == nil {
		return fresh
	}
	return pair
}
