package auth

import (
	"crypto"
	_ "crypto/sha256" // linked for crypto.Hash.New
	_ "crypto/sha512" // linked for crypto.Hash.New
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
)

const bindingType = "tls-server-end-point"

// Binding is libpq's channel_binding.
type Binding uint8

// The settings of channel_binding. The zero value is libpq's default.
const (
	BindingPrefer  Binding = iota // use it where both sides can
	BindingDisable                // never
	BindingRequire                // fail where it cannot be used
)

// ParseBinding reads the value of channel_binding; empty means prefer.
func ParseBinding(s string) (Binding, error) {
	switch s {
	case "", "prefer":
		return BindingPrefer, nil
	case "disable":
		return BindingDisable, nil
	case "require":
		return BindingRequire, nil
	}
	return BindingRequire, fmt.Errorf("parse channel_binding %q: want disable, prefer or require", s)
}

// ErrNoEndPoint says that a certificate's signature algorithm has no hash of its
// own (Ed25519), so that tls-server-end-point is not defined for it.
var ErrNoEndPoint = errors.New("certificate has no tls-server-end-point hash")

// EndPoint returns the tls-server-end-point data (RFC 5929) of a server's leaf
// certificate: its hash under its signature's hash function, at least SHA-256.
func EndPoint(leaf *x509.Certificate) ([]byte, error) {
	h := endPointHash(leaf.SignatureAlgorithm)
	if h == 0 {
		return nil, fmt.Errorf("%w: signed with %s", ErrNoEndPoint, leaf.SignatureAlgorithm)
	}
	sum := h.New()
	_, _ = sum.Write(leaf.Raw) // a hash never fails to write
	return sum.Sum(nil), nil
}

func endPointHash(a x509.SignatureAlgorithm) crypto.Hash {
	switch a {
	case x509.MD5WithRSA, x509.SHA1WithRSA, x509.DSAWithSHA1, x509.ECDSAWithSHA1,
		x509.SHA256WithRSA, x509.DSAWithSHA256, x509.ECDSAWithSHA256, x509.SHA256WithRSAPSS:
		return crypto.SHA256
	case x509.SHA384WithRSA, x509.ECDSAWithSHA384, x509.SHA384WithRSAPSS:
		return crypto.SHA384
	case x509.SHA512WithRSA, x509.ECDSAWithSHA512, x509.SHA512WithRSAPSS:
		return crypto.SHA512
	default: // MD2WithRSA, PureEd25519, unknown
		return 0
	}
}

// Mechanisms returns what a server offers, best first: the channel-bound variant
// only where there is an end point (see EndPoint).
func Mechanisms(endPoint []byte) []string {
	if len(endPoint) == 0 {
		return []string{MechanismSCRAM}
	}
	return []string{MechanismSCRAMPlus, MechanismSCRAM}
}

// gs2Header is the header of a client-first message by its channel-binding flag.
func gs2Header(flag byte) string {
	if flag == 'p' {
		return "p=" + bindingType + ",,"
	}
	return string(flag) + ",,"
}

// bindingInput is the value of the attribute c of a client-final message.
func bindingInput(flag byte, endPoint []byte) string {
	input := []byte(gs2Header(flag))
	if flag == 'p' {
		input = append(input, endPoint...)
	}
	return base64.StdEncoding.EncodeToString(input)
}
