package console

import (
	"context"
	"errors"
	"io"

	"spillway/internal/wire"
)

// session is the protocol state of one console client. Not safe for concurrent
// use: the proxy hands over one message at a time.
type session struct {
	console *Console
	user    string
	admin   bool

	transaction byte // 'I', or 'T' and 'E' after a BEGIN; zero is 'I'
	skipping    bool // an error in a pipeline: everything up to Sync is passed over
	statements  map[string]*statement
	portals     map[string]*portal
}

// errBroken closes a client that does not speak the protocol.
var errBroken = errors.New("console: protocol violation")

// Message handles one message of the client and appends the reply. The error
// is io.EOF after Terminate.
func (s *session) Message(ctx context.Context, kind byte, body, out []byte) ([]byte, error) {
	switch kind {
	case wire.Terminate:
		return out, io.EOF
	case wire.Sync:
		return s.sync(out), nil
	case wire.Flush, wire.CopyData, wire.CopyDone, wire.CopyFail:
		return out, nil // nothing is ever held back; COPY is never begun
	}
	if s.skipping {
		return out, nil
	}
	switch kind {
	case wire.Query:
		return s.simple(ctx, body, out)
	case wire.Parse, wire.Bind, wire.Describe, wire.Execute, wire.Close:
		return s.extended(ctx, kind, body, out)
	case wire.FunctionCall:
		out = s.refuse(out, fail(codeFeature, "function calls are not supported by the console"))
		return s.ready(out), nil
	}
	return s.broken(out, "unsupported message type for the console")
}

// Close ends the session. There is nothing to give back, and a message may
// still run when its client goes: so it touches nothing.
func (s *session) Close() {}

// simple runs every statement of a query up to the first error.
func (s *session) simple(ctx context.Context, body, out []byte) ([]byte, error) {
	query, rest, ok := wire.CString(body)
	if !ok || len(rest) > 0 {
		return s.broken(out, "invalid Query message")
	}
	s.dropPortal("")
	list, err := split(string(query))
	if err == nil && len(list) == 0 {
		out = wire.AppendEmpty(out, wire.EmptyQueryResponse)
	}
	for _, text := range list {
		var p *plan
		if p, err = s.console.resolve(text); err != nil {
			break
		}
		var a answer
		if err = s.run(ctx, p, &a); err != nil {
			break
		}
		out = appendAnswer(out, p.command, &a)
	}
	if err != nil {
		out = s.refuse(out, err)
	}
	return s.ready(out), nil
}

// run is the one place where commands are run, and so where rights are checked.
func (s *session) run(ctx context.Context, p *plan, a *answer) error {
	if !s.admin && !p.command.stats {
		return errRights
	}
	a.tag = p.command.name
	if p.command.columns != nil {
		a.tag = "SHOW"
	}
	err := p.command.run(ctx, &call{session: s, command: p.command.name, args: p.args}, a)
	if s.console.Verbed != nil && !p.command.stats && p.command.columns == nil {
		s.console.Verbed(ctx, s.user, p.spoken(), err)
	}
	return err
}

// spoken is a verb as the record has it: a setting's value may be a secret.
func (p *plan) spoken() string {
	if p.command.name == "SET" && len(p.args) > 0 {
		return "SET " + echo(p.args[0].text)
	}
	return echo(p.source)
}

// appendAnswer appends all of a simple query's result.
func appendAnswer(out []byte, c *command, a *answer) []byte {
	for _, n := range a.notices {
		out = wire.AppendReport(out, wire.NoticeResponse, n)
	}
	if c.columns != nil {
		out = wire.AppendRowDescription(out, c.columns, nil)
		var scratch [][]byte
		for _, row := range a.rows {
			out, scratch = appendRow(out, c.columns, row, nil, scratch)
		}
	}
	return wire.AppendCommandComplete(out, a.tag)
}

// refuse appends an error and fails the transaction the client believes in.
func (s *session) refuse(out []byte, err error) []byte {
	if s.transaction == wire.InTransaction {
		s.transaction = wire.Failed
	}
	return wire.AppendReport(out, wire.ErrorResponse, report(err))
}

// broken appends a fatal error and has the client closed.
func (s *session) broken(out []byte, message string) ([]byte, error) {
	r := wire.Report{Severity: "FATAL", Code: codeProtocol, Message: message}
	return wire.AppendReport(out, wire.ErrorResponse, r), errBroken
}

func (s *session) ready(out []byte) []byte {
	if s.transaction == 0 {
		s.transaction = wire.Idle
	}
	return wire.AppendReady(out, s.transaction)
}
