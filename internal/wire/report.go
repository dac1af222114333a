package wire

import "fmt"

// Report is an ErrorResponse or NoticeResponse. Every field may be empty, also
// those PostgreSQL always sends.
type Report struct {
	Severity string // ERROR, FATAL, NOTICE, …
	Code     string // SQLSTATE
	Message  string
	Detail   string
	Hint     string
}

func (r Report) Error() string {
	return fmt.Sprintf("%s: %s (SQLSTATE %s)", r.Severity, r.Message, r.Code)
}

// AppendReport appends r as kind (ErrorResponse or NoticeResponse).
func AppendReport(dst []byte, kind byte, r Report) []byte {
	dst, at := begin(dst, kind)
	dst = cstring(append(dst, 'S'), r.Severity)
	dst = cstring(append(dst, 'V'), r.Severity)
	dst = cstring(append(dst, 'C'), r.Code)
	dst = cstring(append(dst, 'M'), r.Message)
	if r.Detail != "" {
		dst = cstring(append(dst, 'D'), r.Detail)
	}
	if r.Hint != "" {
		dst = cstring(append(dst, 'H'), r.Hint)
	}
	return end(append(dst, 0), at)
}

// ParseReport decodes the body of an error or notice. It takes what it can:
// servers are not trusted to send every field, or to end the message.
func ParseReport(body []byte) Report {
	var r Report
	for len(body) > 0 && body[0] != 0 {
		field := body[0]
		value, rest, ok := CString(body[1:])
		if !ok {
			value, rest = body[1:], nil
		}
		switch field {
		case 'S':
			if r.Severity == "" {
				r.Severity = string(value)
			}
		case 'V':
			r.Severity = string(value)
		case 'C':
			r.Code = string(value)
		case 'M':
			r.Message = string(value)
		case 'D':
			r.Detail = string(value)
		case 'H':
			r.Hint = string(value)
		}
		body = rest
	}
	return r
}

// ReportCode returns the SQLSTATE in the body of an error without allocating;
// nil when there is none.
func ReportCode(body []byte) []byte {
	for len(body) > 0 && body[0] != 0 {
		field := body[0]
		value, rest, ok := CString(body[1:])
		if !ok {
			return nil
		}
		if field == 'C' {
			return value
		}
		body = rest
	}
	return nil
}
