package auth

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"io"
	"slices"
	"strings"
)

// ClientConfig says how a ClientExchange proves itself to a server.
type ClientConfig struct {
	// Password is used where Keys do not fit the server's salt and iterations. Any
	// kind but KindPlain means there is none.
	Password Secret
	// Keys, if any, prove the user without the password and without PBKDF2.
	Keys *SCRAMKeys
	// Binding is the setting of channel_binding.
	Binding Binding
	// TLS says that the connection is encrypted.
	TLS bool
	// EndPoint is the hash of the server's certificate (see EndPoint); empty where
	// it is not defined.
	EndPoint []byte
	// MaxIterations caps what the server may make us compute; below 1 means
	// MaxIterations of this package.
	MaxIterations int
	// Random yields the nonce; nil means crypto/rand.Reader.
	Random io.Reader
}

// clientState is how far a ClientExchange has come.
type clientState uint8

const (
	clientNew      clientState = iota // nothing sent; nonce, mechanism and flag are set
	clientFirst                       // sent client-first, waits for server-first
	clientFinal                       // sent client-final, waits for server-final; keys and authMessage are set
	clientVerified                    // the server proved itself
	clientFailed                      // ended by an error
)

// ClientExchange proves us to one server by SCRAM, and the server to us. It is not
// safe for concurrent use. Make a new one for each login.
type ClientExchange struct {
	state       clientState
	cfg         ClientConfig
	mechanism   string
	flag        byte
	nonce       string
	authMessage string
	keys        SCRAMKeys
}

// Errors of a ClientExchange that are not the server's fault, or are its lies.
var (
	ErrNoMechanism     = errors.New("server offers no SASL mechanism that Spillway supports (SCRAM-SHA-256, SCRAM-SHA-256-PLUS)")
	ErrPlusWithoutTLS  = errors.New("server offered SCRAM-SHA-256-PLUS over a connection without TLS")
	ErrBindingRequired = errors.New("channel_binding is require, but the server does not authenticate with channel binding")
	ErrServerSignature = errors.New("server did not prove that it knows the user's secret: the SCRAM signature is wrong")
	ErrServerRefused   = errors.New("server ended the SCRAM exchange with an error")
	ErrIterationsCap   = errors.New("server demands more SCRAM iterations than allowed")
)

// NewClientExchange picks a mechanism of the server's list as libpq does.
func NewClientExchange(mechanisms []string, cfg ClientConfig) (*ClientExchange, error) {
	if cfg.Random == nil {
		cfg.Random = rand.Reader
	}
	if cfg.MaxIterations < 1 {
		cfg.MaxIterations = MaxIterations
	}
	x := &ClientExchange{cfg: cfg}
	if err := x.choose(mechanisms); err != nil {
		return nil, err
	}
	if cfg.Password.Kind() != KindPlain && cfg.Keys == nil {
		return nil, &MismatchError{Asked: "SCRAM", Have: "no password and no SCRAM keys", Mend: mendCredentials}
	}
	var err error
	if x.nonce, err = newNonce(cfg.Random); err != nil {
		return nil, err
	}
	return x, nil
}

func (x *ClientExchange) choose(mechanisms []string) error {
	offered := slices.Contains(mechanisms, MechanismSCRAMPlus)
	able := x.cfg.TLS && len(x.cfg.EndPoint) > 0 && x.cfg.Binding != BindingDisable
	switch {
	case offered && !x.cfg.TLS:
		return ErrPlusWithoutTLS
	case offered && able:
		x.mechanism, x.flag = MechanismSCRAMPlus, 'p'
	case x.cfg.Binding == BindingRequire:
		return ErrBindingRequired
	case !slices.Contains(mechanisms, MechanismSCRAM):
		return ErrNoMechanism
	case able: // tell the server that its offer had no -PLUS: it may know better
		x.mechanism, x.flag = MechanismSCRAM, 'y'
	default:
		x.mechanism, x.flag = MechanismSCRAM, 'n'
	}
	return nil
}

// Mechanism returns the one chosen.
func (x *ClientExchange) Mechanism() string { return x.mechanism }

// First returns the client-first message, for SASLInitialResponse.
func (x *ClientExchange) First() []byte {
	if x.state == clientNew {
		x.state = clientFirst
	}
	return []byte(gs2Header(x.flag) + x.bare())
}

// bare is client-first-message-bare. The name is empty as libpq's is: the server
// takes it from the startup message.
func (x *ClientExchange) bare() string { return "n=,r=" + x.nonce }

// Slow reports whether the next Step may run PBKDF2, so that callers run it off
// their loop.
func (x *ClientExchange) Slow() bool {
	return x.state == clientFirst && x.cfg.Password.Kind() == KindPlain
}

// Step takes the server's payload and returns the reply, which is nil with the
// last. done means that the server has proved itself; only then may
// AuthenticationOk be believed. After an error every Step fails.
func (x *ClientExchange) Step(server []byte) (reply []byte, done bool, err error) {
	reply, err = x.step(server)
	if err != nil {
		x.state = clientFailed
		return nil, false, err
	}
	return reply, x.state == clientVerified, nil
}

func (x *ClientExchange) step(server []byte) ([]byte, error) {
	if err := checkPayload(server, MaxServerMessage); err != nil {
		return nil, err
	}
	switch x.state {
	case clientFirst:
		return x.takeFirst(string(server))
	case clientFinal:
		return nil, x.takeFinal(string(server))
	case clientNew, clientVerified, clientFailed:
	}
	return nil, errOutOfOrder
}

// challenge is a parsed server-first message.
type challenge struct {
	nonce      string
	salt       []byte
	iterations int
}

func readChallenge(msg string) (c challenge, err error) {
	a := attributes{msg}
	if c.nonce, err = a.expect('r'); err != nil {
		return c, err
	}
	salt, err := a.expect('s')
	if err != nil {
		return c, err
	}
	count, err := a.expect('i')
	if err != nil {
		return c, err
	}
	var ok bool
	if c.salt, ok = decodeBase64(salt, MaxSalt); !ok || len(c.salt) == 0 {
		return c, malformed("invalid salt in server-first-message")
	}
	if c.iterations, err = parseCount(count); err != nil {
		return c, malformed("invalid iteration count in server-first-message")
	}
	if a.rest != "" {
		return c, malformed("garbage at the end of server-first-message")
	}
	return c, nil
}

func (x *ClientExchange) takeFirst(msg string) ([]byte, error) {
	c, err := readChallenge(msg)
	if err != nil {
		return nil, err
	}
	if !isNonce(c.nonce) || len(c.nonce) <= len(x.nonce) || !strings.HasPrefix(c.nonce, x.nonce) {
		return nil, &ProtocolError{stateProtocol, "invalid SCRAM response", "nonce does not match"}
	}
	if err := x.deriveFor(c); err != nil {
		return nil, err
	}
	withoutProof := "c=" + bindingInput(x.flag, x.cfg.EndPoint) + ",r=" + c.nonce
	x.authMessage = x.bare() + "," + msg + "," + withoutProof
	proof := xorKeys(x.keys.ClientKey, clientSignature(x.keys.ClientKey, x.authMessage))
	x.state = clientFinal
	return []byte(withoutProof + ",p=" + base64.StdEncoding.EncodeToString(proof[:])), nil
}

// deriveFor sets keys: those we hold if they fit the challenge, else new ones.
func (x *ClientExchange) deriveFor(c challenge) error {
	password, ok := x.cfg.Password.Plain()
	switch {
	case x.cfg.Keys.fits(c.salt, c.iterations):
		x.keys = *x.cfg.Keys
		return nil
	case !ok:
		return &MismatchError{Asked: "SCRAM", Have: "SCRAM keys made with another salt or iteration count", Mend: mendVerifier}
	case c.iterations > x.cfg.MaxIterations:
		return ErrIterationsCap
	}
	var err error
	x.keys, err = deriveKeys(password, c.salt, c.iterations)
	return err
}

func (x *ClientExchange) takeFinal(msg string) error {
	a := attributes{msg}
	if strings.HasPrefix(msg, "e=") {
		return ErrServerRefused // its text is a stranger's and stays out of our logs
	}
	value, err := a.expect('v')
	if err != nil {
		return err
	}
	var got Key
	if !decodeKey(&got, value) {
		return malformed("invalid signature in server-final-message")
	}
	if a.rest != "" {
		return malformed("garbage at the end of server-final-message")
	}
	want := keyedHash(x.keys.ServerKey[:], x.authMessage)
	if subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
		return ErrServerSignature
	}
	x.state = clientVerified
	return nil
}

// Verified reports whether the server has proved itself.
func (x *ClientExchange) Verified() bool { return x.state == clientVerified }

// Bound reports whether the verified exchange was bound to the TLS channel.
func (x *ClientExchange) Bound() bool { return x.state == clientVerified && x.flag == 'p' }

// Keys returns, once verified, the keys that worked; with them the next login to
// this server needs no PBKDF2. They are as secret as a password.
func (x *ClientExchange) Keys() (SCRAMKeys, bool) { return x.keys, x.state == clientVerified }
