package config

import (
	"fmt"
	"os"
	"path/filepath"

	"spillway/internal/config/fault"
)

// Problems is every mistake found in a file, sorted by position; it is the
// error Load and Parse return. Its Text method shows lines and carets.
type Problems = fault.List

// Load reads, decodes and checks the file at path and the files it names.
// The error is Problems unless the file itself cannot be read.
func Load(path string) (*Config, error) {
	text, err := readBounded(path, maxFile)
	if err != nil {
		return nil, fmt.Errorf("read config: %w", err)
	}
	return Parse(path, text, os.LookupEnv)
}

// Parse decodes and checks text as the file name; relative paths start at
// name's folder. env answers ${NAME}. The error is Problems. A Config is
// returned only when there is none; Warnings may hold some all the same.
func Parse(name string, text []byte, env func(string) (string, bool)) (*Config, error) {
	c, problems := parseAll(input{name: name, text: string(text), env: env})
	errors, warnings := problems.Split()
	if len(errors) > 0 {
		return nil, errors
	}
	c.warnings = warnings
	return c, nil
}

// Warnings are what works but is probably not meant.
func (c *Config) Warnings() Problems { return c.warnings }

// input is what a Config is made from.
type input struct {
	name, text string
	env        func(string) (string, bool)
	set        map[string][]string // by path, over what the text says
	blind      bool                // read no file the config names
}

// parseAll decodes and checks; c is as complete as the problems allow.
func parseAll(in input) (c *Config, problems fault.List) {
	src := fault.NewSource(in.name, in.text)
	d := &decoder{
		reader: reader{src: src, anchors: map[string]*node{}},
		env:    in.env,
		origin: origin{src: src, text: in.text, env: in.env, set: in.set, spans: map[string]span{}},
	}
	top := d.read(in.text)
	if top == nil {
		return nil, d.problems.Shorten()
	}
	if top.shape != shapeMap {
		d.report(top.place, fmt.Sprintf("file holds %s, not keys", top.shape), "", "start from docs/spillway.example.yaml")
		return nil, d.problems.Shorten()
	}
	c = &Config{}
	d.fill(table(), c, top, "")
	c.origin = d.origin
	d.problems = append(d.problems, c.apply(in.set, src)...)
	if d.nodes > maxNodes || d.steps > maxNodes {
		d.report(fault.Place{}, fmt.Sprintf("file holds more than %d values", maxNodes), "", "split users into auth.file")
	}
	k := &checker{c: c, dir: filepath.Dir(in.name), blind: in.blind}
	if len(d.problems) < maxProblems {
		k.check()
	}
	problems = append(d.problems, k.problems...)
	problems.Sort()
	return c, problems[:min(len(problems), maxProblems)].Shorten()
}
