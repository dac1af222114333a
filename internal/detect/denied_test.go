package detect

import (
	"strings"
	"testing"
	"time"

	"spillway/internal/sample"
)

// TestDeniedLogins: who mistypes is left in peace, a library that fails its
// logins in a loop is named within seconds, and it is over when it stops.
func TestDeniedLogins(t *testing.T) {
	w := newWorld(t, 85)
	recent := 0
	w.change = func(f *sample.Frame) {
		if recent > 0 {
			f.Proxy.Denials = []sample.Denial{{User: "legacy", Application: "legacy-pool", Addr: "10.0.0.7", Recent: recent, Total: 400, FirstAt: began, LastAt: f.At}}
		}
	}
	recent = 5
	w.run(time.Minute)
	w.want("a few mistakes")
	recent = 120
	w.run(2 * time.Second)
	w.want("a loop", "denied/legacy/legacy-pool/10.0.0.7 warn")
	if text := w.told[0].Summary; !strings.Contains(text, "legacy-pool (user legacy) from 10.0.0.7") || w.told[0].Runbook == "" {
		t.Errorf("told %+v", w.told[0])
	}
	recent = 0
	w.run(time.Minute)
	w.want("it stopped")
}
