package config

import (
	"fmt"
	"strings"
)

const referenceHead = `# spillway.yaml

Every key, its default, its meaning and PgBouncer's counterpart. This file is made from the same table that
decodes the config (` + "`internal/config/table.go`" + `); a test holds it to that. A complete file to start from is
[spillway.example.yaml](spillway.example.yaml); [spillway.schema.json](spillway.schema.json) is for editors:

    # yaml-language-server: $schema=spillway.schema.json

How values are written:

- **Durations** have a unit: ` + "`250ms`, `60s`, `5m`, `1h`, `7d`" + `. Only 0 may stand alone; it means no limit.
- **Sizes** are ` + "`512B`, `64KiB`, `16MiB`, `1GiB`" + `; **percentages** ` + "`30%`" + `.
- **Lists** are ` + "`[a, b]`" + `; a single value may stand alone.
- **` + "`${NAME}`" + `** in a text is replaced by the environment's value and never shown; ` + "`$${`" + ` stands for ` + "`${`" + `.
- **Files** are found from the config file's folder. Files of secrets hold one, on the first line.
- Anchors, aliases and ` + "`<<`" + ` work; unknown and repeated keys are errors.
- Keys marked **restart** need one; everything else changes on reload (HUP, ` + "`RELOAD`" + `, the API). A file with an
  error changes nothing.

` + "`spillway check -c FILE`" + ` lists every mistake with line, column and the mend. ` + "`spillway import pgbouncer.ini`" + ` writes
this file from PgBouncer's.
`

// Reference is docs/configuration.md.
func Reference() []byte {
	var b strings.Builder
	b.WriteString(referenceHead)
	b.WriteString("\n## At the top\n\n")
	var sections []key
	var plain []key
	for _, k := range table() {
		if k.kind == kindSection || k.kind == kindNamed {
			sections = append(sections, k)
			continue
		}
		plain = append(plain, k)
	}
	writeRows(&b, plain, "")
	for i := range sections {
		k := &sections[i]
		title := k.name
		if k.kind == kindNamed {
			title += ".NAME"
		}
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n", title, k.doc)
		writeRows(&b, k.keys, "")
	}
	b.WriteString(referenceTail)
	return []byte(b.String())
}

const referenceTail = `
## What check holds against each other

- every server a database names, every file, certificate, key and map;
- a minimum above a maximum, a pool above its server's budget (max_connections − operator_slots), minimum pools that add
  up to more than it;
- workloads: a share above its limit, a limit above a server's budget, shares that add up to more than it, a workload
  that can never match;
- TLS: a mode without its certificates, direct negotiation or required channel binding without required TLS;
- logins: a type nobody can log in with, rules and maps that are not there.
`

func writeRows(b *strings.Builder, keys []key, prefix string) {
	if prefix == "" {
		b.WriteString("| key | value | default | meaning | PgBouncer |\n| --- | --- | --- | --- | --- |\n")
	}
	for i := range keys {
		k := &keys[i]
		if k.kind == kindSection {
			fmt.Fprintf(b, "| `%s%s` | keys | | %s | |\n", prefix, k.name, cell(k.doc))
			writeRows(b, k.keys, prefix+k.name+".")
			continue
		}
		doc := cell(k.doc)
		if k.restart {
			doc += " **restart**"
		}
		fmt.Fprintf(b, "| `%s%s` | %s | %s | %s | %s |\n", prefix, k.name, cell(kindWord(k)), cell(defaultWord(k)), doc, cell(k.peer))
	}
}

// cell escapes what would end a cell or be taken for markup.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "*", `\*`).Replace(text)
}
