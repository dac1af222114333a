package config

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const imports = "testdata/import"

// golden is what Import made of an ini: the YAML, then the notes as comments.
func golden(yaml []byte, notes []Note) []byte {
	var b bytes.Buffer
	b.Write(yaml)
	if len(notes) > 0 {
		b.WriteString("\n# Notes:\n")
	}
	for _, n := range notes {
		fmt.Fprintf(&b, "# %s\n", n)
	}
	return b.Bytes()
}

// TestImportGolden: each ini gives the YAML beside it, which loads.
func TestImportGolden(t *testing.T) {
	inis, err := filepath.Glob(filepath.Join(imports, "*.ini"))
	if err != nil || len(inis) == 0 {
		t.Fatal(inis, err)
	}
	for _, path := range inis {
		t.Run(filepath.Base(path), func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			yaml, notes, err := Import(filepath.Base(path), bytes.NewReader(text), imports)
			if err != nil {
				t.Fatal(err)
			}
			want := strings.TrimSuffix(path, ".ini") + ".yaml"
			if *update {
				if err := os.WriteFile(want, golden(yaml, notes), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			before, err := os.ReadFile(want)
			if err != nil {
				t.Fatal(err)
			}
			if got := golden(yaml, notes); !bytes.Equal(got, before) {
				t.Errorf("import differs from %s; got:\n%s", want, got)
			}
			loadImported(t, yaml)
		})
	}
}

// loadImported loads a YAML beside the files it may name.
func loadImported(t *testing.T, yaml []byte) *Config {
	t.Helper()
	dir := certificates(t)
	for name, text := range map[string]string{
		"spillway.yaml": string(yaml),
		"userlist.txt":  "\"lookup\" \"secret\"\n\"pooler\" \"md500000000000000000000000000000000\"\n",
		"hba.conf":      "local all all peer map=m\nhostssl all all 0.0.0.0/0 scram-sha-256\n",
		"ident.conf":    "m root postgres\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := Load(filepath.Join(dir, "spillway.yaml"))
	if err != nil {
		t.Fatalf("imported YAML does not load:\n%v\n%s", err, yaml)
	}
	return c
}
