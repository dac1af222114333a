package latency

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestRead(t *testing.T) {
	dir := t.TempDir()
	text := "0 1 1500 0 1700000000 250000\n1 1 500 0 1700000002 0 33\n2 1 7"
	if err := os.WriteFile(filepath.Join(dir, "t.1"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	all, err := Read(dir, "t.")
	if err != nil || len(all) != 2 || all[0].MS != 1.5 || !all[0].End.Equal(time.Unix(1700000000, 250e6)) {
		t.Fatalf("%v %v", all, err)
	}
	if got := Between(all, time.Unix(1700000000, 0), time.Time{}); len(got) != 2 || got[0] != 0.5 {
		t.Errorf("from the first on: %v", got)
	}
	if got := Between(all, time.Unix(1700000000, 0), time.Unix(1700000002, 0)); len(got) != 1 || got[0] != 1.5 {
		t.Errorf("before the second: %v", got)
	}
	if _, err := Read(dir, "none"); err == nil {
		t.Error("no log is no error")
	}
}

func TestAt(t *testing.T) {
	if v := At([]float64{1, 2, 3, 4}, 0.99); v != 4 {
		t.Errorf("p99 of four is %v", v)
	}
	if v := At(nil, 0.5); v != 0 {
		t.Errorf("p50 of none is %v", v)
	}
}
