package auth

import (
	"encoding/hex"
	"fmt"
	"io"
)

// Mock makes stand-in secrets for users that do not exist, so that a stranger
// cannot tell them from users whose password was wrong. It is immutable and safe
// to share; make one per process.
type Mock struct {
	seed       Key
	iterations int
}

// NewMock reads a seed from random, usually crypto/rand.Reader. Iterations should
// be those of most real users; below 1 means DefaultIterations.
func NewMock(random io.Reader, iterations int) (Mock, error) {
	if iterations < 1 {
		iterations = DefaultIterations
	}
	m := Mock{iterations: iterations}
	if _, err := io.ReadFull(random, m.seed[:]); err != nil {
		return Mock{}, fmt.Errorf("read mock seed: %w", err)
	}
	return m, nil
}

// Secret returns a secret of the kind for the user, always the same one. Every
// exchange with it runs in full and fails as a wrong password does. KindNone is
// taken as KindSCRAM.
func (m Mock) Secret(user string, k Kind) Secret {
	switch k {
	case KindPlain:
		sum := m.hash("plain", user)
		return newSecret(KindPlain, secretBody{text: hex.EncodeToString(sum[:]), mock: true})
	case KindMD5:
		sum := m.hash("md5", user)
		return newSecret(KindMD5, secretBody{text: "md5" + hex.EncodeToString(sum[:16]), mock: true})
	default:
		return SecretFromVerifier(m.verifier(user))
	}
}

func (m Mock) verifier(user string) Verifier {
	salt := m.hash("salt", user)
	return Verifier{
		Iterations: m.iterations,
		Salt:       salt[:SaltSize],
		StoredKey:  m.hash("stored", user),
		ServerKey:  m.hash("server", user),
		mock:       true,
	}
}

func (m Mock) hash(use, user string) Key {
	return keyedHash(m.seed[:], use, "\x00", user)
}
