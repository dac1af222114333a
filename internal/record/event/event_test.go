package event

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"
)

// made is a chain of n events; those whose number divides by three are kept.
func made(t *testing.T, n int) (stored [][]byte, hashes []string) {
	t.Helper()
	place := Place{}
	for i := 1; i <= n; i++ {
		e := Event{ID: fmt.Sprint(i), Kind: "test.event", At: time.Unix(int64(i), 0), Body: Body(map[string]int{"i": i})}
		if i%3 == 0 {
			e.Incident = "inc"
		}
		text, next, err := e.Encode(place)
		if err != nil {
			t.Fatal(err)
		}
		stored, hashes, place = append(stored, text), append(hashes, next.Hash), next
	}
	return stored, hashes
}

func walked(trim Trim, stored [][]byte, hashes []string) Verdict {
	w := NewWalk(trim, "")
	for n := range stored {
		w.Step(stored[n], hashes[n])
	}
	return w.End()
}

func TestChainHolds(t *testing.T) {
	stored, hashes := made(t, 20)
	v := walked(Trim{}, stored, hashes)
	if !v.Valid() || v.Events != 20 || v.First != 1 || v.Last != 20 || v.Head != hashes[19] {
		t.Errorf("verdict is %+v", v)
	}
	if v := walked(Trim{}, nil, nil); !v.Valid() {
		t.Errorf("an empty chain: %+v", v)
	}
}

// TestEditsAreNoticed: every kind of change of what was written, also by who
// writes a fitting hash beside it.
func TestEditsAreNoticed(t *testing.T) {
	for name, edit := range map[string]func(stored [][]byte, hashes []string) ([][]byte, []string){
		"a text": func(s [][]byte, h []string) ([][]byte, []string) {
			s[4] = []byte(strings.Replace(string(s[4]), `{"i":5}`, `{"i":6}`, 1))
			return s, h
		},
		"a text and its hash": func(s [][]byte, h []string) ([][]byte, []string) {
			s[4] = []byte(strings.Replace(string(s[4]), `{"i":5}`, `{"i":6}`, 1))
			h[4] = Hash(s[4])
			return s, h
		},
		"the last text": func(s [][]byte, h []string) ([][]byte, []string) {
			s[19] = []byte(strings.Replace(string(s[19]), `{"i":20}`, `{"i":21}`, 1))
			return s, h
		},
		"one removed": func(s [][]byte, h []string) ([][]byte, []string) {
			return append(s[:4:4], s[5:]...), append(h[:4:4], h[5:]...)
		},
		"the first removed": func(s [][]byte, h []string) ([][]byte, []string) { return s[1:], h[1:] },
		"two swapped": func(s [][]byte, h []string) ([][]byte, []string) {
			s[4], s[5], h[4], h[5] = s[5], s[4], h[5], h[4]
			return s, h
		},
		"one twice": func(s [][]byte, h []string) ([][]byte, []string) {
			return append(s[:5:5], s[4:]...), append(h[:5:5], h[4:]...)
		},
		"no event": func(s [][]byte, h []string) ([][]byte, []string) {
			s[4] = []byte("gone")
			return s, h
		},
	} {
		stored, hashes := made(t, 20)
		if v := walked(Trim{}, stored, hashes); !v.Valid() {
			t.Fatal("the chain does not hold before the edit")
		}
		if v := walked(Trim{}, first(edit(stored, hashes)), second(edit(made(t, 20)))); v.Valid() {
			t.Errorf("%s: not noticed", name)
		}
	}
}

func first(s [][]byte, _ []string) [][]byte  { return s }
func second(_ [][]byte, h []string) []string { return h }

func TestRetentionIsNoBreak(t *testing.T) {
	stored, hashes := made(t, 20)
	trim := Trim{Before: 11}
	var left [][]byte
	var leftHashes []string
	var sum []byte
	for n := range stored {
		if n < 10 && (n+1)%3 != 0 {
			continue
		}
		if n < 10 {
			trim.Kept++
			sum = SumKept(sum, hashes[n])
		}
		left, leftHashes = append(left, stored[n]), append(leftHashes, hashes[n])
	}
	trim.Sum = hex.EncodeToString(sum)
	if v := walked(trim, left, leftHashes); !v.Valid() || v.Missing != 7 {
		t.Errorf("after a trim the verdict is %+v", v)
	}
	if v := walked(Trim{}, left, leftHashes); v.Valid() {
		t.Error("what is missing without a trim is not noticed")
	}
	// A kept event below the trim is taken away, or changed.
	if v := walked(trim, left[1:], leftHashes[1:]); v.Valid() {
		t.Error("a kept event that is missing is not noticed")
	}
	left[0] = []byte(strings.Replace(string(left[0]), `{"i":3}`, `{"i":4}`, 1))
	leftHashes[0] = Hash(left[0])
	if v := walked(trim, left, leftHashes); v.Valid() {
		t.Error("a kept event that was changed is not noticed")
	}
}

// TestRewrittenHistory: who rewrites every event from one on makes a chain that
// holds; the head noted earlier is not in it.
func TestRewrittenHistory(t *testing.T) {
	_, hashes := made(t, 20)
	place := Place{}
	w := NewWalk(Trim{}, hashes[19])
	for i := range 20 {
		e := Event{ID: "x", Kind: "test.event", At: time.Unix(int64(i), 0)}
		text, next, err := e.Encode(place)
		if err != nil {
			t.Fatal(err)
		}
		place = next
		w.Step(text, next.Hash)
	}
	if v := w.End(); v.Valid() {
		t.Error("a history that was rewritten is not noticed by its head")
	}
}

func TestBody(t *testing.T) {
	if b := Body(strings.Repeat("ä", MaxBody)); len(b) > MaxBody {
		t.Errorf("a body of %d bytes", len(b))
	}
	if b := Body(func() {}); !strings.Contains(string(b), "unwritable") {
		t.Errorf("what cannot be written is %s", b)
	}
	if b := Body(nil); b != nil {
		t.Errorf("nothing is %s", b)
	}
}

func TestUnfit(t *testing.T) {
	for name, e := range map[string]Event{
		"no kind":       {},
		"bad kind":      {Kind: "A b"},
		"dots":          {Kind: "a..b"},
		"long kind":     {Kind: strings.Repeat("a", 65)},
		"long actor":    {Kind: "a", Actor: strings.Repeat("a", 257)},
		"long body":     {Kind: "a", Body: []byte(`"` + strings.Repeat("a", MaxBody) + `"`)},
		"body no JSON":  {Kind: "a", Body: []byte("{")},
		"long incident": {Kind: "a", Incident: strings.Repeat("a", 257)},
	} {
		if _, _, err := e.Encode(Place{}); err == nil {
			t.Errorf("%s: written", name)
		}
	}
}

// FuzzDecode: no bytes break the reader, and what it takes is bounded and is
// written as it was read.
func FuzzDecode(f *testing.F) {
	e := Event{ID: "1", Kind: "test.event", At: time.Unix(1, 0), Incident: "inc", Body: Body(map[string]int{"i": 1})}
	text, _, _ := e.Encode(Place{})
	for _, seed := range []string{string(text), "", "{}", "null", `{"v":1,"kind":"a"}`, `{"v":9,"kind":"a"}`, `{"v":1,"kind":"a"}{}`, `{"v":-1}`, string(text[:20])} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, stored []byte) {
		w := NewWalk(Trim{}, "")
		w.Step(stored, "")
		w.End()
		e, err := Decode(stored)
		if err != nil {
			return
		}
		again, _, err := e.Encode(Place{N: e.N - 1, Hash: e.Prev})
		if err != nil {
			return // larger once written: escapes
		}
		if back, err := Decode(again); err != nil || back.Kind != e.Kind || back.N != e.N {
			t.Errorf("%q is read as %+v, %v", again, back, err)
		}
	})
}
