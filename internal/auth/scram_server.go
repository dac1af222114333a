package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"io"
	"strconv"
	"strings"
)

// ServerConfig says what a ServerExchange verifies against.
type ServerConfig struct {
	// Mechanism is the one the client selected.
	Mechanism string
	// Verifier is the user's, or one of Mock's.
	Verifier Verifier
	// EndPoint is the hash of our own certificate (see EndPoint), empty without TLS
	// or where none is defined. The mechanisms offered must have been
	// Mechanisms(EndPoint).
	EndPoint []byte
	// Random yields the nonce; nil means crypto/rand.Reader.
	Random io.Reader
}

// serverState is how far a ServerExchange has come.
type serverState uint8

const (
	serverFirst  serverState = iota // waits for client-first
	serverFinal                     // sent server-first, waits for client-final; nonce, bare and first are set
	serverProved                    // the client proved itself; clientKey is set
	serverFailed                    // ended by an error
)

// ServerExchange verifies one client by SCRAM. It is cheap (three hashes a step)
// and not safe for concurrent use. Make a new one for each login.
type ServerExchange struct {
	state     serverState
	plus      bool
	endPoint  []byte
	verifier  Verifier
	random    io.Reader
	flag      byte   // the client's channel-binding flag: n, y or p
	bare      string // client-first-message-bare
	nonce     string // client's and server's
	first     string // server-first-message
	clientKey Key
}

var (
	errVerifier   = errors.New("start SCRAM exchange: the verifier has no salt or no iterations")
	errOutOfOrder = &ProtocolError{stateProtocol, "unexpected SASL message", "the exchange has ended"}
)

// NewServerExchange starts an exchange. A mechanism that was not offered is a
// ProtocolError.
func NewServerExchange(cfg ServerConfig) (*ServerExchange, error) {
	x := &ServerExchange{
		plus:     cfg.Mechanism == MechanismSCRAMPlus,
		endPoint: cfg.EndPoint,
		verifier: cfg.Verifier,
		random:   cfg.Random,
	}
	if x.random == nil {
		x.random = rand.Reader
	}
	if x.plus && len(x.endPoint) == 0 || !x.plus && cfg.Mechanism != MechanismSCRAM {
		return nil, &ProtocolError{State: stateProtocol, Message: "client selected an invalid SASL authentication mechanism"}
	}
	if n := len(x.verifier.Salt); n == 0 || n > MaxSalt || x.verifier.Iterations < 1 {
		return nil, errVerifier
	}
	return x, nil
}

// Step takes the client's next payload and returns the reply to send. done means
// that the client is who it says; then the reply goes out before AuthenticationOk.
// ErrFailed means a wrong password or a mock; any other error is a ProtocolError
// or a failure to read random bytes. After an error every Step fails.
//
// A nil payload first (SASLInitialResponse without a response) is answered by an
// empty challenge.
func (x *ServerExchange) Step(client []byte) (reply []byte, done bool, err error) {
	if x.state == serverFirst && client == nil {
		return []byte{}, false, nil
	}
	reply, err = x.step(client)
	if err != nil {
		x.state = serverFailed
		return nil, false, err
	}
	return reply, x.state == serverProved, nil
}

func (x *ServerExchange) step(client []byte) ([]byte, error) {
	if err := checkPayload(client, MaxClientMessage); err != nil {
		return nil, err
	}
	switch x.state {
	case serverFirst:
		return x.takeFirst(string(client))
	case serverFinal:
		return x.takeFinal(string(client))
	case serverProved, serverFailed:
	}
	return nil, errOutOfOrder
}

func (x *ServerExchange) takeFirst(msg string) ([]byte, error) {
	rest, err := x.takeHeader(msg)
	if err != nil {
		return nil, err
	}
	x.bare = rest
	if rest != "" && rest[0] == 'm' {
		return nil, &ProtocolError{State: stateUnsupported, Message: "client requires an unsupported SCRAM extension"}
	}
	nonce, err := readBare(rest)
	if err != nil {
		return nil, err
	}
	own, err := newNonce(x.random)
	if err != nil {
		return nil, err
	}
	x.nonce = nonce + own
	x.first = "r=" + x.nonce + ",s=" + base64.StdEncoding.EncodeToString(x.verifier.Salt) +
		",i=" + strconv.Itoa(x.verifier.Iterations)
	x.state = serverFinal
	return []byte(x.first), nil
}

// readBare reads client-first-message-bare and returns the client's nonce. The
// user name in it is ignored: the startup message named the user.
func readBare(bare string) (nonce string, err error) {
	a := attributes{bare}
	if _, err := a.expect('n'); err != nil {
		return "", err
	}
	if nonce, err = a.expect('r'); err != nil {
		return "", err
	}
	if !isNonce(nonce) {
		return "", malformed("empty or non-printable nonce")
	}
	for a.rest != "" { // optional extensions
		if _, _, err := a.next(); err != nil {
			return "", err
		}
	}
	return nonce, nil
}

// takeHeader checks the GS2 header and returns what follows it.
func (x *ServerExchange) takeHeader(msg string) (rest string, err error) {
	x.flag = msg[0]
	switch x.flag {
	case 'n', 'y':
		rest, err = x.takeUnbound(msg)
	case 'p':
		rest, err = x.takeBound(msg)
	default:
		err = malformed("unexpected channel-binding flag %s", firstChar(msg))
	}
	if err != nil {
		return "", err
	}
	if strings.HasPrefix(rest, "a") {
		return "", &ProtocolError{State: stateUnsupported, Message: "client uses authorization identity, but it is not supported"}
	}
	if !strings.HasPrefix(rest, ",") {
		return "", malformed("unexpected %s in client-first-message", firstChar(rest))
	}
	return rest[1:], nil
}

func (x *ServerExchange) takeUnbound(msg string) (rest string, err error) {
	if x.plus {
		return "", malformed("the client selected %s, but the message has no channel binding", MechanismSCRAMPlus)
	}
	if x.flag == 'y' && len(x.endPoint) > 0 {
		// Someone between us removed the bound mechanism from our offer.
		return "", &ProtocolError{stateAuthorization, "SCRAM channel binding negotiation error",
			"The client supports SCRAM channel binding but thinks the server does not. However, this server does support channel binding."}
	}
	if len(msg) < 2 || msg[1] != ',' {
		return "", malformed("comma expected, but found %s", firstChar(msg[1:]))
	}
	return msg[2:], nil
}

func (x *ServerExchange) takeBound(msg string) (rest string, err error) {
	if !x.plus {
		return "", malformed("the client selected %s without channel binding, but the message has channel binding", MechanismSCRAM)
	}
	a := attributes{msg}
	name, err := a.expect('p')
	if err != nil {
		return "", err
	}
	if name != bindingType {
		return "", &ProtocolError{State: stateProtocol, Message: "unsupported SCRAM channel-binding type"}
	}
	return a.rest, nil
}

func (x *ServerExchange) takeFinal(msg string) ([]byte, error) {
	withoutProof, proof, err := x.readFinal(msg)
	if err != nil {
		return nil, err
	}
	authMessage := x.bare + "," + x.first + "," + withoutProof
	key := xorKeys(proof, keyedHash(x.verifier.StoredKey[:], authMessage))
	stored := sha256.Sum256(key[:])
	right := subtle.ConstantTimeCompare(stored[:], x.verifier.StoredKey[:])
	signature := keyedHash(x.verifier.ServerKey[:], authMessage)
	if right != 1 || x.verifier.mock { // looked at last: a mock costs the same
		return nil, ErrFailed
	}
	x.clientKey = key
	x.state = serverProved
	return []byte("v=" + base64.StdEncoding.EncodeToString(signature[:])), nil
}

// readFinal checks client-final-message but for its proof.
func (x *ServerExchange) readFinal(msg string) (withoutProof string, proof Key, err error) {
	a := attributes{msg}
	bound, err := a.expect('c')
	if err != nil {
		return "", Key{}, err
	}
	if err := x.checkBinding(bound); err != nil {
		return "", Key{}, err
	}
	nonce, err := a.expect('r')
	if err != nil {
		return "", Key{}, err
	}
	at, value, err := readProof(&a, msg)
	if err != nil {
		return "", Key{}, err
	}
	if !decodeKey(&proof, value) {
		return "", Key{}, malformed("malformed proof in client-final-message")
	}
	if nonce != x.nonce {
		return "", Key{}, &ProtocolError{stateProtocol, "invalid SCRAM response", "nonce does not match"}
	}
	return msg[:at], proof, nil
}

// readProof skips optional extensions up to the proof, which must be last. at is
// where the comma before it stands.
func readProof(a *attributes, msg string) (at int, value string, err error) {
	var name byte
	for name != 'p' {
		at = len(msg) - len(a.rest) - 1
		if name, value, err = a.next(); err != nil {
			return 0, "", err
		}
	}
	if a.rest != "" {
		return 0, "", malformed("garbage found at the end of client-final-message")
	}
	return at, value, nil
}

func (x *ServerExchange) checkBinding(got string) error {
	want := bindingInput(x.flag, x.endPoint)
	if subtle.ConstantTimeCompare([]byte(got), []byte(want)) == 1 {
		return nil
	}
	if x.plus {
		return &ProtocolError{State: stateAuthorization, Message: "SCRAM channel binding check failed"}
	}
	return &ProtocolError{State: stateProtocol, Message: "unexpected SCRAM channel-binding attribute in client-final-message"}
}

// Keys returns, once Step said done, what logs in to a server that stores the same
// verifier. They are as secret as a password.
func (x *ServerExchange) Keys() (SCRAMKeys, bool) {
	if x.state != serverProved {
		return SCRAMKeys{}, false
	}
	return SCRAMKeys{x.verifier.Iterations, x.verifier.Salt, x.clientKey, x.verifier.ServerKey}, true
}

// Bound reports whether the proven exchange was bound to the TLS channel.
func (x *ServerExchange) Bound() bool { return x.state == serverProved && x.plus }
