package proxy

import (
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"
)

// tlsLayer drives a crypto/tls connection inside a loop: ciphertext is fed in,
// plaintext read until it would block, and what crypto/tls writes goes to the
// endpoint.
type tlsLayer struct {
	conn *tls.Conn
	feed *feed
	name string // "TLSv1.3/TLS_AES_128_GCM_SHA256"
}

// feed is the net.Conn beneath a tls.Conn. During the handshake Read waits,
// for the handshake runs on a goroutine; afterwards an empty Read fails with a
// temporary error, which crypto/tls does not hold against the connection
// (TestTLSTemporaryErrorIsNotSticky pins this).
type feed struct {
	mu      sync.Mutex // guards what follows
	cond    sync.Cond
	in      []byte
	off     int
	err     error
	waiting bool // Read waits for bytes
	out     func([]byte) error
	raw     net.Conn // a server's handshake reads and writes here; nil otherwise
}

func newFeed(out func([]byte) error) *feed {
	f := &feed{out: out, waiting: true}
	f.cond.L = &f.mu
	return f
}

// put adds ciphertext.
func (f *feed) put(b []byte) {
	f.mu.Lock()
	if f.off == len(f.in) {
		f.in, f.off = f.in[:0], 0
	}
	f.in = append(f.in, b...)
	f.cond.Signal()
	f.mu.Unlock()
}

// fail ends every Read to come.
func (f *feed) fail(err error) {
	f.mu.Lock()
	f.err = err
	f.cond.Signal()
	f.mu.Unlock()
}

// hand makes Read answer at once from now on: the loop drives.
func (f *feed) hand(out func([]byte) error) {
	f.mu.Lock()
	f.waiting, f.raw, f.out = false, nil, out
	f.mu.Unlock()
}

func (f *feed) Read(b []byte) (int, error) {
	f.mu.Lock()
	if raw := f.raw; raw != nil {
		f.mu.Unlock()
		return raw.Read(b)
	}
	defer f.mu.Unlock()
	for f.off == len(f.in) {
		if f.err != nil {
			return 0, f.err
		}
		if !f.waiting {
			return 0, errLater
		}
		f.cond.Wait()
	}
	n := copy(b, f.in[f.off:])
	f.off += n
	if f.off == len(f.in) && cap(f.in) > 4096 {
		f.in, f.off = nil, 0
	}
	return n, nil
}

func (f *feed) Write(b []byte) (int, error) {
	f.mu.Lock()
	raw, out := f.raw, f.out
	f.mu.Unlock()
	if raw != nil {
		return raw.Write(b)
	}
	if err := out(b); err != nil {
		return 0, err
	}
	return len(b), nil
}

// Close leaves the socket alone: the loop owns it.
func (f *feed) Close() error                     { return nil }
func (f *feed) LocalAddr() net.Addr              { return noAddr{} }
func (f *feed) RemoteAddr() net.Addr             { return noAddr{} }
func (f *feed) SetDeadline(time.Time) error      { return nil }
func (f *feed) SetReadDeadline(time.Time) error  { return nil }
func (f *feed) SetWriteDeadline(time.Time) error { return nil }

type noAddr struct{}

func (noAddr) Network() string { return "loop" }
func (noAddr) String() string  { return "loop" }

// later is a temporary net.Error.
type later struct{}

func (later) Error() string   { return "no bytes yet" }
func (later) Timeout() bool   { return true }
func (later) Temporary() bool { return true }

var errLater net.Error = later{}

func (t *tlsLayer) write(b []byte) { _, _ = t.conn.Write(b) }

// decipher feeds ciphertext and hands plaintext on. It must also run once
// after the handshake: bytes may have come in already.
func (l *loop) decipher(ep *endpoint, b []byte) {
	t := ep.tls
	if len(b) > 0 {
		t.feed.put(b)
	}
	if !ep.deciphered() {
		return
	}
	if l.plain == nil {
		l.plain = make([]byte, 32<<10)
	}
	for !ep.closed && ep.stops == 0 {
		n, err := t.conn.Read(l.plain)
		if n > 0 {
			l.data(ep, l.plain[:n])
		}
		switch {
		case err == nil:
		case errors.Is(err, errLater):
			return
		default:
			if !ep.closed {
				l.gone(ep, err)
			}
			return
		}
	}
}

// deciphered says whether the loop reads the plaintext: not during a client's
// handshake, which a goroutine does.
func (ep *endpoint) deciphered() bool {
	return ep.role != roleClient || ep.ofClient().phase != phaseTLS
}

func tlsName(s tls.ConnectionState) string {
	return "TLSv" + tls.VersionName(s.Version)[len("TLS "):] + "/" + tls.CipherSuiteName(s.CipherSuite)
}
