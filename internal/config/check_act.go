package config

import (
	"encoding/hex"
	"fmt"
	"path"
	"time"
)

func (k *checker) checkActing() {
	a := &k.c.Actions
	if a.For <= 0 || a.For > a.Longest {
		k.fail(k.nearer("actions.for", "actions.longest"), complaint{what: fmt.Sprintf("actions.for %v is not between 0 and actions.longest %v", a.For, a.Longest), mend: "for: 1h"})
	}
	for _, name := range sortedKeys(k.c.Tokens) {
		k.checkToken(join("tokens", name), name, k.c.Tokens[name])
	}
	for _, name := range sortedKeys(k.c.Runbook) {
		k.checkCommand(join("runbook", name), name, k.c.Runbook[name])
	}
	for _, name := range sortedKeys(k.c.Automatic) {
		k.checkAutomatic(join("automatic", name), name, k.c.Automatic[name])
	}
}

func (k *checker) checkToken(at, name string, t *Token) {
	if b, err := hex.DecodeString(t.Hash); (err != nil || len(b) != 32) && !k.broken(join(at, "hash")) {
		k.fail(join(at, "hash"), complaint{what: fmt.Sprintf("token %s has no hash of 64 hexadecimal digits", quoteKey(name)), mend: "`spillway token` makes a token with its hash; the token itself does not stand here"})
	}
	for _, glob := range t.Scope {
		if _, err := path.Match(glob, ""); err != nil || glob == "" {
			k.fail(join(at, "scope"), complaint{what: fmt.Sprintf("scope %q is not a glob", glob), mend: `scope: [pause, "kill:batch*"]`})
		}
	}
	if t.Expires == "" {
		return
	}
	var err error
	if t.until, err = time.Parse(time.RFC3339, t.Expires); err != nil {
		if t.until, err = time.Parse(time.DateOnly, t.Expires); err != nil {
			k.fail(join(at, "expires"), complaint{what: fmt.Sprintf("expires %q is neither a date nor a time", t.Expires), mend: "expires: 2027-06-30, or 2027-06-30T12:00:00Z"})
		}
	}
}

// maxCommandTime bounds a command of the runbook.
const maxCommandTime = 10 * time.Minute

func (k *checker) checkCommand(at, name string, c *Command) {
	if (len(c.Command) == 0 || c.Command[0] == "") && !k.broken(join(at, "command")) {
		k.fail(at, complaint{what: fmt.Sprintf("runbook command %s names no program", quoteKey(name)), mend: "command: [kubectl, rollout, restart, deploy/api]"})
	}
	if len(c.DryRun) > 0 && c.DryRun[0] == "" {
		k.fail(join(at, "dry_run"), complaint{what: "dry_run names no program", mend: "leave it out"})
	}
	if c.Timeout <= 0 || c.Timeout > maxCommandTime {
		k.fail(join(at, "timeout"), complaint{what: fmt.Sprintf("timeout %v is not between 0 and %v", c.Timeout, maxCommandTime), mend: "timeout: 1m"})
	}
}

func (k *checker) checkAutomatic(at, name string, a *Automatic) {
	if a.Detector == "" && !k.broken(join(at, "detector")) {
		k.fail(at, complaint{what: fmt.Sprintf("automatic action %s names no detector", quoteKey(name)), why: "nothing acts on a guess", mend: "detector: storm"})
	}
	if a.Action == "" && !k.broken(join(at, "action")) {
		k.fail(at, complaint{what: fmt.Sprintf("automatic action %s names no action", quoteKey(name)), mend: "action: ban"})
	}
	if _, err := path.Match(a.Workload, ""); err != nil {
		k.fail(join(at, "workload"), complaint{what: fmt.Sprintf("workload pattern %q is not a glob", a.Workload), mend: `workload: "batch*"`})
	}
	switch {
	case a.Action == "run" && k.c.Runbook[a.Command] == nil:
		k.fail(k.nearer(join(at, "command"), at), complaint{what: fmt.Sprintf("the runbook has no command %q", a.Command), mend: "command: one of runbook"})
	case a.Action == "limit" && a.Limit < 1:
		k.fail(k.nearer(join(at, "limit"), at), complaint{what: "limit needs a number of slots", mend: "limit: 5"})
	case a.Every <= 0:
		k.fail(join(at, "every"), complaint{what: "every is 0: the rule would act without pause", mend: "every: 5m"})
	case a.For > k.c.Actions.Longest:
		k.fail(join(at, "for"), complaint{what: fmt.Sprintf("for %v is above actions.longest %v", a.For, k.c.Actions.Longest), mend: "for: 10m"})
	}
}
