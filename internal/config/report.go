package config

import (
	"fmt"
	"os"
	"strings"
	"unicode/utf8"

	"spillway/internal/proxy"
)

// Report is what `spillway check` says about a file.
type Report struct {
	Path     string
	Problems Problems // errors and warnings by position
	Summary  []Fact   // of a config without errors
	failed   error    // the file could not be read at all
}

// Fact is one line of a summary.
type Fact struct{ Name, Value string }

// Check reads, decodes and checks the file at path as Load does.
func Check(path string) Report {
	text, err := readBounded(path, maxFile)
	if err != nil {
		return Report{Path: path, failed: fmt.Errorf("read config: %w", err)}
	}
	c, problems := parseAll(input{name: path, text: string(text), env: os.LookupEnv})
	r := Report{Path: path, Problems: problems}
	if r.OK() {
		r.Summary = c.Summary()
	}
	return r
}

// OK reports whether Load would take the file.
func (r Report) OK() bool {
	errors, _ := r.Problems.Split()
	return r.failed == nil && len(errors) == 0
}

// Text is the report for people: every problem, or ok and the summary.
func (r Report) Text() string {
	var b strings.Builder
	if r.failed != nil {
		fmt.Fprintf(&b, "%s: %v\n", r.Path, r.failed)
		return b.String()
	}
	if len(r.Problems) > 0 {
		b.WriteString(r.Problems.Text())
		b.WriteByte('\n')
	}
	errors, warnings := r.Problems.Split()
	if len(errors) > 0 {
		fmt.Fprintf(&b, "%s: %s\n", r.Path, tally(len(errors), len(warnings)))
		return b.String()
	}
	verdict := "ok"
	if len(warnings) > 0 {
		verdict = "ok, " + tally(0, len(warnings))
	}
	fmt.Fprintf(&b, "%s: %s\n", r.Path, verdict)
	width := 0
	for _, f := range r.Summary {
		width = max(width, utf8.RuneCountInString(f.Name))
	}
	for _, f := range r.Summary {
		fmt.Fprintf(&b, "  %-*s  %s\n", width, f.Name, f.Value)
	}
	return b.String()
}

func tally(errors, warnings int) string {
	plural := func(n int, word string) string {
		if n == 1 {
			return "1 " + word
		}
		return fmt.Sprintf("%d %ss", n, word)
	}
	switch {
	case warnings == 0:
		return plural(errors, "error")
	case errors == 0:
		return plural(warnings, "warning")
	}
	return plural(errors, "error") + ", " + plural(warnings, "warning")
}

// Summary says in a few lines what the config amounts to; no secret is in it.
func (c *Config) Summary() []Fact {
	facts := []Fact{{"listen", c.listenSummary()}, {"admin", orNone(c.Admin)}}
	for _, name := range sortedKeys(c.Servers) {
		facts = append(facts, Fact{"server " + quoteKey(name), c.Servers[name].summary()})
	}
	for i, name := range sortedKeys(c.Databases) {
		if i == maxShownNames {
			facts = append(facts, Fact{"databases", fmt.Sprintf("and %d more", len(c.Databases)-i)})
			break
		}
		facts = append(facts, Fact{"database " + quoteKey(name), c.databaseSummary(name)})
	}
	facts = append(facts, Fact{"users", c.userSummary()}, Fact{"tls", c.TLS.Mode})
	for _, name := range sortedKeys(c.Servers) {
		facts = append(facts, Fact{"budget " + quoteKey(name), c.budgetSummary(name)})
	}
	for i := range facts {
		facts[i].Value = c.origin.scrub(facts[i].Value)
	}
	return facts
}

// maxShownNames bounds lists in summaries.
const maxShownNames = 20

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

func (c *Config) listenSummary() string {
	var parts []string
	for _, l := range c.listens() {
		parts = append(parts, strings.TrimPrefix(l.Network+" ", "tcp ")+l.Address)
	}
	return strings.Join(parts, ", ")
}

func (s *Server) summary() string {
	var hosts []string
	for _, h := range s.target.hosts {
		hosts = append(hosts, addressText(h))
	}
	text := strings.Join(hosts, ", ") + ", sslmode " + s.SSLMode
	if s.TargetSessionAttrs != "any" {
		text += ", " + s.TargetSessionAttrs
	}
	return text
}

func addressText(a proxy.Address) string {
	if strings.HasPrefix(a.Host, "/") {
		return fmt.Sprintf("%s/.s.PGSQL.%d", a.Host, a.Port)
	}
	if strings.Contains(a.Host, ":") {
		return fmt.Sprintf("[%s]:%d", a.Host, a.Port)
	}
	return fmt.Sprintf("%s:%d", a.Host, a.Port)
}

func (c *Config) databaseSummary(name string) string {
	d := c.Databases[name]
	target := d.DBName
	switch {
	case target == "" && name == "*":
		target = "the name asked for"
	case target == "":
		target = name
	}
	mode := d.PoolMode
	if mode == "" {
		mode = c.Pool.Mode
	}
	text := fmt.Sprintf("%s on %s, %s, %s for each user", target, quoteKey(d.Server), mode, sum(c.poolSize(d), c.reservePool(d)))
	if most := c.maxServers(d); most > 0 {
		text += fmt.Sprintf(", %d over all", most)
	}
	if d.Disabled {
		text += ", disabled"
	}
	return text
}

func (c *Config) userSummary() string {
	text := fmt.Sprintf("%s, %d known here", c.Auth.Type, len(c.loaded.secrets))
	if c.Auth.User != "" {
		text += ", others looked up"
	}
	return text
}

// budgetSummary shows what a server has against what is asked of it.
func (c *Config) budgetSummary(server string) string {
	s := c.Servers[server]
	if s.MaxConnections == 0 {
		return fmt.Sprintf("asked of the server, less its reserved and foreign connections and %d operator slots", s.OperatorSlots)
	}
	text := s.arithmetic()
	pools := 0
	for name, d := range c.Databases {
		if d.Server == server && name != "*" {
			pools += c.poolSize(d) + c.reservePool(d)
		}
	}
	text += fmt.Sprintf("; one pool of each named database could ask for %d", pools)
	if pools > s.budget() {
		text += ", so they share"
	}
	if share := c.shares(); share > 0 {
		text += fmt.Sprintf("; shares guarantee %d", share)
	}
	return text
}

func (c *Config) shares() int {
	total := 0
	for _, w := range c.Workloads {
		total += w.Share
	}
	return total
}
