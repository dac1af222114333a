package incident

import (
	"testing"
	"time"

	"spillway/internal/record/event"
)

// at tells a finding as another node of the region does.
func (d *desk) at(node string, f Finding) []string {
	d.t.Helper()
	f.At, f.Since = d.now, d.now
	return d.apply(d.book.Found(f, Asker{At: d.now, Node: node}))
}

// TestTwoNodesOneIncident: what two nodes see of one trouble is one incident,
// which is over when it is over at both.
func TestTwoNodesOneIncident(t *testing.T) {
	d := newDesk(t)
	page := slots("main", Page)
	d.expect("the first node", d.at("a", page), "opened")
	d.expect("the second", d.at("b", page), "finding")
	d.expect("the second again", d.at("b", page))
	i := d.book.All()[0]
	if i.Holding() != 2 || len(i.Findings) != 2 {
		t.Errorf("it waits for %d of %+v", i.Holding(), i.Findings)
	}
	d.expect("gone at a third, which never had it", d.at("c", gone(page)))
	d.expect("gone at the first", d.at("a", gone(page)), "finding")
	d.expect("gone at the second", d.at("b", gone(page)), "finding", "restored")
	d.expect("a third sees it within the time", d.at("c", page), "finding", "reopened")
	if folded := Fold(d.all); folded.Holding() != 1 || folded.Status != Open {
		t.Errorf("folded again it is %+v", folded)
	}
}

// TestSilentNode: a node that has gone does not hold an incident for ever.
func TestSilentNode(t *testing.T) {
	d := newDesk(t)
	page := slots("main", Page)
	d.at("b", page)
	d.expect("it is heard of", d.pass(30*time.Second))
	d.now = d.now.Add(20 * time.Second)
	d.apply([]event.Event{{At: d.now, Kind: Measured, Incident: d.book.Latest(), Node: "b"}})
	d.expect("its figures are a sign of it", d.pass(55*time.Second))
	d.expect("nothing for long", d.pass(5*time.Second), "finding", "restored")
	d.expect("that is said once", d.pass(time.Second))
}
