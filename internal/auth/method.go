package auth

import "fmt"

// Method is how an HBA rule or auth type wants clients to prove themselves.
type Method uint8

// The methods. The zero value refuses.
const (
	MethodReject   Method = iota
	MethodTrust           // no proof
	MethodPassword        // the password in the clear
	MethodMD5             // md5, or SCRAM where the secret is a SCRAM verifier
	MethodSCRAM           // SCRAM only
	MethodCert            // a TLS client certificate whose name maps to the user
	MethodPeer            // the operating system's user of a unix socket maps to the user
)

var methodNames = [...]string{"reject", "trust", "password", "md5", "scram-sha-256", "cert", "peer"}

// String returns the name in pg_hba.conf.
func (m Method) String() string {
	if int(m) < len(methodNames) {
		return methodNames[m]
	}
	return methodNames[MethodReject]
}

// ParseMethod reads a method's name; plain is PgBouncer's word for password.
func ParseMethod(name string) (Method, error) {
	if name == "plain" {
		return MethodPassword, nil
	}
	for m, n := range methodNames {
		if n == name {
			return Method(m), nil
		}
	}
	return MethodReject, fmt.Errorf("method %.64q is not supported", name)
}

// Exchange is what is run with a client.
type Exchange uint8

// The exchanges. The zero value refuses.
const (
	ExchangeRefuse   Exchange = iota // an error at once
	ExchangeNone                     // AuthenticationOk at once
	ExchangePassword                 // AuthenticationCleartextPassword, VerifyPassword
	ExchangeMD5                      // AuthenticationMD5Password, VerifyMD5
	ExchangeSCRAM                    // AuthenticationSASL, ServerExchange
	ExchangeCert                     // the TLS client certificate's name, Ident.Map
	ExchangePeer                     // the socket's user, Ident.Map
)

// Situation is all that decides which exchange a client is offered.
type Situation struct {
	Method Method
	// Secret is the kind of the user's secret; KindNone for an unknown user and for
	// one without a password.
	Secret Kind
	// Absent is the kind a missing secret is taken to have, so that an unknown user
	// looks like most others; KindNone means KindSCRAM.
	Absent Kind
	// TLS says that the client's connection is encrypted.
	TLS bool
	// Local says that the client came over a unix socket.
	Local bool
}

// Offer is the decision.
type Offer struct {
	Exchange Exchange
	// Mock says that the exchange must run with Mock.Secret(user, Kind) and so fail.
	Mock bool
	// Kind is the kind of secret the exchange verifies against.
	Kind Kind
	// Derive says that the secret is plain and SCRAM needs SecretFromPassword, off
	// the loop, unless its result is kept.
	Derive bool
	// Reason explains a refusal or a mock to the operator, never to the client.
	Reason string
}

// Decide chooses the exchange as PostgreSQL does: md5 with a SCRAM verifier becomes
// SCRAM, SCRAM with an md5 hash runs as a mock and fails, and a missing secret
// runs as a mock of a likely kind.
func Decide(s Situation) Offer {
	switch s.Method {
	case MethodTrust:
		return Offer{Exchange: ExchangeNone}
	case MethodCert:
		if !s.TLS {
			return Offer{Reason: "method cert needs TLS"}
		}
		return Offer{Exchange: ExchangeCert}
	case MethodPeer:
		if !s.Local {
			return Offer{Reason: "method peer needs a unix socket"}
		}
		return Offer{Exchange: ExchangePeer}
	case MethodPassword, MethodMD5, MethodSCRAM:
		return decidePassword(s)
	case MethodReject:
	}
	return Offer{Reason: "method reject"}
}

func decidePassword(s Situation) Offer {
	o := Offer{Kind: s.Secret}
	if s.Secret == KindNone {
		o = Offer{Kind: s.Absent, Mock: true, Reason: "the user is unknown or has no password"}
		if o.Kind == KindNone {
			o.Kind = KindSCRAM
		}
	}
	switch {
	case s.Method == MethodPassword:
		o.Exchange = ExchangePassword
	case s.Method == MethodMD5 && o.Kind != KindSCRAM:
		o.Exchange = ExchangeMD5
	default:
		o = decideSCRAM(o)
	}
	return o
}

func decideSCRAM(o Offer) Offer {
	o.Exchange = ExchangeSCRAM
	switch {
	case o.Kind == KindMD5 && !o.Mock:
		o.Mock = true
		o.Reason = "method scram-sha-256 cannot verify an md5 secret: store a SCRAM secret or the plain password, or use method md5"
	case o.Kind == KindPlain && !o.Mock:
		o.Derive = true
		return o
	}
	o.Kind = KindSCRAM
	return o
}
