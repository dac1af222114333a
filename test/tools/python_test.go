package tools

import (
	"testing"

	"spillway/internal/pgtest"
)

// python is the distribution's interpreter, which has its driver packages; one
// in PATH may be another.
const python = "/usr/bin/python3"

// TestPythonDrivers: what services written in Python do, with each of the three
// drivers. The scripts raise where an answer is not the one that is due.
func TestPythonDrivers(t *testing.T) {
	h := build(t)
	for _, driver := range []string{"psycopg2", "psycopg", "asyncpg"} {
		t.Run(driver, func(t *testing.T) {
			h.eachMode(t, func(t *testing.T, p *pgtest.Pooler) {
				program(t, p, python, "testdata/with_"+driver+".py", h.database(t, driver+"_"+p.Kind.Mode), p.Kind.Mode)
			})
		})
	}
}
