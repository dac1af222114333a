package console

import (
	"context"
	"strconv"
	"strings"
)

// faked are settings that drivers read from any server, by lower-case name.
// The first five are PgBouncer's, with its values; clients cannot change them.
func faked(name string) (value string, ok bool) {
	switch name {
	case "client_encoding":
		return "UTF-8", true
	case "default_transaction_isolation", "transaction_isolation", "transaction_isolation_level":
		return "read committed", true
	case "standard_conforming_strings":
		return "on", true
	case "datestyle":
		return "ISO", true
	case "timezone", "time_zone":
		return "GMT", true
	case "server_version":
		return Peer + "/bouncer", true
	case "server_encoding":
		return "UTF8", true
	case "transaction_read_only", "default_transaction_read_only", "in_hot_standby":
		return "off", true // libpq's target_session_attrs
	case "is_superuser":
		return "on", true
	}
	return "", false
}

// ignoredSetting tells settings that drivers SET at start-up; nothing depends on
// them.
func ignoredSetting(name string) bool {
	if _, ok := faked(name); ok {
		return true
	}
	switch name {
	case "application_name", "bytea_output", "client_min_messages", "extra_float_digits",
		"idle_in_transaction_session_timeout", "intervalstyle", "lock_timeout", "names",
		"search_path", "session_characteristics", "statement_timeout", "transaction":
		return true
	}
	return false
}

func fakedShow(name string) *plan {
	value, ok := faked(name)
	if !ok {
		return nil
	}
	return constant(columnOf(name, oidText), "SHOW", text(value))
}

// selected answers the few expressions that drivers and health checks select;
// nil for any other.
func selected(s statementText, version string) *plan {
	expression, name := s.tokens[1:], ""
	if n := len(expression); n > 2 && expression[n-2].is("AS") {
		name, expression = expression[n-1].text, expression[:n-2]
	}
	if len(expression) == 0 {
		return nil
	}
	p := selectedValue(expression, version)
	if p != nil && name != "" {
		p.command.columns[0].Name = name
	}
	return p
}

const selectTag = "SELECT 1"

func selectedValue(expression []token, version string) *plan {
	first := expression[0]
	if len(expression) == 1 {
		if first.kind == tokenString {
			return constant(columnOf("?column?", oidText), selectTag, text(first.text))
		}
		if n, err := strconv.ParseInt(first.text, 10, 32); err == nil {
			return constant(columnOf("?column?", oidInt4), selectTag, number(n))
		}
	}
	var joined strings.Builder
	for _, t := range expression {
		if t.kind == tokenString {
			return nil
		}
		joined.WriteString(strings.ToLower(t.text))
	}
	switch strings.TrimPrefix(joined.String(), "pg_catalog.") {
	case "version()":
		return constant(columnOf("version", oidText), selectTag, text("Spillway "+version+" (console of PgBouncer "+Peer+")"))
	case "current_database()":
		return constant(columnOf("current_database", oidText), selectTag, text("pgbouncer"))
	case "current_schema", "current_schema()":
		return constant(columnOf("current_schema", oidText), selectTag, text("public"))
	case "pg_advisory_unlock_all()": // asyncpg, when a connection goes back to its pool
		return constant(columnOf("pg_advisory_unlock_all", oidText), selectTag, text(""))
	case "pg_is_in_recovery()":
		return constant(columnOf("pg_is_in_recovery", oidBool), selectTag, yes(false))
	}
	return nil
}

// resolveSet tells a setting of ours from one that a driver sets by habit.
func (c *Console) resolveSet(s statementText) (*plan, error) {
	key, value, err := assignment(s)
	if err != nil {
		return nil, err
	}
	if ignoredSetting(strings.ToLower(key)) {
		return &plan{command: &command{name: "SET", stats: true, quiet: true, run: setIgnored}, source: s.source}, nil
	}
	args := []token{{kind: tokenName, text: key}, {kind: tokenString, text: value}}
	return &plan{command: c.language["SET"], args: args, source: s.source}, nil
}

// assignment reads SET key = value and its variants. An unquoted value is
// everything up to the statement's end.
func assignment(s statementText) (key, value string, err error) {
	tokens := s.tokens[1:]
	bad := &failure{code: codeSyntax, message: "invalid SET", hint: "Write SET key = 'value'."}
	if len(tokens) > 1 && (tokens[0].is("SESSION") || tokens[0].is("LOCAL")) {
		tokens = tokens[1:]
	}
	if len(tokens) < 2 || tokens[0].kind != tokenWord && tokens[0].kind != tokenName {
		return "", "", bad
	}
	switch first := tokens[0]; {
	case first.is("NAMES"), first.is("TRANSACTION"):
		return first.text, "", nil
	case first.is("CHARACTERISTICS"):
		return "session_characteristics", "", nil
	case first.is("TIME") && tokens[1].is("ZONE"):
		return "time_zone", "", nil
	}
	equals := tokens[1].is("TO") || tokens[1].kind == tokenSymbol && tokens[1].text == "="
	if len(tokens) < 3 || !equals {
		return "", "", bad
	}
	if len(tokens) == 3 {
		return tokens[0].text, tokens[2].text, nil
	}
	skipped := tokens[2].start - s.tokens[0].start
	return tokens[0].text, s.source[skipped:], nil
}

func setIgnored(_ context.Context, _ *call, a *answer) error {
	a.notice("SET ignored", "")
	a.tag = "SET"
	return nil
}
