package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// Codes in the first packet of a connection.
const (
	CodeCancel = 80877102
	CodeSSL    = 80877103
	CodeGSS    = 80877104
)

// MaxStartup bounds a startup packet, as MAX_STARTUP_PACKET_LENGTH does.
const MaxStartup = 10000

// MaxCancelKey bounds a cancel key (protocol 3.2).
const MaxCancelKey = 256

// Startup is the first packet of a connection.
type Startup struct {
	Code         uint32 // one of the codes, or the protocol version
	Major, Minor int
	Params       []Param // in the order sent, without duplicates; the last value wins
	PID          uint32  // of a cancel request
	Key          []byte  // of a cancel request; a view into the packet
}

// Param is one startup parameter or reported setting.
type Param struct{ Name, Value string }

// ErrStartup is a first packet that is not PostgreSQL's protocol.
var ErrStartup = errors.New("invalid startup packet")

// StartupSize reads the length at the start of b (4 bytes are needed).
func StartupSize(b []byte, limit int) (int, error) {
	n := binary.BigEndian.Uint32(b)
	if n < 8 || uint64(n) > uint64(limit) {
		return 0, fmt.Errorf("%w: length %d", ErrStartup, n)
	}
	return int(n), nil
}

// ParseStartup decodes a whole startup packet, its length field included.
func ParseStartup(p []byte) (Startup, error) {
	if len(p) < 8 {
		return Startup{}, fmt.Errorf("%w: %d bytes", ErrStartup, len(p))
	}
	s := Startup{Code: binary.BigEndian.Uint32(p[4:])}
	body := p[8:]
	switch s.Code {
	case CodeSSL, CodeGSS:
		return s, nil
	case CodeCancel:
		if len(body) < 5 || len(body) > 4+MaxCancelKey {
			return s, fmt.Errorf("%w: cancel request of %d bytes", ErrStartup, len(p))
		}
		s.PID, s.Key = binary.BigEndian.Uint32(body), body[4:]
		return s, nil
	}
	s.Major, s.Minor = int(s.Code>>16), int(s.Code&0xffff)
	if s.Major != 3 {
		return s, nil // the caller answers: unsupported frontend protocol
	}
	return s, s.params(body)
}

func (s *Startup) params(body []byte) error {
	for {
		name, rest, ok := CString(body)
		if !ok {
			return fmt.Errorf("%w: parameters do not end", ErrStartup)
		}
		if len(name) == 0 {
			if len(rest) != 0 {
				return fmt.Errorf("%w: expected terminator as last byte", ErrStartup)
			}
			return nil
		}
		value, rest, ok := CString(rest)
		if !ok {
			return fmt.Errorf("%w: parameter %q has no value", ErrStartup, name)
		}
		s.set(nameOf(name), string(value))
		body = rest
	}
}

// nameOf spares a copy of the names that nearly every client sends.
func nameOf(name []byte) string {
	switch string(name) {
	case "user":
		return "user"
	case "database":
		return "database"
	case "application_name":
		return "application_name"
	case "client_encoding":
		return "client_encoding"
	}
	return string(name)
}

func (s *Startup) set(name, value string) {
	for i := range s.Params {
		if s.Params[i].Name == name {
			s.Params[i].Value = value
			return
		}
	}
	s.Params = append(s.Params, Param{name, value})
}

// Get returns a parameter's value, "" when it was not sent.
func (s *Startup) Get(name string) string {
	for i := range s.Params {
		if s.Params[i].Name == name {
			return s.Params[i].Value
		}
	}
	return ""
}

// Unrecognized returns the names of the protocol options (_pq_.…) sent.
func (s *Startup) Unrecognized() []string {
	var names []string
	for _, p := range s.Params {
		if strings.HasPrefix(p.Name, "_pq_.") {
			names = append(names, p.Name)
		}
	}
	return names
}
