package bustest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/fault"
)

var messengerTests = []func(*bench){
	EverySubscriberGetsEveryMessageInOrder, WildcardsStandForTokens, BytesAreNotShared,
	OneMemberOfEachGroupGetsAMessage, MembersThatLeaveLoseNothing, NothingComesAfterUnsubscribe,
	ARequestGetsItsAnswer, ARequestCanHaveManyAnswers, RequestsRunBesideEachOther, RequestsFailAsTheyShould,
	BadSubjectsAreRefused, HeadersTravel, DrainingLosesNothing, BadHeadersAreRefused, AMessageTooLargeIsRefused, ASlowSubscriberLosesMessagesAlone,
}

// collect subscribes and hands over what comes.
func (h *bench) collect(b bus.Bus, subject, group string) <-chan bus.Message {
	h.Helper()
	c := make(chan bus.Message, 10_000)
	h.subscribe(b, subject, group, func(m bus.Message) { c <- m })
	return c
}

// subscribe returns when every connection's messages reach the subscription:
// the servers of a cluster take a moment to tell one another.
func (h *bench) subscribe(b bus.Bus, subject, group string, f func(bus.Message)) bus.Subscription {
	h.Helper()
	sub := must(b.Subscribe(h.ctx, subject, group, f))(h)
	h.known(b)
	return sub
}

// known returns when what b has subscribed to, or no longer does, is known to
// every connection's server: they tell one another in order.
func (h *bench) known(b bus.Bus) {
	h.Helper()
	probe := name()
	came := make(chan int, 1)
	sub := must(b.Subscribe(h.ctx, probe, "", func(m bus.Message) {
		select {
		case came <- len(m.Data):
		default:
		}
	}))(h)
	for i, other := range h.all {
		h.until("a subscription is known", func() bool {
			if other.Publish(probe, make([]byte, i)) != nil {
				return true // it is closed
			}
			select {
			case n := <-came:
				return n == i
			case <-time.After(20 * time.Millisecond):
				return false
			}
		})
	}
	h.ok(sub.Unsubscribe())
}

func EverySubscriberGetsEveryMessageInOrder(h *bench) {
	s := name() + ".x"
	same, other := h.collect(h.b, s, ""), h.collect(h.other(), s, "")
	for i := range 1000 {
		h.ok(h.b.Publish(s, fmt.Append(nil, i)))
	}
	for i := range 1000 {
		for _, c := range []<-chan bus.Message{same, other} {
			m := next(h, c)
			if m.Subject != s || string(m.Data) != fmt.Sprint(i) || m.Reply != "" {
				h.Fatalf("message %d is %q %q, reply %q", i, m.Subject, m.Data, m.Reply)
			}
		}
	}
}

func WildcardsStandForTokens(h *bench) {
	n := name()
	one, more := h.collect(h.b, n+".*.end", ""), h.collect(h.b, n+".>", "")
	all := []string{n + ".a.end", n + ".b.end", n + ".a.b.end", n + ".a"}
	for _, s := range append(all, n) {
		h.ok(h.b.Publish(s, nil))
	}
	h.ok(h.b.Publish(n+".z.end", nil))
	var got [2][]string
	for i, c := range []<-chan bus.Message{one, more} {
		for m := next(h, c); m.Subject != n+".z.end"; m = next(h, c) {
			got[i] = append(got[i], m.Subject)
		}
	}
	if !slices.Equal(got[0], all[:2]) {
		h.Errorf("* matched %v", got[0])
	}
	if !slices.Equal(got[1], all) {
		h.Errorf("> matched %v", got[1])
	}
}

func BytesAreNotShared(h *bench) {
	s := name()
	a, b := h.collect(h.b, s, ""), h.collect(h.b, s, "")
	data := []byte("text")
	h.ok(h.b.Publish(s, data))
	copy(data, "XXXX")
	m := next(h, a)
	copy(m.Data, "YYYY")
	if m := next(h, b); string(m.Data) != "text" {
		h.Errorf("got %q", m.Data)
	}
}

func OneMemberOfEachGroupGetsAMessage(h *bench) {
	const n = 400
	s := name()
	var perGroup [2]atomic.Int64
	var plain atomic.Int64
	done := make(chan struct{}, 3*n)
	members := make([]atomic.Int64, 4)
	for i := range members {
		h.subscribe(h.other(), s, fmt.Sprint("g", i%2), func(bus.Message) {
			members[i].Add(1)
			perGroup[i%2].Add(1)
			done <- struct{}{}
		})
	}
	h.subscribe(h.b, s, "", func(bus.Message) { plain.Add(1); done <- struct{}{} })
	for range n {
		h.ok(h.b.Publish(s, nil))
	}
	for range 3 * n {
		next(h, done)
	}
	if perGroup[0].Load() != n || perGroup[1].Load() != n || plain.Load() != n {
		h.Errorf("groups got %d and %d, the rest %d, want %d each", perGroup[0].Load(), perGroup[1].Load(), plain.Load(), n)
	}
	for i := range members {
		if members[i].Load() == 0 {
			h.Errorf("member %d got nothing", i)
		}
	}
}

func MembersThatLeaveLoseNothing(h *bench) {
	s := name()
	stays := h.collect(h.b, s, "g")
	leaver := h.other()
	sub := h.subscribe(leaver, s, "g", func(bus.Message) {})
	h.ok(sub.Unsubscribe())
	h.known(leaver)
	for range 100 {
		h.ok(h.b.Publish(s, nil))
	}
	for range 100 {
		next(h, stays)
	}
}

func NothingComesAfterUnsubscribe(h *bench) {
	s := name()
	var over atomic.Bool
	var late atomic.Int64
	sub := must(h.b.Subscribe(h.ctx, s, "", func(bus.Message) {
		if over.Load() {
			late.Add(1)
		}
	}))(h)
	for range 1000 {
		h.ok(h.b.Publish(s, nil))
	}
	h.ok(sub.Unsubscribe())
	over.Store(true)
	rest := h.collect(h.b, s, "")
	for range 1000 {
		h.ok(h.b.Publish(s, nil))
	}
	for range 1000 {
		next(h, rest)
	}
	if late.Load() > 1 { // one may have been under way
		h.Errorf("%d messages came after Unsubscribe", late.Load())
	}
	h.ok(sub.Unsubscribe())
}

func ARequestGetsItsAnswer(h *bench) {
	s := name()
	server := h.other()
	h.subscribe(server, s, "", func(m bus.Message) {
		server.Publish(m.Reply, append([]byte("re: "), m.Data...))
		server.Publish(m.Reply, []byte("too many"))
	})
	for i := range 50 {
		got := must(h.b.Request(h.ctx, bus.Message{Subject: s, Data: fmt.Append(nil, i)}))(h)
		if string(got.Data) != fmt.Sprint("re: ", i) {
			h.Fatalf("answer %d is %q", i, got)
		}
	}
}

func ARequestCanHaveManyAnswers(h *bench) {
	s := name()
	for range 3 {
		server := h.other()
		h.subscribe(server, s, "", func(m bus.Message) { server.Publish(m.Reply, m.Data) })
	}
	inbox := h.b.Inbox()
	if inbox == h.b.Inbox() || inbox == h.other().Inbox() {
		h.Error("an inbox was given out twice")
	}
	answers := h.collect(h.b, inbox, "")
	h.ok(h.b.Send(bus.Message{Subject: s, Reply: inbox, Data: []byte("hi")}))
	for range 3 {
		if m := next(h, answers); string(m.Data) != "hi" {
			h.Errorf("answer %q", m.Data)
		}
	}
}

func RequestsRunBesideEachOther(h *bench) {
	s := name()
	var held []bus.Message
	server := h.other()
	h.subscribe(server, s, "", func(m bus.Message) { // answers when all have asked, the last first
		if held = append(held, m); len(held) == 20 {
			for _, m := range slices.Backward(held) {
				server.Publish(m.Reply, m.Data)
			}
		}
	})
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			got, err := h.b.Request(h.ctx, bus.Message{Subject: s, Data: fmt.Append(nil, i)})
			if err != nil || string(got.Data) != fmt.Sprint(i) {
				h.Errorf("request %d got %q, %v", i, got, err)
			}
		})
	}
	wg.Wait()
}

func RequestsFailAsTheyShould(h *bench) {
	s := name()
	_, err := h.b.Request(h.ctx, bus.Message{Subject: s})
	h.kind("nobody listens", err, fault.NotFound)

	asked := h.collect(h.other(), s, "")
	ctx, cancel := context.WithTimeout(h.ctx, 50*time.Millisecond)
	defer cancel()
	_, err = h.b.Request(ctx, bus.Message{Subject: s})
	h.kind("nobody answers", err, fault.Deadline)
	next(h, asked)

	ctx, cancel = context.WithCancel(h.ctx)
	go func() {
		<-asked
		cancel()
	}()
	_, err = h.b.Request(ctx, bus.Message{Subject: s})
	h.kind("given up", err, fault.Canceled)
	_, err = h.b.Request(ctx, bus.Message{Subject: s})
	h.kind("given up before", err, fault.Canceled)
}

func BadSubjectsAreRefused(h *bench) {
	for _, s := range []string{"", ".", "a.", ".a", "a..b", "a b", "a\tb", "a\r\nPING", "a\x00"} {
		_, err := h.b.Subscribe(h.ctx, s, "", func(bus.Message) {})
		h.kind(fmt.Sprintf("subscribe to %q", s), err, fault.Invalid)
		h.kind(fmt.Sprintf("publish to %q", s), h.b.Publish(s, nil), fault.Invalid)
		_, err = h.b.Request(h.ctx, bus.Message{Subject: s})
		h.kind(fmt.Sprintf("request %q", s), err, fault.Invalid)
	}
	_, err := h.b.Subscribe(h.ctx, "a.>.b", "", func(bus.Message) {})
	h.kind("> in the middle", err, fault.Invalid)
	for _, s := range []string{"a.*", "a.>", "*", ">"} {
		h.kind(fmt.Sprintf("publish to %q", s), h.b.Publish(s, nil), fault.Invalid)
	}
	for _, s := range []string{"b c", "become.want", "_INBOX.*", "inbox.a"} {
		h.kind("answers to "+s, h.b.Send(bus.Message{Subject: "a", Reply: s}), fault.Invalid)
	}
	// The connection is as good as before.
	s := name()
	c := h.collect(h.b, s, "")
	h.ok(h.b.Publish(s, nil))
	next(h, c)
}

func AMessageTooLargeIsRefused(h *bench) {
	s := name()
	c := h.collect(h.b, s, "")
	h.kind("too large", h.b.Publish(s, make([]byte, bus.MaxMessage+1)), fault.Invalid)
	large := strings.Repeat("x", bus.MaxMessage)
	h.ok(h.b.Publish(s, []byte(large)))
	if m := next(h, c); string(m.Data) != large {
		h.Errorf("got %d bytes", len(m.Data))
	}
}

func ASlowSubscriberLosesMessagesAlone(h *bench) {
	const n, step = 80_000, 10_000 // more than anybody keeps for a subscriber
	s := name()
	free := make(chan struct{})
	var slow, fast atomic.Int64
	var once sync.Once
	end, mark := make(chan struct{}), make(chan struct{})
	slowBus := h.other()
	h.subscribe(slowBus, s, "", func(m bus.Message) {
		<-free
		if slow.Add(1); len(m.Data) > 0 {
			once.Do(func() { close(end) })
		}
	})
	h.subscribe(slowBus, s+".mark", "", func(bus.Message) { close(mark) })
	h.subscribe(h.other(), s, "", func(bus.Message) { fast.Add(1) })
	for i := range n {
		h.ok(h.b.Publish(s, nil))
		if i%step == step-1 {
			h.until("the fast one keeps up", func() bool { return fast.Load() == int64(i+1) })
		}
	}
	h.ok(h.b.Publish(s+".mark", nil))
	next(h, mark) // the slow one's connection has taken or dropped all of them
	close(free)
	h.until("the slow one got what was kept", func() bool { return slow.Load() >= step })
	h.until("the slow one hears again", func() bool {
		h.ok(h.b.Publish(s, []byte("end")))
		select {
		case <-end:
			return true
		default:
			return false
		}
	})
	if slow.Load() >= n {
		h.Errorf("%d messages were kept for the slow one", slow.Load())
	}
}

// Two members of a group come and go while messages flow: each message is delivered once.
func DrainingLosesNothing(h *bench) {
	s := name()
	const messages = 2000
	var got atomic.Int64
	all := make(chan struct{})
	member := func(bus.Message) {
		if got.Add(1) == messages {
			close(all)
		}
	}
	h.subscribe(h.other(), s, "g", member)
	var wg sync.WaitGroup
	wg.Go(func() {
		for range messages {
			h.ok(h.b.Publish(s, nil))
		}
	})
	for range 20 {
		sub := must(h.b.Subscribe(h.ctx, s, "g", member))(h)
		h.ok(sub.Drain())
		h.ok(sub.Drain())
	}
	wg.Wait()
	select {
	case <-all:
	case <-h.ctx.Done():
		h.Errorf("%d of %d messages came", got.Load(), messages)
	}
}

func HeadersTravel(h *bench) {
	s := name()
	server := h.other()
	h.subscribe(server, s, "", func(m bus.Message) {
		server.Send(bus.Message{Subject: m.Reply, Header: map[string]string{"Got": m.Header["Given"], "lower-Case": "kept"}})
	})
	got := must(h.b.Request(h.ctx, bus.Message{Subject: s, Header: map[string]string{"Given": "a: b, c"}}))(h)
	if len(got.Data) != 0 || !maps.Equal(got.Header, map[string]string{"Got": "a: b, c", "lower-Case": "kept"}) {
		h.Errorf("got %q with %q", got.Data, got.Header)
	}
	h.ok(server.Publish(s, nil)) // the answer to nowhere is refused
	all := h.collect(h.b, s+"all", "")
	h.ok(server.Send(bus.Message{Subject: s + "all", Header: map[string]string{"Long": strings.Repeat("x", bus.MaxHeader-8)}, Data: make([]byte, bus.MaxMessage)}))
	if m := next(h, all); len(m.Header["Long"]) != bus.MaxHeader-8 || len(m.Data) != bus.MaxMessage {
		h.Errorf("got %d bytes and %d", len(m.Header["Long"]), len(m.Data))
	}
}

func BadHeadersAreRefused(h *bench) {
	for _, header := range []map[string]string{
		{"": "x"}, {"a b": "x"}, {"a:": "x"}, {"a": "x\r\nPUB b 0"}, {"a": "\x00"}, {"a": " x"}, {"é": "x"}, {"Long": strings.Repeat("x", bus.MaxHeader)},
	} {
		m := bus.Message{Subject: name(), Header: header}
		h.kind(fmt.Sprintf("send with %.20q", header), h.b.Send(m), fault.Invalid)
		_, err := h.b.Request(h.ctx, m)
		h.kind(fmt.Sprintf("request with %.20q", header), err, fault.Invalid)
	}
}
