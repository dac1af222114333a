package console

import (
	"context"
	"slices"
	"strings"

	"spillway/internal/wire"
)

// plan is a statement made out: which command, with what.
type plan struct {
	command *command
	args    []token
	source  string
}

// resolve makes out a statement. It checks no rights: run does, so that a
// prepared statement is checked each time.
func (c *Console) resolve(s statementText) (*plan, error) {
	first := s.tokens[0]
	if first.kind != tokenWord {
		return nil, c.unknown(s)
	}
	switch verb := strings.ToUpper(first.text); verb {
	case "SELECT":
		if p := selected(s, c.Version); p != nil {
			return p, nil
		}
		return c.resolveShow(s)
	case "SHOW":
		return c.resolveShow(s)
	case "SET":
		return c.resolveSet(s)
	default:
		return c.resolveVerb(s, verb)
	}
}

// resolveShow takes all words after SHOW as one name: SHOW STATS TOTALS is SHOW
// STATS_TOTALS.
func (c *Console) resolveShow(s statementText) (*plan, error) {
	words := make([]string, 0, len(s.tokens)-1)
	for _, t := range s.tokens[1:] {
		if t.kind != tokenWord && t.kind != tokenName {
			return nil, c.unknown(s)
		}
		words = append(words, t.text)
	}
	name := strings.Join(words, "_")
	if p := fakedShow(strings.ToLower(name)); p != nil {
		return p, nil
	}
	if strings.EqualFold(name, "FDS") {
		return nil, &failure{
			code: codeFeature, message: "SHOW FDS is not supported",
			detail: "It would send passwords, SCRAM keys and cancel keys.",
			hint:   "To replace a running process use SO_REUSEPORT or socket activation.",
		}
	}
	found := c.language["SHOW "+strings.ToUpper(name)]
	if found == nil {
		return nil, c.unknown(s)
	}
	return &plan{command: found, source: s.source}, nil
}

// resolveVerb prefers a command of two words, so that PAUSE WORKLOAD x can
// stand beside PAUSE db, also where its arguments are missing: KILL QUERIES must
// never be taken for a KILL. A database of such a name is quoted.
func (c *Console) resolveVerb(s statementText, verb string) (*plan, error) {
	if len(s.tokens) > 1 && s.tokens[1].kind == tokenWord {
		two := verb + " " + strings.ToUpper(s.tokens[1].text)
		if found := c.language[two]; found != nil {
			return &plan{command: found, args: s.tokens[2:], source: s.source}, nil
		}
	}
	found := c.language[verb]
	if found == nil {
		return nil, c.unknown(s)
	}
	if found.usage == "" && !found.quiet && len(s.tokens) > 1 {
		return nil, fail(codeSyntax, found.name+" takes no argument")
	}
	return &plan{command: found, args: s.tokens[1:], source: s.source}, nil
}

// unknown is the error for what no command begins with, with those nearest.
func (c *Console) unknown(s statementText) error {
	f := &failure{
		code:    codeSyntax,
		message: "invalid command '" + echo(s.source) + "', use SHOW HELP;",
		hint:    "The console runs no SQL. SHOW HELP lists its commands.",
	}
	if near := c.near(s); len(near) > 0 {
		f.hint = "Did you mean " + strings.Join(near, " or ") + "?"
	}
	return f
}

const (
	maxNear     = 3 // commands proposed
	maxDistance = 3 // letters wrong in them
)

// near returns the names most like the statement's first words.
func (c *Console) near(s statementText) []string {
	words := strings.ToUpper(s.tokens[0].text)
	tried := words
	if words == "SELECT" || words == "SHOW" {
		if len(s.tokens) < 2 {
			return nil
		}
		tried = strings.ToUpper(s.tokens[1].text)
		words = "SHOW " + tried
	}
	var (
		names []string
		best  = min(maxDistance, len(tried)/2)
	)
	for name, command := range c.language {
		d := distance(words, name)
		if command.quiet || d > best {
			continue
		}
		if d < best {
			best, names = d, nil
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return names[:min(len(names), maxNear)]
}

// distance is Levenshtein's, given up above maxDistance.
func distance(a, b string) int {
	if len(a)-len(b) > maxDistance || len(b)-len(a) > maxDistance {
		return maxDistance + 1
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j]+1, row[j+1]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}

// constant is a plan that returns one value.
func constant(column wire.Column, tag string, value cell) *plan {
	return &plan{command: &command{
		name: tag, stats: true, quiet: true, columns: []wire.Column{column},
		run: func(_ context.Context, _ *call, a *answer) error {
			a.row(value)
			a.tag = tag
			return nil
		},
	}}
}
