package talk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/universal-server/become/bench/load"
	"github.com/universal-server/become/bench/peers"
	"github.com/universal-server/become/bench/rig"
)

// starter starts a peer.
type starter = func(context.Context, string) (*peers.Peer, error)

// loaded is a server's URL, and the load that is put on it.
type loaded func(url string) (load.Web, error)

// versus puts the load on our example and on each rival, in turns. The last rivals may fail requests.
func versus(ctx context.Context, b *rig.Bench, example, path string, put loaded, row rig.Row, goals []float64, strict int, starts ...starter) ([]rig.Row, error) {
	addr, stop, err := serving(ctx, b, example)
	if err != nil {
		return nil, err
	}
	defer stop()
	const turn = time.Second // wrk counts in seconds
	ours, err := put("http://" + addr + path)
	if missing, ok := errors.AsType[*rig.Missing](err); ok {
		row.Missing = missing.Error()
		return []rig.Row{row}, nil
	}
	if err != nil {
		return nil, err
	}
	sides, rivals := []rig.Side{ours.Rate(turn)}, []peers.Rival{}
	for i, start := range starts {
		r, err := peers.Against(ctx, b, start)
		if err != nil {
			return nil, err
		}
		defer r.Stop()
		var side rig.Side
		if r.Peer != nil {
			theirs, err := put("http://" + r.Addr + path)
			if err != nil {
				return nil, err
			}
			if side = theirs.Loosely(turn); i < strict {
				side = theirs.Rate(turn)
			}
		}
		rivals, sides = append(rivals, r), append(sides, side)
	}
	t, err := rig.TakeTurns(ctx, b.Rounds, sides...)
	if err != nil {
		return nil, err
	}
	var rows []rig.Row
	for i, r := range rivals {
		rows = append(rows, t.Compare(r.Row(row.Measure, row.Unit, 0, 0, rig.Times(goals[i])), 0, i+1))
	}
	return rows, nil
}

// get: a request by GET, at 64 connections.
func get(ctx context.Context, b *rig.Bench) ([]rig.Row, error) {
	const path, want = "/Multiply?x=1.5&y=2.25", `"value":3.375`
	put := func(url string) (load.Web, error) {
		if err := check(ctx, http.MethodGet, url, "", want); err != nil {
			return load.Web{}, err
		}
		return load.NewWeb(url)
	}
	return versus(ctx, b, "crunch", path, put, rig.Row{Measure: "GET /Multiply, 64 connections", Unit: "/s"},
		[]float64{0.85, 4, 14}, 2, peers.BareJSON, peers.GunicornJSON, peers.LayerCake)
}

const xmlCall = `<?xml version='1.0'?><methodCall><methodName>add</methodName><params>` +
	`<param><value><int>3</int></value></param><param><value><int>5</int></value></param></params></methodCall>`

// xmlrpc: add(3, 5), by 32 callers.
func xmlrpc(ctx context.Context, b *rig.Bench) ([]rig.Row, error) {
	script := filepath.Join(b.Dir, "xmlrpc.lua")
	text := fmt.Sprintf("wrk.method = \"POST\"\nwrk.headers[\"Content-Type\"] = \"text/xml\"\nwrk.body = %q\n", xmlCall)
	if err := os.WriteFile(script, []byte(text), 0o600); err != nil {
		return nil, err
	}
	put := func(url string) (load.Web, error) {
		if err := check(ctx, http.MethodPost, url, xmlCall, ">8<"); err != nil {
			return load.Web{}, err
		}
		w, err := load.NewWeb(url)
		return w.Posting(script, 32), err
	}
	return versus(ctx, b, "xmlrpc", "/RPC2", put, rig.Row{Measure: "XML-RPC add(3, 5), 32 callers", Unit: "/s"},
		[]float64{8}, 0, peers.SimpleXMLRPC)
}

// check asks once, and looks at the answer: wrk does not.
func check(ctx context.Context, method, url, body, want string) error {
	r, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader([]byte(body)))
	if err != nil {
		return err
	}
	if body != "" {
		r.Header.Set("Content-Type", "text/xml")
	}
	r.Close = true
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	if err == nil && !bytes.Contains(bytes.ReplaceAll(got, []byte(" "), nil), []byte(want)) {
		err = fmt.Errorf("%s answers %s", url, got)
	}
	return err
}
