package auth

import (
	"bytes"
	"errors"
	"fmt"
)

// The codes of PostgreSQL's Authentication messages.
const (
	CodeOK                = 0
	CodeKerberosV5        = 2
	CodeCleartextPassword = 3
	CodeMD5Password       = 5
	CodeGSS               = 7
	CodeGSSContinue       = 8
	CodeSSPI              = 9
	CodeSASL              = 10
	CodeSASLContinue      = 11
	CodeSASLFinal         = 12
)

// LoginConfig says with what we log in to a server.
type LoginConfig struct {
	User string
	// Secret is what is stored about the user. Plain and md5 secrets can log in; a
	// SCRAM verifier cannot, it only makes the error clearer.
	Secret Secret
	// AllowCleartext permits sending the password in the clear. Set it where the
	// connection is encrypted or local, or where the operator said so.
	AllowCleartext bool
	// SCRAM holds pass-through keys and the TLS facts. Its Password is Secret.
	SCRAM ClientConfig
}

// ReplyKind is which message a LoginReply goes out as.
type ReplyKind uint8

// The kinds of reply.
const (
	ReplyNone        ReplyKind = iota // send nothing, wait for more
	ReplyPassword                     // PasswordMessage; Body includes the closing zero byte
	ReplySASLInitial                  // SASLInitialResponse with Mechanism and Body
	ReplySASL                         // SASLResponse with Body
	ReplyAccepted                     // AuthenticationOk is believed; send nothing
)

// LoginReply is what to send for an Authentication message.
type LoginReply struct {
	Kind      ReplyKind
	Mechanism string
	Body      []byte
}

// loginState is how far a ServerLogin has come.
type loginState uint8

const (
	loginStart    loginState = iota // waits for the server's request
	loginAnswered                   // sent a password; only AuthenticationOk may follow
	loginSASL                       // runs scram
	loginProved                     // scram verified the server
	loginOver                       // accepted or failed
)

// ServerLogin answers one server's Authentication messages in order, and believes
// AuthenticationOk only where it may. It is not safe for concurrent use.
type ServerLogin struct {
	state loginState
	cfg   LoginConfig
	scram *ClientExchange
}

// ErrCleartext says that the server asked for the password in the clear where that
// is not allowed.
var ErrCleartext = errors.New("server asks for the password in the clear over a connection that is neither encrypted nor local")

// NewServerLogin starts a login.
func NewServerLogin(cfg LoginConfig) *ServerLogin {
	cfg.SCRAM.Password = cfg.Secret
	return &ServerLogin{cfg: cfg}
}

// Slow reports whether Step with this code may run PBKDF2, so that callers run it
// off their loop.
func (l *ServerLogin) Slow(code uint32) bool {
	return code == CodeSASLContinue && l.scram != nil && l.scram.Slow()
}

// Step takes an Authentication message: its code and what follows the code. After
// an error every Step fails. Errors hold no secret; a *MismatchError says what to
// mend.
func (l *ServerLogin) Step(code uint32, body []byte) (LoginReply, error) {
	r, err := l.step(code, body)
	if err != nil {
		l.state = loginOver
		var m *MismatchError
		if errors.As(err, &m) {
			m.User = l.cfg.User
		}
		return LoginReply{}, err
	}
	return r, nil
}

func (l *ServerLogin) step(code uint32, body []byte) (LoginReply, error) {
	if len(body) > MaxServerMessage {
		return LoginReply{}, &ProtocolError{State: stateProtocol, Message: "authentication request from the server is too long"}
	}
	switch {
	case code == CodeOK && (l.state == loginStart || l.state == loginAnswered || l.state == loginProved):
		return l.accept()
	case code == CodeCleartextPassword && l.state == loginStart:
		return l.cleartext()
	case code == CodeMD5Password && l.state == loginStart:
		return l.md5(body)
	case code == CodeSASL && l.state == loginStart:
		return l.sasl(body)
	case code == CodeSASLContinue && l.state == loginSASL && !l.scram.finalSent():
		return l.saslNext(body)
	case code == CodeSASLFinal && l.state == loginSASL && l.scram.finalSent():
		return l.saslNext(body)
	case l.state == loginStart:
		return LoginReply{}, fmt.Errorf("server asks for %s, which Spillway does not speak: use scram-sha-256 for it in the server's pg_hba.conf", codeName(code))
	}
	return LoginReply{}, &ProtocolError{stateProtocol, "unexpected authentication request from the server", codeName(code)}
}

func codeName(code uint32) string {
	switch code {
	case CodeOK:
		return "nothing (AuthenticationOk) before it proved itself"
	case CodeCleartextPassword:
		return "a password in the clear"
	case CodeMD5Password:
		return "md5"
	case CodeSASL, CodeSASLContinue, CodeSASLFinal:
		return "SASL"
	case CodeKerberosV5:
		return "Kerberos"
	case CodeGSS, CodeGSSContinue:
		return "GSSAPI"
	case CodeSSPI:
		return "SSPI"
	}
	return fmt.Sprintf("authentication code %d", code)
}

func (l *ServerLogin) accept() (LoginReply, error) {
	if l.cfg.SCRAM.Binding == BindingRequire && (l.scram == nil || !l.scram.Bound()) {
		return LoginReply{}, ErrBindingRequired
	}
	l.state = loginOver
	return LoginReply{Kind: ReplyAccepted}, nil
}

func (l *ServerLogin) cleartext() (LoginReply, error) {
	switch password, ok := l.cfg.Secret.Plain(); {
	case l.cfg.SCRAM.Binding == BindingRequire:
		return LoginReply{}, ErrBindingRequired
	case !ok:
		return LoginReply{}, l.mismatch("a password in the clear", mendPlain)
	case !l.cfg.AllowCleartext:
		return LoginReply{}, ErrCleartext
	default:
		return l.password(password), nil
	}
}

func (l *ServerLogin) md5(body []byte) (LoginReply, error) {
	if len(body) != 4 {
		return LoginReply{}, &ProtocolError{State: stateProtocol, Message: "md5 salt from the server is not 4 bytes long"}
	}
	if l.cfg.SCRAM.Binding == BindingRequire {
		return LoginReply{}, ErrBindingRequired
	}
	secret, ok := l.cfg.Secret.MD5()
	if password, plain := l.cfg.Secret.Plain(); plain {
		secret, ok = MD5Secret(l.cfg.User, password), true
	}
	if !ok {
		return LoginReply{}, l.mismatch("md5", mendMD5)
	}
	return l.password(MD5Response(secret, [4]byte(body))), nil
}

func (l *ServerLogin) password(text string) LoginReply {
	l.state = loginAnswered
	return LoginReply{Kind: ReplyPassword, Body: append([]byte(text), 0)}
}

func (l *ServerLogin) sasl(body []byte) (LoginReply, error) {
	mechanisms, err := ParseMechanisms(body)
	if err != nil {
		return LoginReply{}, err
	}
	if l.cfg.Secret.Kind() != KindPlain && l.cfg.SCRAM.Keys == nil {
		return LoginReply{}, l.mismatch("SCRAM", l.mendSCRAM())
	}
	if l.scram, err = NewClientExchange(mechanisms, l.cfg.SCRAM); err != nil {
		return LoginReply{}, err
	}
	l.state = loginSASL
	return LoginReply{Kind: ReplySASLInitial, Mechanism: l.scram.Mechanism(), Body: l.scram.First()}, nil
}

func (l *ServerLogin) saslNext(body []byte) (LoginReply, error) {
	reply, done, err := l.scram.Step(body)
	if err != nil {
		return LoginReply{}, err
	}
	if done {
		l.state = loginProved
		return LoginReply{Kind: ReplyNone}, nil
	}
	return LoginReply{Kind: ReplySASL, Body: reply}, nil
}

// Keys returns, after a SCRAM login that was accepted, the keys that worked.
func (l *ServerLogin) Keys() (SCRAMKeys, bool) {
	if l.scram == nil {
		return SCRAMKeys{}, false
	}
	return l.scram.Keys()
}

// finalSent reports whether the proof went out, so that only server-final may come.
func (x *ClientExchange) finalSent() bool { return x.state == clientFinal }

// ParseMechanisms reads the list in AuthenticationSASL: names that each end with a
// zero byte, and a zero byte.
func ParseMechanisms(body []byte) ([]string, error) {
	const most = 32
	bad := &ProtocolError{State: stateProtocol, Message: "malformed list of SASL mechanisms from the server"}
	var names []string
	for len(names) < most {
		name, rest, ok := bytes.Cut(body, []byte{0})
		if !ok || len(name) > 64 {
			return nil, bad
		}
		if len(name) == 0 {
			if len(rest) > 0 {
				return nil, bad
			}
			return names, nil
		}
		names, body = append(names, string(name)), rest
	}
	return nil, bad
}
