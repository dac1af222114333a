package wire

import "encoding/binary"

// begin appends a header whose length end fills in.
func begin(dst []byte, kind byte) ([]byte, int) {
	dst = append(dst, kind, 0, 0, 0, 0)
	return dst, len(dst) - 4
}

func end(dst []byte, at int) []byte {
	binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at))
	return dst
}

func cstring[S string | []byte](dst []byte, s S) []byte {
	return append(append(dst, s...), 0)
}

// AppendEmpty appends a message without a body.
func AppendEmpty(dst []byte, kind byte) []byte { return append(dst, kind, 0, 0, 0, 4) }

// AppendReady appends ReadyForQuery.
func AppendReady(dst []byte, state byte) []byte {
	return append(dst, ReadyForQuery, 0, 0, 0, 5, state)
}

// AppendQuery appends a simple query.
func AppendQuery(dst []byte, sql string) []byte {
	dst, at := begin(dst, Query)
	return end(cstring(dst, sql), at)
}

// AppendParse appends a Parse whose tail (parameter types as they came on the
// wire, count included) is given verbatim.
func AppendParse(dst []byte, name, sql string, types []byte) []byte {
	dst, at := begin(dst, Parse)
	dst = cstring(cstring(dst, name), sql)
	if len(types) == 0 {
		return end(append(dst, 0, 0), at)
	}
	return end(append(dst, types...), at)
}

// AppendNamed appends a Describe or Close of what ('S' or 'P') and its name.
func AppendNamed(dst []byte, kind, what byte, name string) []byte {
	dst, at := begin(dst, kind)
	return end(cstring(append(dst, what), name), at)
}

// AppendParameterStatus appends a reported setting.
func AppendParameterStatus(dst []byte, name, value string) []byte {
	dst, at := begin(dst, ParameterStatus)
	return end(cstring(cstring(dst, name), value), at)
}

// AppendBackendKey appends BackendKeyData.
func AppendBackendKey(dst []byte, pid uint32, key []byte) []byte {
	dst, at := begin(dst, BackendKeyData)
	return end(append(binary.BigEndian.AppendUint32(dst, pid), key...), at)
}

// AppendNegotiate appends NegotiateProtocolVersion.
func AppendNegotiate(dst []byte, minor int, options []string) []byte {
	dst, at := begin(dst, NegotiateProtocol)
	dst = binary.BigEndian.AppendUint32(dst, 3<<16|uint32(minor))
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(options)))
	for _, o := range options {
		dst = cstring(dst, o)
	}
	return end(dst, at)
}

// Authentication requests.
const (
	AuthOK           = 0
	AuthCleartext    = 3
	AuthMD5          = 5
	AuthSASL         = 10
	AuthSASLContinue = 11
	AuthSASLFinal    = 12
)

// AppendAuth appends an authentication request with its payload.
func AppendAuth(dst []byte, request uint32, payload []byte) []byte {
	dst, at := begin(dst, Authentication)
	return end(append(binary.BigEndian.AppendUint32(dst, request), payload...), at)
}

// AppendAuthSASL appends the list of mechanisms offered.
func AppendAuthSASL(dst []byte, mechanisms ...string) []byte {
	dst, at := begin(dst, Authentication)
	dst = binary.BigEndian.AppendUint32(dst, AuthSASL)
	for _, m := range mechanisms {
		dst = cstring(dst, m)
	}
	return end(append(dst, 0), at)
}

// AppendPassword appends a password or SASL response.
func AppendPassword(dst, payload []byte) []byte {
	dst, at := begin(dst, Password)
	return end(append(dst, payload...), at)
}

// AppendSASLInitial appends SASLInitialResponse.
func AppendSASLInitial(dst []byte, mechanism string, payload []byte) []byte {
	dst, at := begin(dst, Password)
	dst = cstring(dst, mechanism)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(payload)))
	return end(append(dst, payload...), at)
}

// AppendStartup appends a startup packet for protocol 3.minor.
func AppendStartup(dst []byte, minor int, params []Param) []byte {
	at := len(dst)
	dst = binary.BigEndian.AppendUint32(append(dst, 0, 0, 0, 0), 3<<16|uint32(minor))
	for _, p := range params {
		dst = cstring(cstring(dst, p.Name), p.Value)
	}
	return end(append(dst, 0), at)
}

// AppendRequest appends an SSLRequest or GSSENCRequest.
func AppendRequest(dst []byte, code uint32) []byte {
	return binary.BigEndian.AppendUint32(append(dst, 0, 0, 0, 8), code)
}

// AppendCancel appends a CancelRequest.
func AppendCancel(dst []byte, pid uint32, key []byte) []byte {
	at := len(dst)
	dst = binary.BigEndian.AppendUint32(append(dst, 0, 0, 0, 0), CodeCancel)
	return end(append(binary.BigEndian.AppendUint32(dst, pid), key...), at)
}

// Column is one field of a row description.
type Column struct {
	Name string
	OID  uint32
	Size int16 // of the type; -1 = variable
}

// AppendRowDescription appends columns; formats gives a format code for each
// column, one for all, or none for text.
func AppendRowDescription(dst []byte, columns []Column, formats []int16) []byte {
	dst, at := begin(dst, RowDescription)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(columns)))
	for i, c := range columns {
		dst = cstring(dst, c.Name)
		dst = append(dst, 0, 0, 0, 0, 0, 0) // no table, no attribute
		dst = binary.BigEndian.AppendUint32(dst, c.OID)
		dst = binary.BigEndian.AppendUint16(dst, uint16(c.Size))
		dst = append(dst, 0xff, 0xff, 0xff, 0xff)
		dst = binary.BigEndian.AppendUint16(dst, uint16(FormatAt(formats, i)))
	}
	return end(dst, at)
}

// FormatAt returns the format code of field i: none means text, one holds for all.
func FormatAt(formats []int16, i int) int16 {
	switch {
	case len(formats) == 0:
		return 0
	case len(formats) == 1:
		return formats[0]
	case i < len(formats):
		return formats[i]
	}
	return 0
}

// AppendDataRow appends a row; a nil value is NULL.
func AppendDataRow(dst []byte, values ...[]byte) []byte {
	dst, at := begin(dst, DataRow)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(values)))
	for _, v := range values {
		if v == nil {
			dst = append(dst, 0xff, 0xff, 0xff, 0xff)
			continue
		}
		dst = append(binary.BigEndian.AppendUint32(dst, uint32(len(v))), v...)
	}
	return end(dst, at)
}

// AppendCommandComplete appends a command tag.
func AppendCommandComplete(dst []byte, tag string) []byte {
	dst, at := begin(dst, CommandComplete)
	return end(cstring(dst, tag), at)
}
