package act

import (
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Kind is what an action does.
type Kind string

// Kinds.
const (
	Pause     Kind = "pause"     // refuse or queue a workload's new transactions; stands
	Resume    Kind = "resume"    // end a workload's pauses
	Limit     Kind = "limit"     // another limit for a workload; stands
	Kill      Kind = "kill"      // cancel, then end, holders behind Spillway
	Ban       Kind = "ban"       // refuse or cap a statement; stands
	Unban     Kind = "unban"     // end a statement's bans
	Terminate Kind = "terminate" // as Kill, connections that do not come through Spillway
	Run       Kind = "run"       // a command of the config's runbook
	Undo      Kind = "undo"      // end what another action made stand
)

func kinds() []Kind {
	return []Kind{Pause, Resume, Limit, Kill, Ban, Unban, Terminate, Run, Undo}
}

// stands tells kinds whose effect lasts until it expires or is undone.
func (k Kind) stands() bool { return k == Pause || k == Limit || k == Ban }

// Duration is a time.Duration that JSON writes as "10m0s".
type Duration time.Duration

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("duration %q is not like 90s or 10m", string(text))
	}
	*d = Duration(v)
	return nil
}

// Order is what somebody asks for.
type Order struct {
	Kind        Kind      `json:"kind"`
	Workload    string    `json:"workload,omitempty"`    // pause, resume, limit
	Queue       bool      `json:"queue,omitempty"`       // pause: new transactions wait instead of being refused
	Cancel      bool      `json:"cancel,omitempty"`      // pause: also kill what the workload holds
	Limit       int       `json:"limit,omitempty"`       // limit: slots
	Fingerprint string    `json:"fingerprint,omitempty"` // ban, unban: 16 hexadecimal digits
	Max         int       `json:"max,omitempty"`         // ban: most at once, 0 none; kill, terminate: most targets
	Select      Selection `json:"select,omitzero"`       // kill, terminate
	Server      string    `json:"server,omitempty"`      // terminate: where; may be left out when there is one only
	Command     string    `json:"command,omitempty"`     // run: its name
	Action      string    `json:"action,omitempty"`      // undo: the ID
	Grace       Duration  `json:"grace,omitempty"`       // kill: between cancel and termination; 0 = 5 s
	For         Duration  `json:"for,omitempty"`         // how long it stands; 0 = the config's default
	Reason      string    `json:"reason,omitempty"`
	Key         string    `json:"key,omitempty"` // idempotency: the same key acts once
	DryRun      bool      `json:"dry_run,omitempty"`
}

// Bounds on an order.
const (
	maxText  = 500 // bytes of a reason or a name
	maxGrace = time.Minute
	// defaultGrace is guards.md's: terminate 5 s after the cancel.
	defaultGrace = 5 * time.Second
	maxPIDs      = 1000
)

// Refusal is an order that is not carried out.
type Refusal struct {
	Why  Why
	Text string
	Hint string
}

// Why sorts refusals.
type Why uint8

// Reasons to refuse.
const (
	Wrong     Why = iota // the order makes no sense
	Forbidden            // the caller may not
	Unknown              // it names what is not there
	TooMany              // it hits more than it may
	Conflict             // its key was used for another order, or too much is under way
)

// Error implements error.
func (r *Refusal) Error() string {
	if r.Hint == "" {
		return r.Text
	}
	return r.Text + " (" + r.Hint + ")"
}

func wrong(text, hint string) error { return &Refusal{Wrong, text, hint} }

// check refuses what cannot be meant, and fills in defaults.
func (o *Order) check(rules *Rules) error {
	for _, text := range []string{o.Workload, o.Server, o.Command, o.Action, o.Key, o.Reason} {
		if len(text) > maxText || !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
			return wrong("a text of the order is longer than 500 bytes or holds control characters", "")
		}
	}
	if o.Max < 0 || o.Limit < 0 || o.For < 0 || o.Grace < 0 || time.Duration(o.Grace) > maxGrace {
		return wrong("a number of the order is negative, or the grace is above 1m", "")
	}
	if o.Grace == 0 {
		o.Grace = Duration(defaultGrace)
	}
	if err := o.checkKind(); err != nil {
		return err
	}
	if !o.Kind.stands() {
		return nil
	}
	if o.For == 0 {
		o.For = Duration(rules.For)
	}
	if time.Duration(o.For) > rules.Longest {
		return wrong(fmt.Sprintf("it would stand for %v, and the most is %v", time.Duration(o.For), rules.Longest), "Raise actions.longest, or change the config for good.")
	}
	return nil
}

func (o *Order) checkKind() error {
	switch o.Kind {
	case Pause, Resume:
		return o.needs(o.Workload, "a workload")
	case Limit:
		if o.Limit < 1 {
			return wrong("a limit is one slot or more", "To stop a workload, pause it.")
		}
		return o.needs(o.Workload, "a workload")
	case Ban, Unban:
		_, err := o.print()
		return err
	case Kill, Terminate:
		return o.Select.check()
	case Run:
		return o.needs(o.Command, "a command of the runbook")
	case Undo:
		return o.needs(o.Action, "an action's ID")
	}
	return wrong(fmt.Sprintf("there is no action %q", string(o.Kind)), "Actions are pause, resume, limit, kill, ban, unban, terminate, run and undo.")
}

func (o *Order) needs(value, what string) error {
	if value == "" {
		return wrong(string(o.Kind)+" needs "+what, "")
	}
	return nil
}

// print reads the fingerprint.
func (o *Order) print() (uint64, error) {
	n, err := strconv.ParseUint(o.Fingerprint, 16, 64)
	if err != nil || n == 0 {
		return 0, wrong(fmt.Sprintf("fingerprint %q is not one", o.Fingerprint), "It is up to 16 hexadecimal digits, as `spillway queries` shows it.")
	}
	return n, nil
}

// Subject is what the order acts on, for scopes and for telling which of two
// standing actions replaces the other.
func (o *Order) Subject() string {
	switch o.Kind {
	case Pause, Resume, Limit:
		return o.Workload
	case Ban, Unban:
		return strings.ToLower(strings.TrimLeft(o.Fingerprint, "0"))
	case Kill, Terminate:
		return o.Select.Workload
	case Run:
		return o.Command
	case Undo:
	}
	return o.Action
}

// Names says in a few words what the order acts on, for people.
func (o *Order) Names() string {
	switch o.Kind {
	case Kill, Terminate:
		return o.Select.text()
	case Limit:
		return fmt.Sprintf("%s to %d", o.Workload, o.Limit)
	case Pause, Resume, Ban, Unban, Run, Undo:
	}
	return o.Subject()
}

func (s *Selection) text() string {
	var parts []string
	for _, one := range [][2]string{{"workload", s.Workload}, {"user", s.User}, {"database", s.Database}, {"application", s.Application},
		{"state", s.State}, {"fingerprint", s.Fingerprint}} {
		if one[1] != "" {
			parts = append(parts, one[0]+"="+one[1])
		}
	}
	if s.OlderThan > 0 {
		parts = append(parts, "older="+time.Duration(s.OlderThan).String())
	}
	if len(s.PIDs) > 0 {
		parts = append(parts, fmt.Sprintf("pid=%d", s.PIDs[0]))
	}
	if len(s.PIDs) > 1 {
		parts[len(parts)-1] += fmt.Sprintf(" and %d more", len(s.PIDs)-1)
	}
	return strings.Join(parts, " ")
}

// Selection says which holders are meant: all that is given must fit.
type Selection struct {
	Workload    string   `json:"workload,omitempty"`    // glob; so the following
	User        string   `json:"user,omitempty"`        //
	Database    string   `json:"database,omitempty"`    //
	Application string   `json:"application,omitempty"` //
	State       string   `json:"state,omitempty"`       // active, idle-in-transaction, idle
	OlderThan   Duration `json:"older_than,omitempty"`  // of the statement, or of the silence
	Fingerprint string   `json:"fingerprint,omitempty"`
	PIDs        []int    `json:"pids,omitempty"` // of server backends
}

// States a selection may name.
const (
	StateActive = "active"
	StateInTxn  = "idle-in-transaction"
	StateIdle   = "idle"
)

func (s *Selection) check() error {
	if s.empty() {
		return wrong("it would hit everybody: select by workload, user, database, application, state, age, fingerprint or pid", "")
	}
	for _, glob := range []string{s.Workload, s.User, s.Database, s.Application} {
		if _, err := path.Match(glob, ""); err != nil || len(glob) > maxText {
			return wrong(fmt.Sprintf("pattern %q is not a glob", glob), "* stands for any letters, ? for one.")
		}
	}
	s.State = strings.ReplaceAll(s.State, " ", "-") // as pg_stat_activity has it
	switch s.State {
	case "", StateActive, StateInTxn, StateIdle:
	default:
		return wrong(fmt.Sprintf("there is no state %q", s.State), "States are active, idle-in-transaction and idle.")
	}
	if s.Fingerprint != "" {
		o := Order{Fingerprint: s.Fingerprint}
		if _, err := o.print(); err != nil {
			return err
		}
	}
	if s.OlderThan < 0 || len(s.PIDs) > maxPIDs {
		return wrong("an age is negative, or there are more than 1000 pids", "")
	}
	return nil
}

func (s *Selection) empty() bool {
	return s.Workload == "" && s.User == "" && s.Database == "" && s.Application == "" && s.State == "" &&
		s.OlderThan == 0 && s.Fingerprint == "" && len(s.PIDs) == 0
}
