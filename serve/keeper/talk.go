package keeper

import (
	"encoding/json"

	"github.com/universal-server/become/serve/wire"
)

// say sends a message after those before, and does not wait for it: a process need not read.
func (l *life) say(m wire.ToProcess) {
	data, err := json.Marshal(m)
	if err != nil {
		return
	}
	before, sent := l.sent, make(chan struct{})
	l.sent = sent
	l.sends.Add(1)
	l.talk.Go(func() {
		defer l.sends.Done()
		defer close(sent)
		if before != nil {
			<-before
		}
		l.conn.Send(data)
	})
}

// listen hears the process until its line ends or is interrupted.
func (l *life) listen() {
	heard := make(chan wire.FromProcess)
	l.heard, l.listens = heard, true
	l.talk.Go(func() {
		defer close(heard)
		l.silence = l.receive(heard)
	})
}

func (l *life) receive(heard chan<- wire.FromProcess) error {
	for {
		frame, err := l.conn.Receive()
		if err != nil {
			return err
		}
		var m wire.FromProcess
		if err := json.Unmarshal(frame, &m); err != nil {
			return err
		}
		heard <- m // follow, still or finish takes it
	}
}
