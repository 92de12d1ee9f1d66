package main

import (
	"bytes"
	"context"

	"github.com/spf13/cobra"

	"github.com/universal-server/become/ground/fault"
	spans "github.com/universal-server/become/ground/trace/span"
	"github.com/universal-server/become/work/boss"
	"github.com/universal-server/become/work/engine"
	"github.com/universal-server/become/work/task"
)

func (a *app) callCommand() *cobra.Command {
	var expr, address string
	cmd := &cobra.Command{
		Use: "call TARGET [ARG...|k=v...]", Short: "Call a function or an API and print the answer",
		Long: `Call a function, or an API that is at the fleet's bus, and print the answer: a text as it is, all else as JSON.
NAME.REQUEST x=1 y=2 sends an API the message {"x":1,"y":2}; its own types say how each word is read.
With --xmlrpc URL the target is a method of any XML-RPC server, and the arguments are its parameters; k=v
pairs are one struct.

` + targetHelp + `

` + argsHelp + `

With --timeout the function is stopped when the time has passed.`,
		Example: `  become call -e '(n) => n * n' 12
  become call -e '(a, b) => a + b' 1 2
  become call crunch.Multiply x=1.5 y=2.25
  become call ./geometry.js#area 3 4
  become call ./examples/factorial#factorial 20
  become call --xmlrpc http://127.0.0.1:8000 add 3 5
  cat points.json | become call geometry.hull -`,
		ValidArgsFunction: a.completeCall,
	}
	cmd.Flags().StringVarP(&expr, "expr", "e", "", "call this JavaScript `function`")
	cmd.Flags().StringVar(&address, "xmlrpc", "", "call a method of the XML-RPC server at this `URL`")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx := cmd.Context()
		if address != "" {
			return a.traced(ctx, spans.Internal, "become call", func(ctx context.Context) error { return a.askXMLRPC(ctx, address, unguard(args)) })
		}
		aimed, err := a.aim(ctx, expr, cmd.Flags().Changed("expr"), args)
		if err != nil {
			return a.why(ctx, err)
		}
		return a.traced(ctx, spans.Internal, "become call", func(ctx context.Context) error {
			return a.with(ctx, aimed.need(), func(ctx context.Context, s *session) error { return a.callOrAsk(ctx, s, aimed) })
		})
	}
	return cmd
}

// callOrAsk calls a function, or sends a request to an API if there is no such function.
func (a *app) callOrAsk(ctx context.Context, s *session, aimed aim) error {
	to, err := a.resolve(ctx, s, aimed)
	if err != nil && fault.KindOf(err) == fault.NotFound && aimed.mayBeAPI() {
		if found, wrong := a.ask(ctx, s, aimed); found {
			return wrong
		}
	}
	if err != nil {
		return aimed.missing(ctx, s, wantsCall, err)
	}
	ctx, of := spans.Begin(ctx, spans.Client, "call "+to.label)
	err = a.call(ctx, s, to)
	of.End(err)
	return err
}

// ended is a call's outcome.
type ended struct {
	outcome task.Outcome
	by      boss.Worker
}

// sink takes the outcome of one call.
type sink struct {
	a    *app
	done chan ended
}

// Done implements boss.Sink.
func (k sink) Done(_ *boss.Call, o task.Outcome, by boss.Worker) {
	o.Value = bytes.Clone(o.Value)
	k.done <- ended{o, by}
}

// Progress implements boss.Sink.
func (k sink) Progress(_ *boss.Call, value []byte) {
	k.a.logger.Info("progress", "value", string(value))
}

func (a *app) call(ctx context.Context, s *session, to target) error {
	k := sink{a, make(chan ended, 1)}
	c := &boss.Call{Digest: to.digest, Function: to.function, Format: engine.JSON, Input: to.input, Timeout: a.timeout, Sink: k, Place: placeOf(ctx)}
	if err := s.Boss().Start(ctx, c); err != nil {
		return err
	}
	select {
	case e := <-k.done:
		return a.called(ctx, s, to, e)
	case <-ctx.Done():
	}
	s.Boss().Cancel(c)
	return fault.New(fault.KindOf(context.Cause(ctx)), "call", to.label, context.Cause(ctx))
}

func (a *app) called(ctx context.Context, s *session, to target, e ended) error {
	a.logger.Info("answered", "function", to.label, "worker", e.by.ID, "node", e.by.Node, "pid", e.by.PID)
	v, err := s.answer(ctx, byte(engine.JSON), e.outcome)
	if err != nil {
		return about("call", to.label, err)
	}
	return a.printAnswer(v)
}

// about makes sure that an error says what it was about.
func about(op, id string, err error) error {
	return fault.New(fault.KindOf(err), op, id, err)
}
