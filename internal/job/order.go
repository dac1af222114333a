package job

import (
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"time"

	"github.com/jackc/pgx/v5"
)

// Overlap says what happens when the job runs already.
type Overlap string

// Overlaps.
const (
	Skip    Overlap = "skip"    // do not run
	Queue   Overlap = "queue"   // wait for its end; at most Limit wait
	Replace Overlap = "replace" // end the one that runs, then run
)

// Order is one run of a job.
type Order struct {
	Name     string        // letters, digits, . _ -; at most 40
	Every    time.Duration // how often runs are expected; 0 when nobody knows
	Deadline time.Duration // longest run; 0 is no limit
	Grace    time.Duration // between TERM and KILL; 0 is 5 s
	Overlap  Overlap       // "" is Skip
	Limit    int           // most that wait under Queue; 0 is 1
	Command  []string      // program and arguments

	Server *pgx.ConnConfig // where the lease is; a direct login to PostgreSQL
	// Patience is how long a server that is away or full is tried before the
	// command is given up; 0 is 30 s.
	Patience time.Duration

	Signals <-chan os.Signal // passed on to the child's group; may be nil
	Stdin   io.Reader
	Stdout  io.Writer
	Stderr  io.Writer
	// Tell hears in words what happens, for a person; may be nil.
	Tell func(text string)
}

// Application is the application_name of a job's connections, as a pattern for
// a workload: job:NAME, then # and the token.
func (o *Order) application(token int64) string { return fmt.Sprintf("job:%s#%d", o.Name, token) }

// names fit application_name (63 bytes) together with a token.
var names = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$`)

// Check says what is wrong with an order.
func (o *Order) Check() error {
	switch {
	case o.Name == "":
		return errors.New("no name given; add --name")
	case !names.MatchString(o.Name):
		return fmt.Errorf("job name %q is not 1 to 40 letters, digits, dots, dashes and underscores", o.Name)
	case len(o.Command) == 0:
		return errors.New("no command given; put it after --")
	case o.Every < 0 || o.Deadline < 0 || o.Grace < 0 || o.Patience < 0:
		return errors.New("a duration is below 0")
	case o.Limit < 0:
		return errors.New("limit is below 0")
	}
	switch o.Overlap {
	case "", Skip, Queue, Replace:
		return nil
	}
	return fmt.Errorf("overlap %q is not skip, queue or replace", o.Overlap)
}

func (o *Order) defaults() {
	if o.Overlap == "" {
		o.Overlap = Skip
	}
	if o.Limit == 0 {
		o.Limit = 1
	}
	if o.Grace == 0 {
		o.Grace = 5 * time.Second
	}
	if o.Patience == 0 {
		o.Patience = 30 * time.Second
	}
	if o.Tell == nil {
		o.Tell = func(string) {}
	}
}

// How a run ended.
type How string

// Ways to end.
const (
	Done     How = "done"     // exit code 0
	Failed   How = "failed"   // any other, or a signal from elsewhere
	Deadline How = "deadline" // ended by its deadline
	Lost     How = "lost"     // its lease was lost, or its holder died
	Replaced How = "replaced" // another run asked for its place
	Stopped  How = "stopped"  // a signal that was passed on ended it
	Skipped  How = "skipped"  // did not run
)

// Outcome is what became of an order.
type Outcome struct {
	How    How
	Token  int64 // 0 when it did not run
	Exit   int   // the child's exit code; 128 + the signal when one ended it
	Rows   int64 // as the child reported; -1 when it did not
	Note   string
	Began  time.Time
	Lasted time.Duration
}

// Exit codes beside the child's own, as timeout(1) and sysexits.h have them.
const (
	ExitNotStarted = 127 // the command could not be started
	ExitDeadline   = 124
	ExitSkipped    = 75 // EX_TEMPFAIL
	ExitLost       = 74 // EX_IOERR
)

// Code is what the command exits with.
func (o *Outcome) Code() int {
	switch o.How {
	case Deadline:
		return ExitDeadline
	case Skipped:
		return ExitSkipped
	case Lost, Replaced:
		return ExitLost
	case Done, Failed, Stopped:
	}
	return o.Exit
}
