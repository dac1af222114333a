package console

import (
	"context"
	"errors"

	"spillway/internal/wire"
)

// Bounds on what one session keeps.
const (
	maxNamed = 256 // prepared statements, and portals
	maxName  = 255 // bytes of a name
)

// statement is a prepared statement; plan is nil for an empty query.
type statement struct {
	plan *plan
}

func (s *statement) columns() []wire.Column {
	if s.plan == nil {
		return nil
	}
	return s.plan.command.columns
}

// portal is a bound statement, and its result once it was executed.
type portal struct {
	statement *statement
	formats   []int16
	executed  bool
	answer    answer
	sent      int // rows sent
}

// extended handles one message of the extended protocol; an error skips the
// rest up to Sync.
func (s *session) extended(ctx context.Context, kind byte, body, out []byte) ([]byte, error) {
	var err error
	r := &reader{rest: body}
	start := len(out)
	switch kind {
	case wire.Parse:
		out, err = s.parse(r, out)
	case wire.Bind:
		out, err = s.bind(r, out)
	case wire.Describe:
		out, err = s.describe(r, out)
	case wire.Execute:
		out, err = s.execute(ctx, r, out)
	case wire.Close:
		out, err = s.closeNamed(r, out)
	}
	if errors.Is(err, errMalformed) {
		return s.broken(out[:start], "malformed message from client")
	}
	if err != nil {
		s.skipping = true
		return s.refuse(out[:start], err), nil
	}
	return out, nil
}

func (s *session) sync(out []byte) []byte {
	s.skipping = false
	if s.transaction != wire.InTransaction {
		clear(s.portals)
	}
	return s.ready(out)
}

func (s *session) parse(r *reader, out []byte) ([]byte, error) {
	name, query := r.text(), r.text()
	types := r.count(4)
	r.skip(4 * types)
	if !r.done() {
		return out, errMalformed
	}
	if types > 0 {
		return out, errParameters
	}
	if len(name) > maxName {
		return out, errName
	}
	if name != "" && s.statements[name] != nil {
		return out, fail(codeDuplicate, "prepared statement \""+echo(name)+"\" already exists")
	}
	if len(s.statements) >= maxNamed && s.statements[name] == nil {
		return out, fail(codeLimit, "too many prepared statements for the console")
	}
	list, err := split(query)
	if err != nil {
		return out, err
	}
	prepared := &statement{}
	switch len(list) {
	case 0:
	case 1:
		if prepared.plan, err = s.console.resolve(list[0]); err != nil {
			return out, err
		}
	default:
		return out, fail(codeSyntax, "cannot insert multiple commands into a prepared statement")
	}
	s.dropStatement(name)
	s.statements[name] = prepared
	return wire.AppendEmpty(out, wire.ParseComplete), nil
}

var errName = fail(codeLimit, "name is longer than 255 bytes")

var errParameters = &failure{
	code: codeFeature, message: "the console takes no query parameters", hint: "Write the value into the command.",
}

func (s *session) bind(r *reader, out []byte) ([]byte, error) {
	name, from := r.text(), r.text()
	r.skip(2 * r.count(2))
	values := r.count(4)
	for range values {
		r.value()
	}
	formats := r.codes()
	if !r.done() {
		return out, errMalformed
	}
	prepared, err := s.statement(from)
	if err != nil {
		return out, err
	}
	if values > 0 {
		return out, errParameters
	}
	if len(formats) > 1 && len(formats) != len(prepared.columns()) {
		return out, fail(codeProtocol, "bind message's result formats do not fit the columns")
	}
	for _, f := range formats {
		if f != formatText && f != formatBinary {
			return out, fail(codeArgument, "unsupported format code")
		}
	}
	if len(name) > maxName {
		return out, errName
	}
	if name != "" && s.portals[name] != nil {
		return out, fail(codeCursor, "portal \""+echo(name)+"\" already exists")
	}
	if len(s.portals) >= maxNamed && s.portals[name] == nil {
		return out, fail(codeLimit, "too many portals for the console")
	}
	s.portals[name] = &portal{statement: prepared, formats: formats}
	return wire.AppendEmpty(out, wire.BindComplete), nil
}

func (s *session) describe(r *reader, out []byte) ([]byte, error) {
	what, name := r.byte(), r.text()
	if !r.done() {
		return out, errMalformed
	}
	switch what {
	case 'S':
		prepared, err := s.statement(name)
		if err != nil {
			return out, err
		}
		out = append(out, wire.ParameterDescription, 0, 0, 0, 6, 0, 0)
		return appendDescription(out, prepared.columns(), nil), nil
	case 'P':
		p, err := s.portal(name)
		if err != nil {
			return out, err
		}
		return appendDescription(out, p.statement.columns(), p.formats), nil
	}
	return out, errMalformed
}

func appendDescription(out []byte, columns []wire.Column, formats []int16) []byte {
	if columns == nil {
		return wire.AppendEmpty(out, wire.NoData)
	}
	return wire.AppendRowDescription(out, columns, formats)
}

func (s *session) execute(ctx context.Context, r *reader, out []byte) ([]byte, error) {
	name, limit := r.text(), int(int32(r.uint32()))
	if !r.done() {
		return out, errMalformed
	}
	p, err := s.portal(name)
	if err != nil {
		return out, err
	}
	if p.statement.plan == nil {
		return wire.AppendEmpty(out, wire.EmptyQueryResponse), nil
	}
	command := p.statement.plan.command
	if p.executed && command.columns == nil {
		return out, fail(codeState, "portal \""+echo(name)+"\" cannot be run again")
	}
	if !p.executed {
		if err := s.run(ctx, p.statement.plan, &p.answer); err != nil {
			return out, err
		}
		p.executed = true
		for _, n := range p.answer.notices {
			out = wire.AppendReport(out, wire.NoticeResponse, n)
		}
	}
	return p.appendRows(out, limit), nil
}

// appendRows appends up to limit rows more; all when limit is not positive.
func (p *portal) appendRows(out []byte, limit int) []byte {
	rows := p.answer.rows[p.sent:]
	if limit > 0 && limit < len(rows) {
		rows = rows[:limit]
	}
	columns := p.statement.columns()
	var scratch [][]byte
	for _, row := range rows {
		out, scratch = appendRow(out, columns, row, p.formats, scratch)
	}
	p.sent += len(rows)
	if p.sent < len(p.answer.rows) {
		return wire.AppendEmpty(out, wire.PortalSuspended)
	}
	return wire.AppendCommandComplete(out, p.answer.tag)
}

func (s *session) closeNamed(r *reader, out []byte) ([]byte, error) {
	what, name := r.byte(), r.text()
	if !r.done() {
		return out, errMalformed
	}
	switch what {
	case 'S':
		s.dropStatement(name)
	case 'P':
		s.dropPortal(name)
	default:
		return out, errMalformed
	}
	return wire.AppendEmpty(out, wire.CloseComplete), nil
}

func (s *session) statement(name string) (*statement, error) {
	if found := s.statements[name]; found != nil {
		return found, nil
	}
	return nil, fail(codeNoPrepared, "prepared statement \""+echo(name)+"\" does not exist")
}

func (s *session) portal(name string) (*portal, error) {
	if found := s.portals[name]; found != nil {
		return found, nil
	}
	return nil, fail(codeNoPortal, "portal \""+echo(name)+"\" does not exist")
}

// dropStatement forgets a prepared statement and the portals bound to it.
func (s *session) dropStatement(name string) {
	gone := s.statements[name]
	if gone == nil {
		return
	}
	delete(s.statements, name)
	for key, p := range s.portals {
		if p.statement == gone {
			delete(s.portals, key)
		}
	}
}

func (s *session) dropPortal(name string) { delete(s.portals, name) }
