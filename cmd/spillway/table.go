package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
)

// column is one column of a table: its head, where its value is in a row
// ("clients.active") and how it is shown.
type column struct {
	head, path string
	show       func(value any, at time.Time) string
}

func (c column) of(r row, at time.Time) string {
	var value any = map[string]any(r)
	for name := range strings.SplitSeq(c.path, ".") {
		fields, ok := value.(map[string]any)
		if !ok {
			return "-"
		}
		value = fields[name]
	}
	if value == nil || value == "" {
		return "-"
	}
	return c.show(value, at)
}

// text shows a value as it is. What a client has chosen (names, statements) may
// hold control characters: a terminal must not obey them.
func text(value any, _ time.Time) string {
	switch value := value.(type) {
	case string:
		return strings.Map(func(r rune) rune {
			if !unicode.IsPrint(r) {
				return '?'
			}
			return r
		}, value)
	case bool:
		if value {
			return "yes"
		}
		return "no"
	case float64:
		return strconv.FormatFloat(value, 'f', -1, 64)
	case []any:
		parts := make([]string, len(value))
		for i, part := range value {
			parts[i] = text(part, time.Time{})
		}
		return strings.Join(parts, ", ")
	}
	return fmt.Sprint(value)
}

// seconds shows a duration; nothing for none.
func seconds(value any, _ time.Time) string {
	s, ok := value.(float64)
	if !ok || s == 0 {
		return "-"
	}
	return short(time.Duration(s * float64(time.Second)))
}

// age shows how long before at a moment was.
func age(value any, at time.Time) string {
	moment, err := time.Parse(time.RFC3339, fmt.Sprint(value))
	if err != nil {
		return "?"
	}
	return short(at.Sub(moment))
}

// short rounds a duration to its two largest units.
func short(d time.Duration) string {
	switch {
	case d < 0:
		return "0s"
	case d < time.Millisecond:
		return d.Round(time.Microsecond).String()
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd%02dh", int(d.Hours())/24, int(d.Hours())%24)
}

func printTable(out io.Writer, columns []column, rows []row, at time.Time) error {
	table := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	heads := make([]string, len(columns))
	for i, c := range columns {
		heads[i] = c.head
	}
	fmt.Fprintln(table, strings.Join(heads, "\t"))
	for _, r := range rows {
		cells := make([]string, len(columns))
		for i, c := range columns {
			cells[i] = c.of(r, at)
		}
		fmt.Fprintln(table, strings.Join(cells, "\t"))
	}
	return table.Flush()
}

// printFields shows one row as lines.
func printFields(out io.Writer, columns []column, r row, at time.Time) error {
	table := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	for _, c := range columns {
		fmt.Fprintf(table, "%s\t%s\n", c.head, c.of(r, at))
	}
	return table.Flush()
}

// printDone tells that a verb was obeyed, and the node's notes.
func printDone(out io.Writer, done string, notes []string, asJSON bool) error {
	if asJSON {
		if notes == nil {
			notes = []string{}
		}
		return json.NewEncoder(out).Encode(map[string]any{"done": done, "notes": notes})
	}
	fmt.Fprintln(out, done)
	for _, note := range notes {
		fmt.Fprintln(out, "note: "+note)
	}
	return nil
}
