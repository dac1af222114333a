package console

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// deedColumns are what a containment verb and SHOW ACTIONS return.
var deedColumns = slices.Concat(texts("id", "action", "subject", "state", "until"), int4s("targets", "guarded"), texts("by", "reason", "at", "error"))

// hitColumns are what KILL QUERIES returns. Ages are in seconds.
var hitColumns = slices.Concat(int4s("pid"), texts("workload", "user", "database", "application_name", "state"), numerics("age"),
	texts("fingerprint", "outcome", "sql"))

// containVerbs stand beside PgBouncer's verbs: a second word tells them apart.
func containVerbs() []command {
	const lasting = "[FOR <duration>] [REASON <text>] [DRYRUN]"
	return []command{
		{name: "BAN QUERY", usage: "<fingerprint> [MAX <n>] " + lasting, columns: deedColumns, run: contain("ban", fingerprintFirst)},
		{name: "KILL QUERIES", usage: "[WORKLOAD|USER|DATABASE|APPLICATION <glob>] [STATE <state>] [OLDER <duration>] [FINGERPRINT <f>] [PID <n>] [MAX <n>] [GRACE <duration>] [REASON <text>] [DRYRUN]",
			columns: hitColumns, run: killQueries},
		{name: "LIMIT WORKLOAD", usage: "<workload> <slots> " + lasting, columns: deedColumns, run: contain("limit", workloadFirst, limitFirst)},
		{name: "PAUSE WORKLOAD", usage: "<workload> [QUEUE] [CANCEL] " + lasting, columns: deedColumns, run: contain("pause", workloadFirst)},
		{name: "RESUME WORKLOAD", usage: "<workload> [REASON <text>] [DRYRUN]", columns: deedColumns, run: contain("resume", workloadFirst)},
		{name: "UNBAN QUERY", usage: "<fingerprint> [REASON <text>] [DRYRUN]", columns: deedColumns, run: contain("unban", fingerprintFirst)},
		{name: "UNDO ACTION", usage: "<id> [REASON <text>]", columns: deedColumns, run: contain("undo", actionFirst)},
	}
}

// first reads what a verb's first argument is.
type first func(o *Order, t token) error

func workloadFirst(o *Order, t token) error    { o.Workload = t.text; return nil }
func fingerprintFirst(o *Order, t token) error { o.Fingerprint = t.text; return nil }
func actionFirst(o *Order, t token) error      { o.Action = t.text; return nil }
func limitFirst(o *Order, t token) error       { return number32(&o.Limit, t) }

// contain makes a verb of the arguments it begins with; options follow.
func contain(kind string, firsts ...first) func(context.Context, *call, *answer) error {
	return func(ctx context.Context, c *call, a *answer) error {
		o := Order{Kind: kind}
		if len(c.args) < len(firsts) {
			return c.misused()
		}
		for i, read := range firsts {
			if c.args[i].kind == tokenSymbol {
				return c.misused()
			}
			if err := read(&o, c.args[i]); err != nil {
				return err
			}
		}
		deed, err := c.order(ctx, o, c.args[len(firsts):], a)
		if err != nil {
			return err
		}
		a.row(deed.row()...)
		return nil
	}
}

func killQueries(ctx context.Context, c *call, a *answer) error {
	deed, err := c.order(ctx, Order{Kind: "kill"}, c.args, a)
	if err != nil {
		return err
	}
	now := c.console.Now()
	for _, h := range deed.Hits {
		a.row(number(h.PID), orNull(h.Workload), text(h.User), text(h.Database), orNull(h.Application), text(h.State),
			age(now, h.Since), orNull(h.Fingerprint), orNull(h.Outcome), orNull(h.SQL))
	}
	return nil
}

// order reads the options and has the order carried out.
func (c *call) order(ctx context.Context, o Order, options []token, a *answer) (Deed, error) {
	if c.console.Actions == nil {
		return Deed{}, fail(codeFeature, "this node has no actions")
	}
	if err := c.options(&o, options); err != nil {
		return Deed{}, err
	}
	deed, err := c.console.Actions.Act(ctx, c.user, o)
	var refused *Refused
	switch {
	case errors.As(err, &refused):
		return deed, &failure{code: codeState, message: refused.Message, hint: refused.Hint}
	case err != nil:
		return deed, err
	}
	a.tag = c.command
	a.notice(deed.summary(), "")
	for _, note := range deed.Notes {
		a.notice(note, "")
	}
	return deed, nil
}

func (d *Deed) summary() string {
	text := fmt.Sprintf("action %s: %s %s, %d connections selected", d.ID, d.Action, d.State, d.Targets)
	if d.Guarded > 0 {
		text += fmt.Sprintf(", %d guarded and left alone", d.Guarded)
	}
	if d.Error != "" {
		text += ": " + d.Error
	}
	return text
}

// options reads WORD value pairs and flags. A word that the verb has no use for
// is refused by whoever carries the order out, or has no effect.
func (c *call) options(o *Order, args []token) error {
	flags := map[string]*bool{"QUEUE": &o.Queue, "CANCEL": &o.Cancel, "DRYRUN": &o.DryRun}
	texts := map[string]*string{"REASON": &o.Reason}
	durations := map[string]*time.Duration{"FOR": &o.For}
	numbers := map[string]*int{}
	if o.Kind == "kill" {
		texts = map[string]*string{"REASON": &o.Reason, "WORKLOAD": &o.Workload, "USER": &o.User, "DATABASE": &o.Database,
			"APPLICATION": &o.Application, "STATE": &o.State, "FINGERPRINT": &o.Fingerprint}
		durations = map[string]*time.Duration{"OLDER": &o.OlderThan, "GRACE": &o.Grace}
		numbers["PID"], numbers["MAX"] = &o.PID, &o.Max
	}
	if o.Kind == "ban" {
		numbers["MAX"] = &o.Max
	}
	if o.Kind != "pause" {
		delete(flags, "QUEUE")
		delete(flags, "CANCEL")
	}
	for len(args) > 0 {
		word := upper(args[0])
		if flag := flags[word]; flag != nil {
			*flag, args = true, args[1:]
			continue
		}
		if len(args) < 2 || args[1].kind == tokenSymbol && args[1].text != "*" {
			return c.misused()
		}
		var err error
		switch value := args[1]; {
		case texts[word] != nil:
			*texts[word] = value.text
		case durations[word] != nil:
			*durations[word], err = duration(value)
		case numbers[word] != nil:
			err = number32(numbers[word], value)
		default:
			return c.misused()
		}
		if err != nil {
			return err
		}
		args = args[2:]
	}
	return nil
}

// upper is a bare word in upper case; what is quoted is none.
func upper(t token) string {
	if t.kind != tokenWord {
		return ""
	}
	letters := []byte(t.text)
	for i, b := range letters {
		if b >= 'a' && b <= 'z' {
			letters[i] = b - 'a' + 'A'
		}
	}
	return string(letters)
}

func number32(into *int, t token) error {
	n, err := strconv.ParseInt(t.text, 10, 32)
	if err != nil || n < 0 {
		return &failure{code: codeArgument, message: "'" + echo(t.text) + "' is not a whole number", hint: "Write it like 5."}
	}
	*into = int(n)
	return nil
}

func (d *Deed) row() []cell {
	return []cell{text(d.ID), text(d.Action), orNull(d.Subject), text(d.State), moment(d.Until), number(d.Targets), number(d.Guarded),
		text(d.Who), orNull(d.Reason), moment(d.At), orNull(d.Error)}
}

// moment is NULL for no time.
func moment(t time.Time) cell {
	if t.IsZero() {
		return cell{null: true}
	}
	return text(t.UTC().Format("2006-01-02 15:04:05 UTC"))
}

func showActions(_ context.Context, c *call, a *answer) error {
	if c.console.Actions == nil {
		return nil
	}
	for _, d := range c.console.Actions.Deeds() {
		a.row(d.row()...)
	}
	return nil
}
