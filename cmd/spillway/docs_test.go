package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// root is the module's folder, seen from this package.
const root = "../.."

// documents are what people read.
func documents(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/decisions/*.md", "packaging/*.md"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, found...)
	}
	if len(all) < 5 {
		t.Fatalf("only %v are there", all)
	}
	return all
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	path    = regexp.MustCompile("`((?:test|internal|scripts|cmd|bench|packaging|docs)/[A-Za-z0-9_./-]+)`")
	command = regexp.MustCompile("`(?:bin/)?spillway ([^`]+)`")
	line    = regexp.MustCompile(`(?m)^(?:\* \* \* \* \* +)?(?:bin/)?spillway ([^#\n]+)`)
	flag    = regexp.MustCompile(`(?:^|\s)--([a-z][a-z-]*)`)
	word    = regexp.MustCompile(`^[a-z]+(\|[a-z]+)*$`)
)

// TestDocumentsName holds that what documents name is there: the files they
// link to and the folders they speak of.
func TestDocumentsName(t *testing.T) {
	for _, document := range documents(t) {
		text := read(t, document)
		for _, match := range link.FindAllStringSubmatch(text, -1) {
			target, heading, _ := strings.Cut(match[1], "#")
			if strings.Contains(match[1], "://") {
				continue
			}
			file := document
			if target != "" {
				file = filepath.Join(filepath.Dir(document), target)
			}
			if _, err := os.Stat(file); err != nil {
				t.Errorf("%s links to %s: %v", document, match[1], err)
			} else if heading != "" && !slices.Contains(headings(read(t, file)), heading) {
				t.Errorf("%s links to %s: no such heading", document, match[1])
			}
		}
		for _, match := range path.FindAllStringSubmatch(text, -1) {
			if _, err := os.Stat(filepath.Join(root, strings.TrimSuffix(match[1], "..."))); err != nil {
				t.Errorf("%s names %s: %v", document, match[1], err)
			}
		}
	}
}

// headings are a document's, as links name them.
func headings(text string) []string {
	var all []string
	for line := range strings.Lines(text) {
		title := strings.TrimLeft(line, "#")
		if title == line {
			continue
		}
		title = strings.ToLower(strings.TrimSpace(title))
		title = regexp.MustCompile(`[^a-z0-9_ -]`).ReplaceAllString(title, "")
		all = append(all, strings.ReplaceAll(title, " ", "-"))
	}
	return all
}

// TestDocumentsCommand holds that the commands and flags in documents are there.
func TestDocumentsCommand(t *testing.T) {
	checked := 0
	for _, document := range documents(t) {
		text := read(t, document)
		for _, match := range slices.Concat(command.FindAllStringSubmatch(text, -1), line.FindAllStringSubmatch(text, -1)) {
			said, _, _ := strings.Cut(match[1], " -- ") // what follows is another program's
			meant := commandsIn(newRoot(), strings.Fields(said))
			if slices.Contains(meant, nil) {
				t.Errorf("%s: there is no command `spillway %s`", document, said)
				continue
			}
			checked++
			for _, f := range flag.FindAllStringSubmatch(said, -1) {
				if !slices.ContainsFunc(meant, func(c *cobra.Command) bool { return has(c, f[1]) }) {
					t.Errorf("%s: `spillway %s`: there is no flag --%s", document, said, f[1])
				}
			}
		}
	}
	if checked < 20 {
		t.Errorf("only %d commands were found in the documents", checked)
	}
}

func has(c *cobra.Command, flag string) bool {
	c.InitDefaultHelpFlag()
	return c.Flag(flag) != nil || c.HasSubCommands()
}

// commandsIn are the commands that words stand for, where "a|b" stands for
// both; nil for one that is not there.
func commandsIn(from *cobra.Command, words []string) []*cobra.Command {
	if len(words) == 0 || !from.HasSubCommands() || !word.MatchString(words[0]) {
		return []*cobra.Command{from}
	}
	var all []*cobra.Command
	for name := range strings.SplitSeq(words[0], "|") {
		at := slices.IndexFunc(from.Commands(), func(c *cobra.Command) bool { return c.Name() == name })
		switch {
		case at >= 0:
			all = append(all, commandsIn(from.Commands()[at], words[1:])...)
		case name == "completion" || name == "help": // cobra's own, made as it runs
		default:
			all = append(all, nil)
		}
	}
	return all
}
