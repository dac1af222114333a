package isolation

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// setting is a parameter that clients change; each client to another value.
type setting struct {
	name    string
	initial string                  // as SHOW has it in a session that changed nothing
	value   func(client int) string // as SHOW has it afterwards
}

func settings() []setting {
	numbered := func(format string) func(int) string {
		return func(n int) string { return fmt.Sprintf(format, n) }
	}
	return []setting{
		{"application_name", "", numbered("client-%d")},
		{"TimeZone", "UTC", func(n int) string { return fmt.Sprintf("<+%02d>-%02d", n%24, n%24) }},
		{"DateStyle", "ISO, MDY", func(int) string { return "German, DMY" }},
		{"IntervalStyle", "postgres", func(int) string { return "iso_8601" }},
		{"search_path", `"$user", public`, numbered("s%d, public")},
		{"work_mem", "4MB", func(n int) string { return fmt.Sprintf("%dMB", 5+n%1000) }},
		{"statement_timeout", "0", func(n int) string { return fmt.Sprintf("%dms", 30001+100*n) }},
		{"default_transaction_isolation", "read committed", func(int) string { return "repeatable read" }},
		{"my.own", "", numbered("mine-%d")},
	}
}

// statement is the SQL that sets it.
func (s setting) statement(verb, value string) string {
	if s.name == "search_path" {
		return fmt.Sprintf("%s search_path = %s", verb, value) // a list, not a name with a comma in it
	}
	return fmt.Sprintf("%s %s = '%s'", verb, s.name, value)
}

// model is what a client believes about its own session. It is a value: clone
// before changing a copy.
type model struct {
	user        string
	application string            // application_name of the startup packet
	settings    map[string]string // what SHOW must say
	role        string            // current_user
	scratch     bool              // has the temporary table
	locks       map[int]bool      // session advisory locks held
	listens     bool
	held        bool              // has the cursor WITH HOLD
	sqlPlans    map[string]string // SQL PREPARE, name → answer
	plans       map[string]string // protocol's Parse, name → answer
}

// newModel is a session whose startup packet gave this application_name.
func newModel(user, application string) model {
	m := model{application: application, user: user, role: user, settings: map[string]string{}, locks: map[int]bool{}, sqlPlans: map[string]string{}, plans: map[string]string{}}
	for _, s := range settings() {
		m.settings[s.name] = s.initial
	}
	m.settings["application_name"] = application
	return m
}

func (m model) clone() model {
	m.settings, m.locks = maps.Clone(m.settings), maps.Clone(m.locks)
	m.sqlPlans, m.plans = maps.Clone(m.sqlPlans), maps.Clone(m.plans)
	return m
}

// rolledBack is what a rollback leaves: the model at BEGIN, but for what
// transactions do not undo.
func (m model) rolledBack(begin model) model {
	begin = begin.clone()
	begin.locks, begin.sqlPlans, begin.plans = m.locks, m.sqlPlans, m.plans
	return begin
}

// lookQuery shows in one row of text what could be another's.
func lookQuery() string {
	var cols []string
	for _, s := range settings() {
		cols = append(cols, fmt.Sprintf("coalesce(current_setting('%s', true), '')", s.name))
	}
	cols = append(cols, "current_user", "session_user", "to_regclass('pg_temp.scratch') IS NOT NULL",
		"(SELECT coalesce(string_agg(objid::text, ',' ORDER BY objid), '') FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid())",
		"EXISTS (SELECT FROM pg_listening_channels())", "EXISTS (SELECT FROM pg_cursors WHERE is_holdable)")
	return "SELECT " + strings.Join(cols, ", ")
}

// lookNames names the columns of lookQuery.
func lookNames() []string {
	var names []string
	for _, s := range settings() {
		names = append(names, s.name)
	}
	return append(names, "current_user", "session_user", "temporary table", "advisory locks", "LISTEN", "held cursor")
}

// want is the row that lookQuery must give.
func (m model) want() []string {
	var row []string
	for _, s := range settings() {
		row = append(row, m.settings[s.name])
	}
	var locks []string
	for _, key := range slices.Sorted(maps.Keys(m.locks)) {
		locks = append(locks, fmt.Sprint(key))
	}
	return append(row, m.role, m.user, truth(m.scratch), strings.Join(locks, ","), truth(m.listens), truth(m.held))
}

func truth(b bool) string {
	if b {
		return "t"
	}
	return "f"
}
