package auth

import (
	"errors"
	"fmt"
)

const (
	// LookupQuery is the default auth_query: it takes the user name and returns name
	// and secret. It honours VALID UNTIL and skips roles that may not log in.
	LookupQuery = "SELECT rolname, CASE WHEN rolvaliduntil < pg_catalog.now() THEN NULL ELSE rolpassword END " +
		"FROM pg_catalog.pg_authid WHERE rolname=$1 AND rolcanlogin"
	// LookupSearchPath is the search_path that auth_query runs under. It must be set
	// on the connection itself; nothing a client set may reach that connection.
	LookupSearchPath = "pg_catalog, pg_temp"
)

// What a lookup can find wanting. Either way the client goes through a mock.
var (
	ErrUnknownUser = errors.New("read auth_query answer: no such user")
	ErrNoSecret    = errors.New("read auth_query answer: the user has no password, or it is no longer valid")
)

// ParseLookup checks the rows that auth_query returned for the user asked about and
// returns the secret. A nil value is NULL. It fails closed: anything but one row of
// two columns that names this very user and holds a secret is an error. Errors
// quote nothing of the answer.
func ParseLookup(asked string, rows [][][]byte) (Secret, error) {
	switch {
	case len(rows) == 0:
		return Secret{}, ErrUnknownUser
	case len(rows) > 1:
		return Secret{}, errors.New("read auth_query answer: more than one row")
	case len(rows[0]) != 2:
		return Secret{}, fmt.Errorf("read auth_query answer: %d columns instead of 2 (user name, secret)", len(rows[0]))
	}
	user, secret := rows[0][0], rows[0][1]
	switch {
	case asked == "" || user == nil || string(user) != asked:
		return Secret{}, errors.New("read auth_query answer: the first column is not the user asked about")
	case len(secret) == 0:
		return Secret{}, ErrNoSecret
	}
	s, err := ParseSecret(string(secret))
	if err != nil {
		return Secret{}, fmt.Errorf("read auth_query answer: %w", err)
	}
	return s, nil
}
