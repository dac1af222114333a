package console

import (
	"context"
	"errors"
	"strings"
	"unicode/utf8"

	"spillway/internal/proxy"
	"spillway/internal/wire"
)

// SQLSTATEs the console answers with.
const (
	codeFeature    = "0A000" // feature_not_supported
	codeProtocol   = "08P01" // protocol_violation
	codeNoPortal   = "34000" // invalid_cursor_name
	codeNoPrepared = "26000" // invalid_sql_statement_name
	codeRights     = "42501" // insufficient_privilege
	codeSyntax     = "42601" // syntax_error
	codeArgument   = "22023" // invalid_parameter_value
	codeDuplicate  = "42P05" // duplicate_prepared_statement
	codeCursor     = "42P03" // duplicate_cursor
	codeLimit      = "54000" // program_limit_exceeded
	codeNoDatabase = "3D000" // invalid_catalog_name
	codeNoObject   = "42704" // undefined_object
	codeState      = "55000" // object_not_in_prerequisite_state
	codeCanceled   = "57014" // query_canceled
	codeReload     = "F0000" // config_file_error, as PgBouncer's RELOAD
)

// failure is an error the client is told.
type failure struct {
	code, message, detail, hint string
}

func (f *failure) Error() string { return f.message }

func fail(code, message string) *failure { return &failure{code: code, message: message} }

var (
	errTooLong = fail(codeLimit, "query is longer than the console's 64 KiB")
	errTooMany = fail(codeLimit, "query has more than 64 statements")
	errComment = fail(codeSyntax, "comment has no end")
	errQuote   = fail(codeSyntax, "quoted text has no end")
	errRights  = fail(codeRights, "admin access needed")
)

// coded is an error that knows its SQLSTATE.
type coded interface{ SQLState() string }

// report is what a client reads of an error.
func report(err error) wire.Report {
	r := wire.Report{Severity: "ERROR", Code: codeState, Message: err.Error()}
	var (
		f *failure
		c coded
	)
	switch {
	case errors.As(err, &f):
		r = wire.Report{Severity: "ERROR", Code: f.code, Message: f.message, Detail: f.detail, Hint: f.hint}
	case errors.As(err, &c) && len(c.SQLState()) == 5:
		r.Code = c.SQLState()
	case errors.Is(err, proxy.ErrNoDatabase):
		r.Code, r.Hint = codeNoDatabase, "SHOW DATABASES lists those that are known."
	case errors.Is(err, proxy.ErrNoClient):
		r.Code, r.Hint = codeNoObject, "It may have gone. SHOW CLIENTS lists those that are here."
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		r.Code, r.Message = codeCanceled, "canceling command due to its time limit or its client's request"
	}
	r.Message, r.Detail, r.Hint = printable(r.Message), printable(r.Detail), printable(r.Hint)
	return r
}

// printable makes text fit for a C string in UTF-8.
func printable(s string) string {
	if strings.IndexByte(s, 0) >= 0 {
		s = strings.ReplaceAll(s, "\x00", "?")
	}
	return strings.ToValidUTF8(s, "?")
}

const maxEcho = 80 // bytes of a client's text in an error

// echo is a client's own text, short and on one line, for an error.
func echo(s string) string {
	s = strings.Join(strings.Fields(printable(s)), " ")
	if len(s) <= maxEcho {
		return s
	}
	cut := maxEcho
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}
