package main

import "testing"

// TestEveryMutantFits keeps the table true: each text to break is there, once.
func TestEveryMutantFits(t *testing.T) {
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, m := range mutants {
		if seen[m.name] {
			t.Errorf("%s is there twice", m.name)
		}
		seen[m.name] = true
		if _, err := m.text(root); err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
	}
}
