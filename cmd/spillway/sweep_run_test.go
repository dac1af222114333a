package main

import (
	"strings"
	"testing"
	"time"
)

// A share without its sign is refused: 0.25 may be meant for a quarter.
func TestShareNeedsItsSign(t *testing.T) {
	for share, want := range map[string]string{
		"25%": "", "0.5%": "", "100%": "", "0.25": "is not a percentage", "25": "is not a percentage", "": "is not a percentage", "x%": "is not a percentage",
		"0%": "is not between", "-1%": "is not between", "101%": "is not between", "NaN%": "is not between",
	} {
		_, err := (&runFlags{share: share, batch: time.Millisecond}).options()
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("share %q: %v, want %q", share, err, want)
		}
	}
}
