package xmlrpc

import (
	"fmt"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/message"
)

// Fault is an error as XML-RPC has it.
type Fault struct {
	Code int64
	Text string
}

func (f *Fault) Error() string { return fmt.Sprintf("fault %d: %s", f.Code, f.Text) }

func (f *Fault) tree() message.Object {
	return message.Object{{Name: "faultCode", Value: f.Code}, {Name: "faultString", Value: f.Text}}
}

func asFault(err error) *Fault {
	return &Fault{codeFailed, "<" + fault.KindOf(err).String() + ">:" + err.Error()}
}
