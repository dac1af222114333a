package rules

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"spillway/internal/detect"
)

var update = flag.Bool("update", false, "write packaging/prometheus and packaging/grafana anew")

// The files that packages bring; they are what `spillway rules` prints.
const (
	rulesFile     = "../../../packaging/prometheus/spillway.rules.yaml"
	dashboardFile = "../../../packaging/grafana/spillway.json"
)

func usual() []byte {
	b := detect.Defaults()
	return YAML(&b)
}

func TestPackagedFiles(t *testing.T) {
	for path, made := range map[string][]byte{rulesFile: usual(), dashboardFile: Dashboard()} {
		if *update {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, made, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		kept, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(kept, made) {
			t.Errorf("%s is not what is made now (%v): go test ./internal/detect/rules -update", path, err)
		}
	}
}

// TestPromtool: Prometheus takes the rules, and they fire when they should.
func TestPromtool(t *testing.T) {
	folder := t.TempDir()
	cases, err := os.ReadFile("testdata/rules_test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"spillway.rules.yaml": usual(), "rules_test.yaml": cases} {
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{"check", "rules", "--lint-fatal", "spillway.rules.yaml"}, {"test", "rules", "rules_test.yaml"}} {
		command := exec.Command("promtool", args...)
		command.Dir = folder
		if out, err := command.CombinedOutput(); err != nil {
			t.Errorf("promtool %v: %v\n%s", args, err, out)
		}
	}
}

func TestDashboard(t *testing.T) {
	var d struct {
		Panels []struct {
			Title   string
			GridPos struct{ X, Y, W, H int }
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(Dashboard(), &d); err != nil {
		t.Fatal(err)
	}
	for _, p := range d.Panels {
		if len(p.Targets) == 0 || p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("panel %s: %+v", p.Title, p)
		}
	}
}

// TestMetricsExist holds rules and dashboard to metrics that are there.
func TestMetricsExist(t *testing.T) {
	name := regexp.MustCompile(`spillway_[a-z_]+`)
	known := map[string]bool{}
	for _, pattern := range []string{"../../web/*.go", "../../node/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			prefix := "spillway_"
			if bytes.Contains(text, []byte(`"spillway_postgres_"`)) {
				prefix = "spillway_postgres_"
			}
			for _, m := range regexp.MustCompile(`(?:gauge|counter|desc)\("([a-z_]+)"`).FindAllSubmatch(text, -1) {
				known[prefix+string(m[1])] = true
			}
			for _, m := range name.FindAll(text, -1) {
				known[string(m)] = true
			}
		}
	}
	for _, m := range name.FindAllString(string(usual())+string(Dashboard()), -1) {
		if !known[m] {
			t.Errorf("no metric %s", m)
		}
	}
}
