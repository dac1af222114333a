package config

import (
	"fmt"
	"slices"
	"strings"
)

const exampleHead = `# yaml-language-server: $schema=spillway.schema.json
# spillway.yaml: every key, with its default unless a comment says otherwise.
# Lines that begin with "#:" are keys that have no value by default; take the "#:" away to use one.
# This file is made from the table that decodes it; docs/configuration.md has the same as a table.
`

// extras are written below the first name of a section, for what one cannot show.
func extras() map[string]string {
	return map[string]string{
		"databases": `  # Every other name, under the same name on the server.
  "*":
    server: main
`,
		"workloads": `  # A job that leaks connections harms only itself, and its slots come back.
  data-sync:
    match:
      application_name: "celery*"
    class: batch
    share: 5
    limit: 8
    leak_after: 30s
    on_leak: reclaim

  # What matches none.
  default:
    class: normal
    share: 10
    limit: 20
`,
	}
}

func firstNames() map[string]string {
	return map[string]string{"servers": "main", "databases": "app", "users": "report", "workloads": "api", "sweeps": "sessions", "jobs": "cleanup",
		"tokens": "oncall", "peers": "alice", "runbook": "rollout", "automatic": "storms", "targets": "web", "slo": "api",
		"notify": "oncall", "alarms": "cloudwatch",
		"smoke_checks": "health"}
}

// Example is docs/spillway.example.yaml.
func Example() []byte {
	var b strings.Builder
	b.WriteString(exampleHead)
	for _, k := range table() {
		b.WriteByte('\n')
		switch k.kind {
		case kindSection:
			comment(&b, "", k.doc)
			fmt.Fprintf(&b, "%s:\n", k.name)
			exampleKeys(&b, k.keys, "  ")
		case kindNamed:
			comment(&b, "", k.doc)
			fmt.Fprintf(&b, "%s:\n  %s:\n", k.name, firstNames()[k.name])
			exampleKeys(&b, k.keys, "    ")
			if extra := extras()[k.name]; extra != "" {
				b.WriteString("\n" + extra)
			}
		default:
			exampleKeys(&b, []key{k}, "")
		}
	}
	return []byte(b.String())
}

func exampleKeys(b *strings.Builder, keys []key, indent string) {
	for i := range keys {
		k := &keys[i]
		if i > 0 {
			b.WriteByte('\n')
		}
		doc := k.doc
		if len(k.oneOf) > 0 && !slices.Contains([]string{"true", "false"}, k.oneOf[0]) {
			doc += " One of " + strings.Join(k.oneOf, ", ") + "."
		}
		comment(b, indent, doc)
		switch {
		case k.kind == kindSection:
			fmt.Fprintf(b, "%s%s:\n", indent, k.name)
			exampleKeys(b, k.keys, indent+"  ")
		case k.needed:
			fmt.Fprintf(b, "%s%s: %s  # required\n", indent, k.name, k.sample)
		case k.sample != "":
			fmt.Fprintf(b, "%s%s: %s  # default: %s\n", indent, k.name, k.sample, strings.Trim(defaultWord(k), "`"))
		case k.inherits != "":
			fmt.Fprintf(b, "#:%s%s: %s  # default: %s\n", indent, k.name, suggestion(k), k.inherits)
		case k.suggest != "":
			fmt.Fprintf(b, "#:%s%s: %s\n", indent, k.name, suggestion(k))
		default:
			fmt.Fprintf(b, "%s%s: %s\n", indent, k.name, written(k, k.def))
		}
	}
}

// suggestion is a value to show for a key that has none by default.
func suggestion(k *key) string {
	switch {
	case k.suggest != "":
		return written(k, k.suggest)
	case len(k.oneOf) > 0:
		return k.oneOf[0]
	case k.kind == kindDuration:
		return "30s"
	default:
		return written(k, k.def)
	}
}

// written is a value as YAML: texts that could be taken for more are quoted.
func written(k *key, value string) string {
	if k.kind != kindText {
		return value
	}
	return quoteText(value)
}

// quoteText writes a text as a YAML scalar, in quotes unless it is plainly one.
func quoteText(text string) string {
	plain := text != "" && !strings.ContainsAny(text[:1], "0123456789.+-")
	for _, r := range text {
		if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./", r) {
			plain = false
		}
	}
	switch strings.ToLower(text) {
	case "true", "false", "null", "yes", "no", "on", "off", "y", "n", "~":
		plain = false
	}
	if plain {
		return text
	}
	return doubleQuoted(text)
}

func doubleQuoted(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\r':
			b.WriteString(`\r`)
		case r < 0x20 || r == 0x7f || r == 0x85 || r == 0x2028 || r == 0x2029 || r == 0xFEFF:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// comment writes a text as comment lines of at most 110 characters.
func comment(b *strings.Builder, indent, text string) {
	line := indent + "#"
	for _, word := range strings.Fields(text) {
		if len(line)+1+len(word) > 110 {
			b.WriteString(line + "\n")
			line = indent + "#"
		}
		line += " " + word
	}
	b.WriteString(line + "\n")
}
