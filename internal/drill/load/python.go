package load

import (
	_ "embed"
	"os/exec"
)

// Scripts for the machine's Python with psycopg2. Each ends by itself after
// the seconds of its --for, whoever is left to stop it.
var (
	// LeakScript is the worker of reports 001 and 002: a session per item, never
	// closed. Arguments: SECONDS THREADS PAUSE.
	//go:embed leak.py
	LeakScript string
	// CleanupScript is a run of the job of report 000. Arguments: SECONDS SESSIONS
	// DEADLINE SQL.
	//go:embed cleanup.py
	CleanupScript string
	// RetryScript is the client library of report 003. Arguments: SECONDS
	// THREADS KEPT PAUSE.
	//go:embed retry.py
	RetryScript string
)

// Python returns a Python that has psycopg2, "" when none is installed. The
// system's own comes first: distributions put drivers there.
func Python() string {
	for _, name := range []string{"/usr/bin/python3", "python3"} {
		path, err := exec.LookPath(name)
		if err == nil && exec.Command(path, "-c", "import psycopg2").Run() == nil {
			return path
		}
	}
	return ""
}
