package plan

import (
	"fmt"
	"math"
	"time"

	"spillway/internal/sweep/target"
)

// Rates of a sweep that is alone, in rows a second, measured on two busy cores
// with PostgreSQL 15 and three indexes; docs/sweeps.md has later figures. A
// faster machine is faster: what counts here is how they compare.
const (
	tidRate, pkRate, keysetRate = 250_000, 230_000, 42_000
	pageRate                    = 100_000 // pages read and left alone
	copyRate                    = 60_000  // survivors copied out and back, indexes included
	walPerRow                   = 270     // bytes
	companyShare                = 0.07    // of these beside live traffic: a quarter of the time, in batches of 1 ms
)

// mostlyDoomed is from which share on physical order wins; copyOffer from which
// share copying the rest is offered.
const (
	mostlyDoomed, copyOffer = 0.3, 0.8
	uncorrelated            = 0.5
	tidVersion              = 140_000 // TID range scans came with PostgreSQL 14
)

// choose fills in Options, Chosen, Why and Legs.
func (p *Plan) choose(k *known) error {
	p.Options = []Option{p.tid(), p.pk(), p.keyset(k), p.drop(k), p.copy()}
	chosen, why := p.Order.Strategy, "asked for"
	if chosen == Auto {
		chosen, why = p.best(k)
	}
	o := p.option(chosen)
	if o == nil {
		return &target.Refusal{What: fmt.Sprintf("there is no strategy %q", chosen), Mend: "auto, tid, pk, keyset, drop or copy"}
	}
	if !o.Possible {
		mend := ""
		if p.Order.Strategy == Auto {
			mend = "give the table a primary key"
		}
		return &target.Refusal{What: fmt.Sprintf("strategy %s is not possible: %s", chosen, o.Why), Mend: mend}
	}
	if chosen == Copy && p.Order.KeepIn != "" {
		return &target.Refusal{What: "strategy copy keeps the survivors and has no deleted rows to put aside", Mend: "leave out --keep-in, or take another strategy"}
	}
	p.Chosen, p.Why = chosen, why
	p.legs(k, chosen)
	for _, l := range p.Legs {
		if o := p.option(l.Strategy); o.Alone > 0 && l.Strategy != Drop {
			p.Mu = p.Doomed.Rows / o.Alone.Seconds() * companyShare
		}
	}
	if x := k.index; x == nil && len(p.Condition.Columns) > 0 && p.Doomed.Share < mostlyDoomed && !p.Table.Partitioned {
		p.Missing = append(p.Missing, fmt.Sprintf("CREATE INDEX CONCURRENTLY ON %s (%s);  -- the sweep would read the rows it deletes, not the whole table",
			p.Table.Ident(), target.Quote(p.Condition.Columns[0])))
	}
	return nil
}

func (p *Plan) best(k *known) (Strategy, string) {
	if d := p.option(Drop); d.Possible {
		return Drop, d.Why
	}
	physical := TID
	if !p.option(TID).Possible && p.option(PK).Possible {
		physical = PK
	}
	switch {
	case !p.option(Keyset).Possible:
		return physical, "no index leads with a column of the condition, so the table is read in physical order"
	case !p.option(physical).Possible:
		return Keyset, "the table can be read in no physical order"
	case p.Doomed.Share >= mostlyDoomed:
		return physical, fmt.Sprintf("%.0f %% of the rows go: in physical order each page is visited once", 100*p.Doomed.Share)
	case p.Correlation != nil && math.Abs(*p.Correlation) < uncorrelated && p.Doomed.Share > 0.05:
		return physical, fmt.Sprintf("the index's order has little to do with the table's (correlation %.2f)", *p.Correlation)
	}
	return Keyset, fmt.Sprintf("%.1f %% of the rows go, and an index finds them", 100*p.Doomed.Share)
}

func (p *Plan) option(s Strategy) *Option {
	for i := range p.Options {
		if p.Options[i].Strategy == s {
			return &p.Options[i]
		}
	}
	return nil
}

// price fills in the times of deleting rows one by one.
func (p *Plan) price(o Option, rate float64, pages int64) Option {
	seconds := p.Doomed.Rows/rate + float64(pages)/pageRate
	o.Alone = time.Duration(seconds * float64(time.Second)).Round(time.Millisecond)
	o.Company = time.Duration(float64(o.Alone) / companyShare)
	o.WAL = int64(p.Doomed.Rows * walPerRow)
	if p.Table.Rows > 0 {
		table, indexes := p.Table.Bytes()
		o.Bloat = int64(float64(table+indexes) * min(p.Doomed.Rows/p.Table.Rows, 1))
	}
	return o
}

func (p *Plan) pages() (pages int64) {
	for i := range p.Table.Leaves {
		pages += p.Table.Leaves[i].Pages
	}
	return pages
}

func (p *Plan) tid() Option {
	o := Option{Strategy: TID, Possible: true, Why: "page by page in physical order"}
	if p.Table.Server.Version < tidVersion {
		o.Possible, o.Why = false, "PostgreSQL before 14 has no scan of a range of pages"
	}
	for i := range p.Table.Leaves {
		if m := p.Table.Leaves[i].Method; m != "heap" {
			o.Possible, o.Why = false, "access method "+m+" promises no physical order"
		}
	}
	return p.price(o, tidRate, p.pages())
}

func (p *Plan) pk() Option {
	o := Option{Strategy: PK, Possible: len(p.Table.PrimaryKey) > 0, Why: "ranges of the primary key"}
	if !o.Possible {
		o.Why = "the table has no primary key"
	}
	return p.price(o, pkRate, p.pages())
}

func (p *Plan) keyset(k *known) Option {
	o := Option{Strategy: Keyset, Possible: k.index != nil}
	if k.index == nil {
		o.Why = "no valid B-tree index leads with a column of the condition"
	} else {
		o.Why = "along index " + target.Quote(k.index.Name)
	}
	return p.price(o, keysetRate, 0)
}

// drop is possible when the planner's pruning shows partitions without survivors.
func (p *Plan) drop(k *known) Option {
	o := Option{Strategy: Drop, Locks: "ACCESS EXCLUSIVE on the table for a moment per partition"}
	whole := p.whole(k)
	switch {
	case !p.Table.Partitioned:
		o.Why = "the table has no partitions"
	case len(p.Table.Referencing) > 0:
		o.Why = "foreign keys refer to the table, so its partitions cannot be dropped"
	case p.Order.KeepIn != "":
		o.Why = "rows are to be kept, which deletes them one by one"
	case len(whole) == 0:
		o.Why = "no partition that this role owns holds doomed rows only"
	default:
		o.Possible = true
		o.Why = fmt.Sprintf("%d of %d partitions hold doomed rows only; the rest is swept row by row", len(whole), len(p.Table.Leaves))
		o.Alone = time.Duration(len(whole)) * 100 * time.Millisecond
		o.Company = o.Alone
	}
	return o
}

// whole are the leaves that hold doomed rows only and may be dropped.
func (p *Plan) whole(k *known) map[uint32]bool {
	found := map[uint32]bool{}
	for i := range p.Table.Leaves {
		if l := &p.Table.Leaves[i]; l.Owned && k.touched[l.OID] && !k.mixed[l.OID] {
			found[l.OID] = true
		}
	}
	return found
}

func (p *Plan) copy() Option {
	survivors := max(p.Table.Rows-p.Doomed.Rows, 0)
	o := Option{Strategy: Copy, Locks: "no writes while survivors are copied, no reads while they are put back"}
	o.Alone = time.Duration((survivors/copyRate + float64(p.pages())/pageRate) * float64(time.Second)).Round(time.Millisecond)
	o.Company, o.WAL = o.Alone, int64(survivors*2*walPerRow)
	switch {
	case p.Table.Partitioned:
		o.Why = "the table has partitions"
	case len(p.Table.Referencing) > 0:
		o.Why = "foreign keys refer to the table, so it cannot be truncated"
	case len(p.Table.Triggers) > 0:
		o.Why = "the table has triggers, which would run for rows that stay"
	case len(p.Table.Published) > 0:
		o.Why = "the table is published: subscribers would see it emptied"
	case !p.Table.Emptied:
		o.Why = "the role may not TRUNCATE the table and INSERT into it"
	case p.Doomed.Share < copyOffer:
		o.Why = fmt.Sprintf("only from %.0f %% doomed on", 100*copyOffer)
	default:
		o.Possible, o.Why = true, "an offer: a person asks for it with --strategy copy"
	}
	return o
}

// legs says how each leaf is swept.
func (p *Plan) legs(k *known, chosen Strategy) {
	whole := p.whole(k)
	for i := range p.Table.Leaves {
		l := &p.Table.Leaves[i]
		if p.Table.Partitioned && !k.touched[l.OID] {
			continue // the planner knows that nothing in there is doomed
		}
		leg := Leg{OID: l.OID, Schema: l.Schema, Name: l.Name, Strategy: chosen, PerPage: 50}
		if l.Pages > 0 && l.Rows > 0 {
			leg.PerPage = max(l.Rows/float64(l.Pages), 1)
		} else if pages := p.pages(); pages > 0 && p.Table.Rows > 0 {
			leg.PerPage = max(p.Table.Rows/float64(pages), 1)
		}
		if chosen == Drop && !whole[l.OID] {
			leg.Strategy = TID
			if !p.option(TID).Possible {
				leg.Strategy = PK
			}
		}
		switch leg.Strategy {
		case PK:
			leg.Key = p.Table.PrimaryKey
		case Keyset:
			for _, c := range p.Table.Columns {
				if c.Name == k.index.Columns[0] {
					leg.Key = []target.Column{c}
				}
			}
		case Auto, TID, Drop, Copy: // without a key
		}
		p.Legs = append(p.Legs, leg)
	}
}
