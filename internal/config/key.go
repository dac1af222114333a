package config

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"spillway/internal/config/fault"
)

// kind is what a key holds.
type kind uint8

const (
	kindText kind = iota
	kindFlag
	kindCount
	kindRate
	kindDuration
	kindSize
	kindPercent
	kindList    // of texts
	kindSection // keys of its own
	kindNamed   // names chosen by the user, each a section
)

// key is one row of the table everything is made of: decoding, defaults, the
// JSON Schema, the reference, the example, SHOW CONFIG and Diff.
type key struct {
	name string
	kind kind
	def  string // the default as written in the file; "" = none
	doc  string // one or two sentences
	peer string // PgBouncer's setting; "" = none

	oneOf    []string // the only texts allowed
	auto     bool     // count: the word auto stands for 0
	atLeast  int      // count: smallest value
	inherits string   // what holds when the key is not given
	restart  bool     // a change needs a restart
	secret   bool     // never shown
	path     bool     // a file, relative to the config file's folder
	needed   bool     // has no default
	sample   string   // in the example, where the default would not tell
	suggest  string   // in the example, commented out
	unit     string   // of a number that is no rate; shown as its type

	keys  []key
	at    func(owner any) any              // pointer to the field
	child func(owner any, name string) any // named: the section of a name, made when missing
	names func(owner any) []string         // named: sorted
}

// option changes a key while the table is built.
type option func(*key)

func oneOf(words ...string) option { return func(k *key) { k.oneOf = words } }
func inherits(from string) option  { return func(k *key) { k.inherits = from } }
func sample(text string) option    { return func(k *key) { k.sample = text } }
func suggest(text string) option   { return func(k *key) { k.suggest = text } }
func atLeast(n int) option         { return func(k *key) { k.atLeast = n } }
func autoZero() option             { return func(k *key) { k.auto = true } }
func onRestart() option            { return func(k *key) { k.restart = true } }
func hidden() option               { return func(k *key) { k.secret = true } }
func file() option                 { return func(k *key) { k.path = true } }
func of(unit string) option        { return func(k *key) { k.unit = unit } }
func required() option             { return func(k *key) { k.needed = true } }

// scalar is a key whose value is one word or a list of words.
func scalar[T, F any](name string, at func(*T) *F, def, peer, doc string, options ...option) key {
	k := key{name: name, def: def, peer: peer, doc: doc}
	k.at = func(owner any) any { return at(owner.(*T)) }
	k.kind = kindOf(new(F))
	for _, o := range options {
		o(&k)
	}
	return k
}

// section is a key with keys of its own.
func section[T, F any](name string, at func(*T) *F, doc string, keys []key) key {
	return key{
		name: name, kind: kindSection, doc: doc, keys: keys,
		at: func(owner any) any { return at(owner.(*T)) },
	}
}

// named is a key with sections under names of the user's choice.
func named[T, F any](name string, at func(*T) *map[string]*F, doc string, keys []key) key {
	return key{
		name: name, kind: kindNamed, doc: doc, keys: keys,
		child: func(owner any, child string) any {
			m := at(owner.(*T))
			if *m == nil {
				*m = map[string]*F{}
			}
			if (*m)[child] == nil {
				(*m)[child] = new(F)
			}
			return (*m)[child]
		},
		names: func(owner any) []string {
			m := *at(owner.(*T))
			names := make([]string, 0, len(m))
			for n := range m {
				names = append(names, n)
			}
			slices.Sort(names)
			return names
		},
	}
}

func kindOf(field any) kind {
	switch field.(type) {
	case *bool:
		return kindFlag
	case *int:
		return kindCount
	case *float64:
		return kindRate
	case *time.Duration:
		return kindDuration
	case *Bytes:
		return kindSize
	case *Percent:
		return kindPercent
	case *[]string:
		return kindList
	default:
		return kindText
	}
}

// set parses texts into the field. A list takes all of them, the others one.
func (k *key) set(owner any, texts ...string) error {
	switch p := k.at(owner).(type) {
	case *[]string:
		*p = append([]string(nil), texts...)
		return k.allowed(texts...)
	case *string:
		*p = texts[0]
		return k.allowed(texts[0])
	case *bool:
		return store(p, texts[0], parseFlag)
	case *int:
		return store(p, texts[0], k.parseCount)
	case *float64:
		return store(p, texts[0], parseRate)
	case *time.Duration:
		return store(p, texts[0], parseDuration)
	case *Bytes:
		return store(p, texts[0], parseBytes)
	case *Percent:
		return store(p, texts[0], parsePercent)
	}
	return nil
}

func store[F any](p *F, text string, parse func(string) (F, error)) error {
	v, err := parse(text)
	if err == nil {
		*p = v
	}
	return err
}

func (k *key) parseCount(text string) (int, error) {
	if k.auto && text == "auto" {
		return 0, nil
	}
	n, err := parseCount(text)
	var c *complaint
	if errors.As(err, &c) && k.auto {
		c.mend = "write a whole number, or auto"
	}
	if err == nil && n < k.atLeast {
		mend := fmt.Sprintf("write %d or more", k.atLeast)
		if k.auto {
			mend += ", or auto"
		}
		return 0, &complaint{what: fmt.Sprintf("%d is less than %d", n, k.atLeast), mend: mend}
	}
	return n, err
}

// allowed refuses texts that are not among oneOf.
func (k *key) allowed(texts ...string) error {
	if len(k.oneOf) == 0 {
		return nil
	}
	for _, t := range texts {
		if slices.Contains(k.oneOf, t) {
			continue
		}
		c := &complaint{
			what: fmt.Sprintf("cannot be %q", t),
			mend: "write one of " + strings.Join(k.oneOf, ", "),
		}
		if near := fault.Nearest(t, k.oneOf); near != "" {
			c.mend = fmt.Sprintf("did you mean %s? (%s)", near, strings.Join(k.oneOf, ", "))
		}
		return c
	}
	return nil
}

// setDefault gives the field its default; a key that inherits is marked unset.
func (k *key) setDefault(owner any) {
	if k.inherits != "" {
		switch p := k.at(owner).(type) {
		case *int:
			*p = unset
		case *time.Duration:
			*p = unset
		}
		return
	}
	if k.def == "" {
		return
	}
	texts := []string{k.def}
	if k.kind == kindList {
		texts = splitDefault(k.def)
	}
	// The table's defaults parse: a test holds them to it.
	_ = k.set(owner, texts...)
}

// unset marks counts and durations that inherit.
const unset = -1

// splitDefault reads a default list as the table writes it: [a, b].
func splitDefault(def string) []string {
	inner := strings.TrimSuffix(strings.TrimPrefix(def, "["), "]")
	if inner == "" {
		return []string{}
	}
	parts := strings.Split(inner, ",")
	for i := range parts {
		parts[i] = strings.Trim(strings.TrimSpace(parts[i]), `"`)
	}
	return parts
}

// format is the field as the file would say it; "" when it is unset.
func (k *key) format(owner any) string {
	switch p := k.at(owner).(type) {
	case *[]string:
		return strings.Join(*p, ", ")
	case *string:
		return *p
	case *bool:
		return strconv.FormatBool(*p)
	case *int:
		switch {
		case *p == unset:
			return ""
		case *p == 0 && k.auto:
			return "auto"
		}
		return strconv.Itoa(*p)
	case *float64:
		return strconv.FormatFloat(*p, 'g', -1, 64)
	case *time.Duration:
		if *p == unset {
			return ""
		}
		return formatDuration(*p)
	case *Bytes:
		return formatBytes(*p)
	case *Percent:
		return strconv.Itoa(int(*p)) + "%"
	default:
		return ""
	}
}
