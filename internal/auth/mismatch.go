package auth

import "fmt"

// MismatchError says that a server asks for a proof that cannot be made from what
// we hold of the user, and how to mend it. It holds no secret.
type MismatchError struct {
	User  string
	Asked string // what the server asks for
	Have  string // what we hold instead
	Mend  string
}

// Error returns the whole story in one sentence.
func (e *MismatchError) Error() string {
	return fmt.Sprintf("server asks for %s, but Spillway holds %s for user %.128q: %s", e.Asked, e.Have, e.User, e.Mend)
}

const (
	mendCredentials = "put the user's plain password into the userlist, or let clients log in by SCRAM with the same secret that pg_authid holds on this server"
	mendVerifier    = "copy rolpassword from pg_authid of this very server into the userlist (each server that stores its own salt needs its own entry), or put the plain password there"
	mendUnproved    = "a SCRAM secret verifies clients but cannot log in; a client has to log in by SCRAM first, or the userlist has to hold the plain password"
	mendHash        = "the server stores a SCRAM secret for this role; put that secret (rolpassword in pg_authid) or the plain password into the userlist instead of the md5 hash"
	mendMD5         = "the role's password is stored as md5 on the server; set it again there under password_encryption = 'scram-sha-256', or put its md5 secret or the plain password into the userlist"
	mendPlain       = "use scram-sha-256 instead of password in the server's pg_hba.conf, or put the plain password into the userlist"
)

func (l *ServerLogin) mismatch(asked, mend string) error {
	return &MismatchError{Asked: asked, Have: l.have(), Mend: mend}
}

// have names what we hold.
func (l *ServerLogin) have() string {
	switch {
	case l.cfg.SCRAM.Keys != nil:
		return "only the SCRAM keys of a client's login"
	case l.cfg.Secret.Kind() == KindSCRAM:
		return "only a SCRAM secret"
	case l.cfg.Secret.Kind() == KindMD5:
		return "only an md5 hash"
	case l.cfg.Secret.Kind() == KindPlain:
		return "the plain password"
	}
	return "no secret"
}

func (l *ServerLogin) mendSCRAM() string {
	switch l.cfg.Secret.Kind() {
	case KindSCRAM:
		return mendUnproved
	case KindMD5:
		return mendHash
	case KindNone, KindPlain:
	}
	return mendCredentials
}
