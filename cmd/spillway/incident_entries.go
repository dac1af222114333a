package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// incidentEntry is a command that writes something with flags of its own.
type incidentEntry struct {
	use, short, example string
	args                cobra.PositionalArgs
	flags               func(*pflag.FlagSet)
	verb                string // of the incident that the first word names
	path                string // instead: of none in particular
	body                func(args []string) (map[string]any, error)
	done                func(answer map[string]any) string
}

func newIncidentEntry(e incidentEntry) *cobra.Command {
	var i incidents
	cmd := &cobra.Command{
		Use: e.use, Short: e.short, Example: e.example, Args: usage(e.args),
		RunE: func(cmd *cobra.Command, args []string) error {
			body, err := e.body(args)
			if err != nil {
				return err
			}
			path := strings.Replace(i.path("", ""), "incidents/", e.path, 1)
			if e.verb != "" {
				path = i.path(args[0], e.verb)
			}
			return i.post(cmd, path, body, e.done)
		},
	}
	i.writer(cmd)
	e.flags(cmd.Flags())
	return cmd
}

// stamped adds a time to a body, unless none is given.
func stamped(body map[string]any, key, given string) (map[string]any, error) {
	at, err := parseWhen(given)
	if !at.IsZero() {
		body[key] = at
	}
	return body, err
}

func noteEntry() incidentEntry {
	var when, clock, link string
	return incidentEntry{
		use: "note ID TEXT...", short: "Put a note on the timeline, and set one of its clocks with it", args: cobra.MinimumNArgs(2), verb: "note", done: said("noted"),
		flags: func(f *pflag.FlagSet) {
			f.StringVar(&when, "at", "", "when it happened, if not now; UTC")
			f.StringVar(&clock, "clock", "", "what it marks: impact-start, alert, acknowledged, escalated, cause-known, decision, first-action, partial, restored, resolved, stable")
			f.StringVar(&link, "link", "", "where more is to be seen")
		},
		body: func(args []string) (map[string]any, error) {
			return stamped(map[string]any{"text": strings.Join(args[1:], " "), "clock": clock, "link": link}, "when", when)
		},
	}
}

func declareEntry() incidentEntry {
	var severity int
	var since string
	return incidentEntry{
		use: "declare TITLE...", short: "Open an incident by hand", args: cobra.MinimumNArgs(1), path: "incidents",
		done: func(answer map[string]any) string { return fmt.Sprint("opened ", answer["id"]) },
		flags: func(f *pflag.FlagSet) {
			f.IntVar(&severity, "severity", 0, "1 to 5; by rule when left out")
			f.StringVar(&since, "since", "", "when the impact began, if not now; UTC")
		},
		body: func(args []string) (map[string]any, error) {
			return stamped(map[string]any{"title": strings.Join(args, " "), "severity": severity}, "started", since)
		},
	}
}

func changeEntry() incidentEntry {
	var when, link string
	return incidentEntry{
		use: "change TEXT...", short: "Mark a change elsewhere, such as a deployment: incidents of the week after name it", args: cobra.MinimumNArgs(1),
		path: "changes", done: said("marked"),
		flags: func(f *pflag.FlagSet) {
			f.StringVar(&when, "at", "", "when it was made, if not now; UTC")
			f.StringVar(&link, "link", "", "where more is to be seen")
		},
		body: func(args []string) (map[string]any, error) {
			return stamped(map[string]any{"text": strings.Join(args, " "), "link": link}, "when", when)
		},
	}
}

func impactEntry() incidentEntry {
	var parts []string
	var affected, active float64
	return incidentEntry{
		use: "impact ID", short: "Declare an impact that Spillway could not measure", args: cobra.ExactArgs(1), verb: "impact", done: said("declared"),
		example: "  spillway incident impact last --part 100%,03:15,03:33 --part 50%,03:33,03:36\n" +
			"  spillway incident impact last --users 2000 --active 2000",
		flags: func(f *pflag.FlagSet) {
			f.StringArrayVar(&parts, "part", nil, "how much went wrong from when to when: 100%,03:15,03:33 (UTC)")
			f.Float64Var(&affected, "users", 0, "users affected")
			f.Float64Var(&active, "active", 0, "users active at that time")
		},
		body: func([]string) (map[string]any, error) { return impactBody(parts, affected, active) },
	}
}

func itemEntry() incidentEntry {
	var n int
	var kind, owner, due, ticket string
	var done bool
	return incidentEntry{
		use: "item ID TEXT...", short: "Add an action item, or change the one that --n names", args: cobra.MinimumNArgs(2), verb: "items",
		done: func(answer map[string]any) string { return fmt.Sprint("action item ", answer["n"]) },
		flags: func(f *pflag.FlagSet) {
			f.IntVar(&n, "n", 0, "number of the item to change")
			f.StringVar(&kind, "type", "", "prevent, detect, mitigate or process")
			f.StringVar(&owner, "owner", "", "who does it")
			f.StringVar(&due, "due", "", "until when: 2026-11-30")
			f.StringVar(&ticket, "ticket", "", "where it is tracked")
			f.BoolVar(&done, "done", false, "it is done")
		},
		body: func(args []string) (map[string]any, error) {
			return map[string]any{"n": n, "text": strings.Join(args[1:], " "), "type": kind, "owner": owner, "due": due, "ticket": ticket, "done": done}, nil
		},
	}
}

func impactBody(parts []string, affected, active float64) (map[string]any, error) {
	body := map[string]any{}
	var segments []map[string]any
	for _, part := range parts {
		fields := strings.Split(part, ",")
		if len(fields) != 3 || !strings.HasSuffix(fields[0], "%") {
			return nil, usageError{fmt.Errorf("part %q is not like 100%%,03:15,03:33", part)}
		}
		percent, err := strconv.ParseFloat(strings.TrimSuffix(fields[0], "%"), 64)
		if err != nil {
			return nil, usageError{fmt.Errorf("part %q is not like 100%%,03:15,03:33", part)}
		}
		from, err := parseWhen(fields[1])
		if err != nil {
			return nil, err
		}
		to, err := parseWhen(fields[2])
		if err != nil {
			return nil, err
		}
		segments = append(segments, map[string]any{"from": from, "to": to, "affected": percent / 100})
	}
	if len(segments) > 0 {
		body["segments"] = segments
	}
	if affected > 0 || active > 0 {
		body["users"] = map[string]any{"affected": affected, "active": active}
	}
	return body, nil
}

// parseWhen reads a time: in full, or of today (UTC).
func parseWhen(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	for _, layout := range []string{"2006-01-02 15:04:05", "2006-01-02 15:04"} {
		if at, err := time.Parse(layout, text); err == nil {
			return at, nil
		}
	}
	for _, layout := range []string{time.TimeOnly, "15:04"} {
		if at, err := time.Parse(layout, text); err == nil {
			day := time.Now().UTC().Truncate(24 * time.Hour)
			return day.Add(time.Duration(at.Hour())*time.Hour + time.Duration(at.Minute())*time.Minute + time.Duration(at.Second())*time.Second), nil
		}
	}
	return time.Time{}, usageError{fmt.Errorf("time %q is not like 03:15, 2026-10-14 03:15 or 2026-10-14T03:15:00Z; times are UTC", text)}
}
