package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

func TestCodes(t *testing.T) {
	tests := []struct {
		err   error
		code  string
		retry bool
	}{
		{nil, "", false},
		{&pgconn.PgError{Code: "53300"}, "53300", true},
		{&pgconn.PgError{Code: "57P03"}, "57P03", true},
		{fmt.Errorf("connect: %w", &pgconn.PgError{Code: "08001"}), "08001", true},
		{&pgconn.PgError{Code: "40001"}, "40001", false},
		{context.DeadlineExceeded, "timeout", true}, // the deadline ends the tries
		{errBusy, "busy", false},
		{io.ErrUnexpectedEOF, "connection", true},
		{&net.OpError{Op: "dial", Err: errors.New("refused")}, "connection", true},
		{errors.New("something else"), "other", false},
	}
	for _, test := range tests {
		if got := Code(test.err); got != test.code {
			t.Errorf("%v is %q, want %q", test.err, got, test.code)
		}
		if test.err != nil && connectionFailed(test.err) != test.retry {
			t.Errorf("%v: tried again = %v", test.err, !test.retry)
		}
	}
}

// TestAPIKeepsItsRate: requests come when they are due though none is answered,
// and more than have room are refused at once.
func TestAPIKeepsItsRate(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // accepts, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	// If each waited for an answer before it, of which there are 10 a second, 400
	// would take longer than this.
	ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	var mu sync.Mutex
	codes, came := map[string]int{}, 0
	api := API{URL: "postgres://a:b@" + silent.Addr().String() + "/app?sslmode=disable", Rate: 200, Deadline: 200 * time.Millisecond, Conns: 2, Lifetime: time.Second, SQL: []string{"SELECT $1"}, Rows: 1}
	began := time.Now()
	err = api.Run(ctx, func(s Shot) {
		mu.Lock()
		defer mu.Unlock()
		codes[Code(s.Err)]++
		if came++; came == 400 {
			stop()
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := codes["timeout"] + codes["busy"] + codes["connection"]; n < 400 || n != came || float64(n) > 1+200*time.Since(began).Seconds() {
		t.Errorf("%d requests in %v at 200 a second: %v", n, time.Since(began), codes)
	}
}

func TestOnceTellsTheComplaint(t *testing.T) {
	out, err := Once(t.Context(), "/bin/sh", []string{"WORD=said"}, "-c", "echo $WORD")
	if out != "said" || err != nil {
		t.Errorf("%q, %v", out, err)
	}
	if _, err := Once(t.Context(), "/bin/sh", nil, "-c", "echo it hurts >&2; exit 3"); err == nil || err.Error() != "it hurts" {
		t.Errorf("%v", err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stop()
	if _, err := Once(ctx, "/bin/sleep", nil, "60"); err == nil || !strings.Contains(err.Error(), "in time") {
		t.Errorf("%v", err)
	}
}
