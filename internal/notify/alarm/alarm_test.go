package alarm

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestClip(t *testing.T) {
	for _, test := range []struct {
		text string
		size int
		want string
	}{
		{"abc", 3, "abc"}, {"abcd", 3, "…"}, {"abcdef", 5, "ab…"}, {"ääää", 6, "ä…"}, {"a\x00b\nc\x7f", 9, "a b c "}, {"\xff", 9, "\uFFFD"}, {"a\u202Eb", 9, "a b"}, {"", 0, ""},
	} {
		if got := Clip(test.text, test.size); got != test.want || len(got) > max(test.size, 3) {
			t.Errorf("Clip(%q, %d) = %q", test.text, test.size, got)
		}
	}
	if got := ClipLines("a\nb\x1b", 9); got != "a\nb " {
		t.Errorf("lines: %q", got)
	}
}

func TestBounded(t *testing.T) {
	long := strings.Repeat("ß", 10000)
	a := Alarm{Key: long, Summary: long, Detector: long, Runbook: long, Level: "nonsense"}
	for range 1000 {
		a.Evidence = append(a.Evidence, long)
	}
	b := a.Bounded()
	if len(b.Key) > longestKey || len(b.Summary) > longestSummary || len(b.Evidence) != mostEvidence || len(b.Evidence[0]) > longestLine || b.Level != Warn {
		t.Errorf("bounded %d %d %d", len(b.Key), len(b.Summary), len(b.Evidence))
	}
	if !utf8.ValidString(b.Key) || len(a.Evidence) != 1000 {
		t.Error("the original was changed, or a letter was cut")
	}
}
