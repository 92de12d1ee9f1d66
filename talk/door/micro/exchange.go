package micro

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/trace"
	"github.com/universal-server/become/ground/trace/span"
	"github.com/universal-server/become/talk/api"
	"github.com/universal-server/become/talk/door/problem"
)

// exchange is a request whose answer is awaited.
type exchange struct {
	service  *Service
	endpoint *endpoint
	ctx      context.Context // of the request
	reply    string          // where the answer goes; empty: nobody wants it
	begun    time.Time
	span     *span.Span // nil if nobody makes them
	data     []byte     // of the answer, once it is encoded
}

// few bytes are enough for most answers.
const few = 128

// Encode is for the API: see api.Exchange.
func (x *exchange) Encode(r api.Reply) (err error) {
	x.data, err = x.service.api.AppendReply(make([]byte, 0, few), r)
	if err == nil && len(x.data) > bus.MaxMessage {
		err = fault.Text(fault.Internal, "answer", x.endpoint.handler.Name, "the answer is larger than a message may be")
	}
	return err
}

// Answer is for the API: see api.Exchange.
func (x *exchange) Answer(err error, _ bool) {
	out := bus.Message{Subject: x.reply, Data: x.data}
	if err != nil {
		p := problem.For(trace.RequestID(x.ctx), err)
		out.Data, _ = json.Marshal(&p)
		out.Header = map[string]string{headerError: oneLine(p.Detail), headerCode: strconv.Itoa(p.Status), trace.RequestField: p.RequestID}
	}
	x.endpoint.count(time.Since(x.begun), err)
	x.span.Served(err)
	if x.reply == "" {
		return
	}
	if err := x.service.bus.Send(out); err != nil {
		x.service.logger.Warn("an answer could not be sent", "api", x.service.self.Name, "request", x.endpoint.handler.Name, "err", err)
	}
}
