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
	lent    bool // in is the caller's, until keep
	err     error
	waiting bool // Read waits for bytes
	out     func([]byte) error
	whole   []byte   // while not nil, what is written goes here
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

// lend is put without a copy, until keep.
func (f *feed) lend(b []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.off < len(f.in) {
		f.in = append(f.in, b...)
		return
	}
	f.in, f.off, f.lent = b, 0, true
}

// keep copies what is left of what was lent. A buffer that is read to its end
// goes to others.
func (f *feed) keep(others *spares) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch rest := f.in[f.off:]; {
	case f.lent && len(rest) > 0:
		f.in = append(others.take(len(rest)), rest...)
	case !f.lent && len(rest) == 0:
		others.give(f.in)
		f.in = nil
	case f.lent:
		f.in = nil
	default:
		return
	}
	f.off, f.lent = 0, false
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

// gather makes Write collect behind b; gathered ends that.
func (f *feed) gather(b []byte) {
	f.mu.Lock()
	f.whole = b
	f.mu.Unlock()
}

func (f *feed) gathered() []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	b := f.whole
	f.whole = nil
	return b
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
	return n, nil
}

func (f *feed) Write(b []byte) (int, error) {
	f.mu.Lock()
	raw, out, gathers := f.raw, f.out, f.whole != nil
	if gathers {
		f.whole = append(f.whole, b...)
	}
	f.mu.Unlock()
	if gathers {
		return len(b), nil
	}
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

// encipher sends b in records. Several leave in one piece.
func (l *loop) encipher(ep *endpoint, b []byte) {
	t := ep.tls
	if len(b) <= recordSize {
		_, _ = t.conn.Write(b)
		return
	}
	t.feed.gather(l.kept.take(len(b) + len(b)/16))
	_, _ = t.conn.Write(b)
	own := t.feed.gathered()
	l.drv.send(ep, own)
	l.kept.give(own)
}

// recordSize is the most plaintext in one record (RFC 8446, 5.1).
const recordSize = 16 << 10

// decipher feeds ciphertext and hands plaintext on, what there is of it at once.
// It must also run once after the handshake: bytes may have come in already.
func (l *loop) decipher(ep *endpoint, b []byte) {
	t := ep.tls
	if !ep.deciphered() {
		if len(b) > 0 {
			t.feed.put(b)
		}
		return
	}
	if l.plain == nil {
		l.plain = make([]byte, readSize)
	}
	t.feed.lend(b)
	for !ep.closed && ep.stops == 0 {
		n, err := t.read(l.plain)
		if n > 0 {
			l.data(ep, l.plain[:n])
		}
		if err == nil {
			continue
		}
		if !errors.Is(err, errLater) && !ep.closed && ep.stops == 0 { // else it is met again
			l.gone(ep, err)
		}
		break
	}
	t.feed.keep(&l.kept)
}

// read fills b with plaintext as far as there is some.
func (t *tlsLayer) read(b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		var m int
		m, err = t.conn.Read(b[n:])
		n += m
	}
	return n, err
}

// deciphered says whether the loop reads the plaintext: not during a client's
// handshake, which a goroutine does.
func (ep *endpoint) deciphered() bool {
	return ep.role != roleClient || ep.ofClient().phase != phaseTLS
}

func tlsName(s tls.ConnectionState) string {
	return "TLSv" + tls.VersionName(s.Version)[len("TLS "):] + "/" + tls.CipherSuiteName(s.CipherSuite)
}
