package differential

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"

	"spillway/test/raw"
)

// step is what is sent in one go and what is then waited for.
type step struct {
	send  []byte
	until string // types that must come, in this order; "$" is the end of the connection
}

// script is a conversation. It must say the same however often and beside
// whomever it runs.
type script struct {
	name   string
	params map[string]string // of the startup packet, beside user and database
	steps  []step
	alone  bool // must not be played by several clients at once
}

// say is a step that waits for one ReadyForQuery per Query, Sync and
// FunctionCall.
func say(messages ...pgproto3.FrontendMessage) step {
	s := step{send: encode(messages...)}
	for _, m := range messages {
		switch m.(type) {
		case *pgproto3.Query, *pgproto3.Sync, *pgproto3.FunctionCall:
			s.until += "Z"
		}
	}
	return s
}

// sayUntil is a step that waits for these types.
func sayUntil(until string, messages ...pgproto3.FrontendMessage) step {
	return step{send: encode(messages...), until: until}
}

func encode(messages ...pgproto3.FrontendMessage) []byte {
	b, err := raw.Encode(messages...)
	if err != nil {
		panic(fmt.Sprintf("encode script: %v", err)) // a script that cannot be is a mistake in this file
	}
	return b
}

// place is where a script is played.
type place struct {
	addr     string
	database string
	split    *rand.Rand // nil: nothing is split
	// PgBouncer refuses a startup packet that comes in pieces.
	wholeHello bool
}

// play plays a script and returns what was said, a line per message.
func (p place) play(sc script) ([]string, error) {
	c, err := raw.Dial(p.addr)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if !p.wholeHello {
		c.Split = p.split
	}
	params := map[string]string{"user": "postgres", "database": p.database}
	for k, v := range sc.params {
		params[k] = v
	}
	hello, err := c.Login(params)
	scribe := &raw.Scribe{}
	lines := greeting(scribe, hello)
	if err != nil || len(hello) == 0 || hello[len(hello)-1].Type != 'Z' {
		return lines, err
	}
	c.Split = p.split
	for i, s := range sc.steps {
		lines, err = playStep(c, s, scribe, lines)
		if err != nil {
			return lines, fmt.Errorf("step %d: %w", i+1, err)
		}
	}
	return lines, nil
}

// playStep sends while it reads: neither side's buffers may hold up the other.
func playStep(c *raw.Conn, s step, scribe *raw.Scribe, lines []string) ([]string, error) {
	for _, sent := range raw.Sent(s.send) {
		lines = append(lines, "> "+sent)
	}
	sending := make(chan error, 1)
	go func() { sending <- c.Send(s.send) }()
	got, err := readStep(c, s.until)
	for _, m := range got {
		lines = append(lines, "< "+scribe.Line(m))
	}
	sendErr := <-sending
	if s.until == "$" && errors.Is(err, io.EOF) {
		return append(lines, "< (closed)"), nil
	}
	return lines, errors.Join(err, sendErr)
}

func readStep(c *raw.Conn, until string) ([]raw.Message, error) {
	if until != "$" {
		return c.ReadUntil(until)
	}
	var all []raw.Message
	for {
		m, err := c.Read()
		if err != nil {
			// Bytes still under way when a server closes make it a reset.
			if strings.Contains(err.Error(), "connection reset") {
				err = io.EOF
			}
			return all, err
		}
		all = append(all, m)
	}
}

// greeting describes what came before the first ReadyForQuery; the order of
// parameters has no meaning.
func greeting(scribe *raw.Scribe, hello []raw.Message) []string {
	var params, others []string
	for _, m := range hello {
		line := "< " + scribe.Line(m)
		if m.Type == 'S' {
			params = append(params, line)
		} else {
			others = append(others, line)
		}
	}
	slices.Sort(params)
	return append(params, others...)
}

// firstDifference describes where two transcripts part, with what led to it;
// "" if they do not.
func firstDifference(direct, pooled []string) string {
	n := min(len(direct), len(pooled))
	at := 0
	for at < n && direct[at] == pooled[at] {
		at++
	}
	if at == len(direct) && at == len(pooled) || unprepared(pooled, at) {
		return ""
	}
	var b strings.Builder
	for _, line := range direct[max(0, at-12):at] {
		fmt.Fprintf(&b, "    %s\n", line)
	}
	for i, side := range [][]string{direct, pooled} {
		name := []string{"direct", "pooled"}[i]
		for _, line := range side[at:min(len(side), at+4)] {
			fmt.Fprintf(&b, "%s: %s\n", name, line)
		}
		if at >= len(side) {
			fmt.Fprintf(&b, "%s: (nothing more)\n", name)
		}
	}
	return b.String()
}

// unprepared tells the one difference that transaction mode cannot help: in a
// transaction that has failed, a statement prepared on another server cannot be
// prepared on this one any more, so that its Bind and Describe get 25P02 where
// PostgreSQL would say a little more. Nothing behind it is compared.
func unprepared(pooled []string, at int) bool {
	if at >= len(pooled) || !strings.HasPrefix(pooled[at], `< ErrorResponse C="25P02"`) {
		return false
	}
	for i := at - 1; i >= 0; i-- {
		if state, ok := strings.CutPrefix(pooled[i], "< ReadyForQuery "); ok {
			return state == "E"
		}
	}
	return false
}
