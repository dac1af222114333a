package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Kinds of messages from clients.
const (
	Bind         byte = 'B'
	Close        byte = 'C'
	CopyData     byte = 'd' // both directions
	CopyDone     byte = 'c' // both directions
	CopyFail     byte = 'f'
	Describe     byte = 'D'
	Execute      byte = 'E'
	Flush        byte = 'H'
	FunctionCall byte = 'F'
	Parse        byte = 'P'
	Password     byte = 'p' // also SASL and GSS responses
	Query        byte = 'Q'
	Sync         byte = 'S'
	Terminate    byte = 'X'
)

// Kinds of messages from servers.
const (
	Authentication       byte = 'R'
	BackendKeyData       byte = 'K'
	BindComplete         byte = '2'
	CloseComplete        byte = '3'
	CommandComplete      byte = 'C'
	CopyInResponse       byte = 'G'
	CopyOutResponse      byte = 'H'
	CopyBothResponse     byte = 'W'
	DataRow              byte = 'D'
	EmptyQueryResponse   byte = 'I'
	ErrorResponse        byte = 'E'
	FunctionCallResponse byte = 'V'
	NegotiateProtocol    byte = 'v'
	NoData               byte = 'n'
	NoticeResponse       byte = 'N'
	NotificationResponse byte = 'A'
	ParameterDescription byte = 't'
	ParameterStatus      byte = 'S'
	ParseComplete        byte = '1'
	PortalSuspended      byte = 's'
	ReadyForQuery        byte = 'Z'
	RowDescription       byte = 'T'
)

// Transaction states ReadyForQuery reports.
const (
	Idle          byte = 'I'
	InTransaction byte = 'T'
	Failed        byte = 'E'
)

// HeaderSize is a kind byte and the 4 bytes of the length, which counts itself.
const HeaderSize = 5

// MaxMessage is the largest message PostgreSQL itself takes (1 GiB, from
// PQ_LARGE_MESSAGE_LIMIT), with its kind byte.
const MaxMessage = 1 << 30

// ErrLength is a length field that no message can have.
var ErrLength = errors.New("invalid message length")

// Frame reads the header at the start of b: the message's kind and its whole
// size, header included. It needs HeaderSize bytes; size is within
// [HeaderSize, limit] or err is ErrLength.
func Frame(b []byte, limit int) (kind byte, size int, err error) {
	n := binary.BigEndian.Uint32(b[1:5])
	if n < 4 || uint64(n)+1 > uint64(limit) {
		return b[0], 0, ErrLength
	}
	return b[0], int(n) + 1, nil
}

// LengthError tells which message had which impossible length.
func LengthError(b []byte, limit int) error {
	return fmt.Errorf("%w: %d in a message of kind %q (limit %d)", ErrLength, int32(binary.BigEndian.Uint32(b[1:5])), b[0], limit)
}

// CString splits b at its first NUL. ok is false when there is none.
func CString(b []byte) (s, rest []byte, ok bool) {
	for i, c := range b {
		if c == 0 {
			return b[:i], b[i+1:], true
		}
	}
	return nil, b, false
}
