package session

import (
	"strconv"

	"spillway/internal/statement"
)

// Statement is one distinct prepared text with its parameter types, shared by
// all clients and servers of a Cache.
type Statement struct {
	Text    string
	types   string // as on the wire: count and OIDs
	name    string // what servers know it by
	effects statement.Effect
	refs    int32  // clients and servers that hold it
	print   uint64 // its fingerprint; 0 until somebody asked
}

// Print is the statement's fingerprint, as statement.Print has it.
func (st *Statement) Print() uint64 {
	if st.print == 0 {
		st.print = statement.Print(stringBytes(st.Text))
	}
	return st.print
}

type statementKey struct{ text, types string }

// Cache interns statements by their full text (never by a hash alone). It
// belongs to one loop.
type Cache struct {
	byText map[statementKey]*Statement
	prefix string
	next   uint64
}

// NewCache returns an empty cache whose server-side names begin with prefix.
func NewCache(prefix string) *Cache {
	return &Cache{byText: make(map[statementKey]*Statement), prefix: prefix}
}

// Len returns how many statements are held.
func (k *Cache) Len() int { return len(k.byText) }

// hold returns the statement of text and types with one more reference.
func (k *Cache) hold(text, types []byte) *Statement {
	if st, ok := k.byText[statementKey{string(text), string(types)}]; ok {
		st.refs++
		return st
	}
	k.next++
	st := &Statement{
		Text: string(text), types: string(types), refs: 1,
		name:    k.prefix + strconv.FormatUint(k.next, 36),
		effects: statement.Scan(text, true),
	}
	k.byText[statementKey{st.Text, st.types}] = st
	return st
}

func (k *Cache) drop(st *Statement) {
	if st == nil {
		return
	}
	if st.refs--; st.refs == 0 {
		delete(k.byText, statementKey{st.Text, st.types})
	}
}

// named is a client's name for a statement.
type named struct {
	name string
	st   *Statement
}

// Text is the statement behind a name the client gave, "" being the unnamed
// one; nil when there is none. It is not to be written to.
func (c *Client) Text(name []byte) []byte {
	st := c.unnamed
	if len(name) > 0 {
		st = nil
		if cs := c.stmts[string(name)]; cs != nil {
			st = cs.st
		}
	}
	if st == nil || st.Text == "" {
		return nil
	}
	return stringBytes(st.Text)
}

// table is what a server has prepared, with the order of last use.
type table struct {
	at    map[*Statement]uint64 // when last used, by the table's own count
	clock uint64
}

func (t *table) has(st *Statement) bool {
	if _, ok := t.at[st]; !ok {
		return false
	}
	t.clock++
	t.at[st] = t.clock
	return true
}

func (t *table) add(st *Statement) {
	if t.at == nil {
		t.at = make(map[*Statement]uint64)
	}
	t.clock++
	t.at[st] = t.clock
}

// oldest returns the statement used least recently. Linear: it is asked only
// when a full table takes one more.
func (t *table) oldest() *Statement {
	var old *Statement
	best := uint64(1<<64 - 1)
	for st, at := range t.at {
		if at < best {
			old, best = st, at
		}
	}
	return old
}
