package auth

import "fmt"

const (
	maxUserlist = 64 << 20 // bytes of a userlist file
	// MaxName is the longest user or database name accepted in a file, in bytes.
	MaxName = 128
)

// Userlist holds the users of a userlist file. It is immutable and safe to share.
type Userlist struct {
	secrets map[string]Secret
	notes   []string
}

// Secret returns a user's secret; ok is false for an unknown user.
func (u *Userlist) Secret(user string) (s Secret, ok bool) {
	if u == nil {
		return Secret{}, false
	}
	s, ok = u.secrets[user]
	return s, ok
}

// Len returns how many users there are.
func (u *Userlist) Len() int { return len(u.secrets) }

// Users calls yield for each user, in no order, until it returns false.
func (u *Userlist) Users(yield func(user string, s Secret) bool) {
	for user, s := range u.secrets {
		if !yield(user, s) {
			return
		}
	}
}

// Notes returns what is legal in the file and yet likely a mistake, one sentence
// each, without secrets.
func (u *Userlist) Notes() []string { return u.notes }

// ParseUserlist reads PgBouncer's format: a line for each user with the name and the
// secret in double quotes, a quote inside written twice, comments from ; or #. What
// follows in quotes on the line is ignored, as PgBouncer does with the pg_shadow
// format, and the last entry of a user counts. Errors are *ParseError.
func ParseUserlist(src []byte) (*Userlist, error) {
	s, err := newScanner(src, maxUserlist, false)
	if err != nil {
		return nil, err
	}
	u := &Userlist{secrets: make(map[string]Secret)}
	lines := make(map[string]int)
	for {
		s.skipWhile(" \t\r\n\v\f")
		c, ok := s.peek()
		if !ok {
			return u, nil
		}
		if c == ';' || c == '#' {
			s.skipLine()
			continue
		}
		if err := u.entry(s, lines); err != nil {
			return nil, err
		}
	}
}

// entry reads one user's line.
func (u *Userlist) entry(s *scanner, lines map[string]int) error {
	start := s.at
	name, err := s.quoted("user name", MaxName)
	if err != nil {
		return err
	}
	if name == "" {
		return start.fail("the user name is empty", `write "user" "secret"`)
	}
	s.skipWhile(" \t\r")
	at := s.at
	text, err := s.quoted("secret", MaxSecret)
	if err != nil {
		return err
	}
	secret, err := ParseSecret(text)
	if err != nil {
		return at.fail(err.Error(), "copy rolpassword from pg_authid unchanged")
	}
	if first, again := lines[name]; again && len(u.notes) < 100 {
		u.notes = append(u.notes, fmt.Sprintf("line %d: user %q stands in line %d already; the last entry counts", start.line, name, first))
	}
	u.secrets[name], lines[name] = secret, start.line
	return s.restOfEntry()
}

// quoted reads a string in double quotes on one line. Errors show nothing of it.
func (s *scanner) quoted(what string, limit int) (string, error) {
	start := s.at
	if c, ok := s.peek(); !ok || c != '"' {
		return "", start.fail("expected the "+what+" in double quotes", `write "user" "secret"`)
	}
	s.next()
	var text []byte
	for {
		c, ok := s.peek()
		switch {
		case !ok || c == '\n':
			return "", start.fail("the "+what+" has no closing quote", `close it with ", and write a quote inside it twice: ""`)
		case c == 0:
			return "", s.at.fail("the "+what+" contains a zero byte", "remove it")
		}
		s.next()
		if c == '"' && !s.literalQuote(true) {
			return string(text), nil
		}
		if len(text) == limit {
			return "", start.fail(fmt.Sprintf("the %s is longer than %d bytes", what, limit), "shorten it, or close its quote")
		}
		text = append(text, c)
	}
}

// restOfEntry accepts further quoted fields and a comment up to the line end.
func (s *scanner) restOfEntry() error {
	for {
		s.skipWhile(" \t\r\v\f")
		c, ok := s.peek()
		switch {
		case !ok || c == '\n':
			return nil
		case c == ';' || c == '#':
			s.skipLine()
		case c == '"':
			if _, err := s.quoted("field after the secret", MaxSecret); err != nil {
				return err
			}
		default:
			return s.at.fail("unexpected text after the secret", "write one user per line, and a quote inside a secret twice")
		}
	}
}
