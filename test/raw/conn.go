package raw

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

// Limit bounds each read and write; a suite that hangs should say where.
const Limit = 2 * time.Minute

// maxMessage bounds what is believed of a length.
const maxMessage = 1 << 30

// Message is one message from a server.
type Message struct {
	Type byte
	Body []byte
}

// Conn is a connection. Reading and writing may happen at the same time.
type Conn struct {
	net.Conn
	r *bufio.Reader
	// Split cuts what is sent into pieces of random size; nil sends it whole.
	Split *rand.Rand
	// Cancel key, after Login.
	PID    uint32
	Secret []byte
}

// Dial connects over TCP and says nothing yet.
func Dial(addr string) (*Conn, error) {
	c, err := net.DialTimeout("tcp", addr, Limit)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", addr, err)
	}
	return New(c), nil
}

// New wraps a connection, such as one with TLS.
func New(c net.Conn) *Conn { return &Conn{Conn: c, r: bufio.NewReaderSize(c, 64<<10)} }

// Startup encodes a startup packet. Versions are major<<16 | minor.
func Startup(version uint32, params map[string]string) []byte {
	b := binary.BigEndian.AppendUint32(make([]byte, 4), version)
	for _, k := range slices.Sorted(maps.Keys(params)) {
		b = append(append(b, k...), 0)
		b = append(append(b, params[k]...), 0)
	}
	b = append(b, 0)
	binary.BigEndian.PutUint32(b, uint32(len(b)))
	return b
}

// Protocol versions.
const (
	V30 = 3 << 16
	V32 = 3<<16 | 2
)

// Login sends a startup packet of version 3.0 and reads up to the first
// ReadyForQuery. An ErrorResponse ends it too and is the last message.
func (c *Conn) Login(params map[string]string) ([]Message, error) {
	return c.LoginAs(V30, params, "")
}

// LoginAs is Login with another version and a password for servers that ask
// for a plain one.
func (c *Conn) LoginAs(version uint32, params map[string]string, password string) ([]Message, error) {
	if err := c.Send(Startup(version, params)); err != nil {
		return nil, err
	}
	var all []Message
	for {
		m, err := c.Read()
		if err != nil {
			return all, err
		}
		all = append(all, m)
		switch m.Type {
		case 'K':
			c.PID, c.Secret = binary.BigEndian.Uint32(m.Body), m.Body[4:]
		case 'R':
			if len(m.Body) >= 4 && binary.BigEndian.Uint32(m.Body) == 3 {
				err = c.SendMessages(&pgproto3.PasswordMessage{Password: password})
			}
		case 'Z', 'E':
			return all, nil
		}
		if err != nil {
			return all, err
		}
	}
}

// Send writes bytes, in pieces if Split is set.
func (c *Conn) Send(b []byte) error {
	for len(b) > 0 {
		n := len(b)
		if c.Split != nil {
			n = pieceOf(c.Split, len(b))
		}
		if err := c.SetWriteDeadline(time.Now().Add(Limit)); err != nil {
			return fmt.Errorf("set deadline: %w", err)
		}
		if _, err := c.Write(b[:n]); err != nil {
			return fmt.Errorf("send: %w", err)
		}
		b = b[n:]
	}
	return nil
}

// pieceOf picks a length: mostly a few bytes, to cut headers, but large ones
// too, or megabytes would take for ever.
func pieceOf(r *rand.Rand, n int) int {
	most := 1 << r.IntN(8)
	if n > 64<<10 {
		most = 1 << (10 + r.IntN(10))
	}
	return min(n, 1+r.IntN(most))
}

// Encode appends messages to one another.
func Encode(messages ...pgproto3.FrontendMessage) ([]byte, error) {
	var b []byte
	var err error
	for _, m := range messages {
		if b, err = m.Encode(b); err != nil {
			return nil, fmt.Errorf("encode %T: %w", m, err)
		}
	}
	return b, nil
}

// SendMessages encodes and sends.
func (c *Conn) SendMessages(messages ...pgproto3.FrontendMessage) error {
	b, err := Encode(messages...)
	if err != nil {
		return err
	}
	return c.Send(b)
}

// Read reads one message. The body is the caller's. io.EOF is returned as it
// is where the server closed between messages.
func (c *Conn) Read() (Message, error) {
	if err := c.SetReadDeadline(time.Now().Add(Limit)); err != nil {
		return Message{}, fmt.Errorf("set deadline: %w", err)
	}
	var head [5]byte
	if _, err := io.ReadFull(c.r, head[:]); err != nil {
		if errors.Is(err, io.EOF) {
			return Message{}, io.EOF
		}
		return Message{}, fmt.Errorf("read header: %w", err)
	}
	n := binary.BigEndian.Uint32(head[1:])
	if n < 4 || n > maxMessage {
		return Message{}, fmt.Errorf("read header: message %q has length %d", head[0], n)
	}
	body := make([]byte, n-4)
	if _, err := io.ReadFull(c.r, body); err != nil {
		return Message{}, fmt.Errorf("read body of %q: %w", head[0], err)
	}
	return Message{Type: head[0], Body: body}, nil
}

// ReadUntil reads until the types have come in this order, others in between.
func (c *Conn) ReadUntil(types string) ([]Message, error) {
	var all []Message
	for len(types) > 0 {
		m, err := c.Read()
		if err != nil {
			return all, fmt.Errorf("wait for %q after %d messages: %w", types, len(all), err)
		}
		all = append(all, m)
		if m.Type == types[0] {
			types = types[1:]
		}
	}
	return all, nil
}

// Query runs a simple query and returns all up to ReadyForQuery.
func (c *Conn) Query(sql string) ([]Message, error) {
	if err := c.SendMessages(&pgproto3.Query{String: sql}); err != nil {
		return nil, err
	}
	return c.ReadUntil("Z")
}

// SendCancel asks addr, over a connection of its own, to cancel what the key
// belongs to, and waits until the server closes.
func SendCancel(addr string, pid uint32, secret []byte) error {
	c, err := Dial(addr)
	if err != nil {
		return err
	}
	b := binary.BigEndian.AppendUint32(nil, uint32(12+len(secret)))
	b = binary.BigEndian.AppendUint32(b, 80877102)
	b = append(binary.BigEndian.AppendUint32(b, pid), secret...)
	err = c.Send(b)
	if err == nil {
		_, err = c.Read()
	}
	closeErr := c.Close()
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return errors.Join(err, closeErr)
}

// Bye sends Terminate and closes.
func (c *Conn) Bye() error {
	return errors.Join(c.SendMessages(&pgproto3.Terminate{}), c.Close())
}
