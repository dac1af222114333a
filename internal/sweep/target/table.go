package target

import (
	"github.com/jackc/pgx/v5"
)

// Table is what a table is, as its catalogs and statistics say. Sizes are in
// bytes; counts of rows are estimates of the last ANALYZE or VACUUM.
type Table struct {
	OID         uint32       `json:"oid"`
	Schema      string       `json:"schema"`
	Name        string       `json:"name"`
	Partitioned bool         `json:"partitioned"`
	Leaves      []Leaf       `json:"leaves"` // what holds the rows: its partitions, or itself
	Rows        float64      `json:"rows"`   // -1 = never analyzed
	Columns     []Column     `json:"columns"`
	PrimaryKey  []Column     `json:"primary_key"`
	Indexes     []Index      `json:"indexes"`
	Triggers    []Trigger    `json:"triggers"`
	Referencing []ForeignKey `json:"referencing"` // foreign keys that point here
	References  []ForeignKey `json:"references"`  // foreign keys from here
	Identity    string       `json:"replica_identity"`
	Published   []string     `json:"publications"`
	Server      Server       `json:"server"`
	Emptied     bool         `json:"-"` // the role may TRUNCATE and INSERT
}

// Server is what the table's server is.
type Server struct {
	Version    int    `json:"version"` // server_version_num
	Database   string `json:"database"`
	Role       string `json:"role"`
	Monitor    bool   `json:"monitor"` // the role sees other sessions
	Autovacuum bool   `json:"autovacuum"`
	TimeZone   string `json:"time_zone"`
}

// Leaf is a table with rows of its own.
type Leaf struct {
	OID        uint32  `json:"oid"`
	Schema     string  `json:"schema"`
	Name       string  `json:"name"`
	Method     string  `json:"access_method"`
	Filenode   uint32  `json:"-"`
	Pages      int64   `json:"pages"`
	Rows       float64 `json:"rows"` // -1 = never analyzed
	Bytes      int64   `json:"bytes"`
	IndexBytes int64   `json:"index_bytes"`
	Dead       int64   `json:"dead_rows"`
	Moved      int64   `json:"-"` // updates so far that moved a row to another page, and inserts
	Bound      string  `json:"bound,omitempty"`
	// VacuumAt is how many dead rows make autovacuum come; -1 = it is off.
	VacuumAt float64 `json:"vacuum_at"`
	Live     float64 `json:"-"` // n_live_tup
	Owned    bool    `json:"-"` // by this role, so that it may be dropped
}

// Column of a table or key.
type Column struct {
	Name      string `json:"name"`
	Type      string `json:"type"`
	NotNull   bool   `json:"not_null"`
	Generated bool   `json:"-"`
}

// Index of a table.
type Index struct {
	Name    string   `json:"name"`
	Columns []string `json:"columns"` // "" for an expression
	Method  string   `json:"method"`
	Bytes   int64    `json:"bytes"`
	Valid   bool     `json:"valid"`
	Unique  bool     `json:"unique"`
	Partial bool     `json:"partial"`
}

// Trigger of a user's making.
type Trigger struct {
	Name    string `json:"name"`
	Delete  bool   `json:"on_delete"`
	Row     bool   `json:"for_each_row"`
	Enabled bool   `json:"enabled"`
}

// ForeignKey in either direction. Table is the other side's.
type ForeignKey struct {
	Name     string   `json:"name"`
	Table    string   `json:"table"`
	Columns  []string `json:"columns"` // of the side that references
	OnDelete string   `json:"on_delete"`
	Indexed  bool     `json:"indexed"` // the referencing columns lead a valid index
	Rows     float64  `json:"rows"`    // of the referencing table
}

// Ident is the table's name as SQL takes it.
func (t *Table) Ident() string { return Quote(t.Schema, t.Name) }

// Ident is the leaf's name as SQL takes it.
func (l *Leaf) Ident() string { return Quote(l.Schema, l.Name) }

// Quote quotes a name, part by part.
func Quote(parts ...string) string { return pgx.Identifier(parts).Sanitize() }

// Bytes is the size of all leaves, indexes apart.
func (t *Table) Bytes() (table, indexes int64) {
	for i := range t.Leaves {
		table += t.Leaves[i].Bytes
		indexes += t.Leaves[i].IndexBytes
	}
	return table, indexes
}

// Names are the columns that can be written, quoted, in order.
func (t *Table) Names() []string {
	var names []string
	for _, c := range t.Columns {
		if !c.Generated {
			names = append(names, Quote(c.Name))
		}
	}
	return names
}
