package receive

import (
	"crypto/sha256"
	"sync"
)

// memory knows the last messages, so that one that comes twice counts once. It
// is bounded: what is older than mostSeen others may be taken again, and only
// says again what is the case.
type memory struct {
	mu    sync.Mutex
	known map[[16]byte]bool // guarded by mu
	ring  [][16]byte        // guarded by mu; in the order of their coming
	at    int               // guarded by mu; the oldest
}

// mostSeen messages are remembered, 64 bytes each.
const mostSeen = 16 << 10

func newMemory() *memory { return &memory{known: map[[16]byte]bool{}} }

// first reports whether id is new, and remembers it.
func (m *memory) first(id string) bool {
	sum := sha256.Sum256([]byte(id))
	key := [16]byte(sum[:16])
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known[key] {
		return false
	}
	m.known[key] = true
	if len(m.ring) < mostSeen {
		m.ring = append(m.ring, key)
		return true
	}
	delete(m.known, m.ring[m.at])
	m.ring[m.at] = key
	m.at = (m.at + 1) % mostSeen
	return true
}

// forget takes back what first has remembered: it could not be used after all.
func (m *memory) forget(id string) {
	sum := sha256.Sum256([]byte(id))
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.known, [16]byte(sum[:16]))
}
