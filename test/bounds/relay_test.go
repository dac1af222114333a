package bounds

import (
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
)

// relay stands between Spillway and PostgreSQL, so that Spillway's own sockets
// can be cut.
type relay struct {
	door net.Listener
	to   string

	mu    sync.Mutex
	conns map[*net.TCPConn]bool // guarded by mu; those from Spillway
	done  sync.WaitGroup
}

func startRelay(t *testing.T, to string) *relay {
	t.Helper()
	door, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{door: door, to: to, conns: map[*net.TCPConn]bool{}}
	r.done.Go(r.accept)
	t.Cleanup(func() {
		_ = door.Close()
		r.cut(1 << 20)
		r.done.Wait()
	})
	return r
}

func (r *relay) accept() {
	for {
		conn, err := r.door.Accept()
		if err != nil {
			return
		}
		r.done.Go(func() { r.pass(conn.(*net.TCPConn)) })
	}
}

func (r *relay) pass(from *net.TCPConn) {
	defer from.Close()
	to, err := net.Dial("tcp", r.to)
	if err != nil {
		return
	}
	defer to.Close()
	r.mu.Lock()
	r.conns[from] = true
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		delete(r.conns, from)
		r.mu.Unlock()
	}()
	r.done.Go(func() {
		_, _ = io.Copy(from, to)
		_ = from.Close()
	})
	_, _ = io.Copy(to, from)
}

// cut resets up to n connections at random and says how many.
func (r *relay) cut(n int) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]*net.TCPConn, 0, len(r.conns))
	for c := range r.conns {
		all = append(all, c)
	}
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	all = all[:min(n, len(all))]
	for _, c := range all {
		_ = c.SetLinger(0)
		_ = c.Close()
	}
	return len(all)
}
