// Package config turns spillway.yaml into what each room is made of.
//
// One table of keys (table.go) says for every key its kind, default, meaning
// and PgBouncer's counterpart; decoding, the JSON Schema, the reference in
// docs, the example, SHOW CONFIG and Diff all come from it. Every mistake of a
// file is reported at once, each with line, column, caret, why and the mend.
//
// It reads the files a config names (users, rules, certificates) and nothing
// else: it opens no socket, asks no server and starts nothing. Secrets are
// never in its messages, its dumps or its errors.
package config
