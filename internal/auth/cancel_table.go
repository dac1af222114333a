package auth

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"sync"
)

// CancelTable finds the session a cancel request means by process id and key. Ids
// may repeat (a real server's beside one of ours) as long as keys differ. It is
// safe for concurrent use.
type CancelTable[V any] struct {
	random io.Reader

	mu   sync.Mutex // guards all below
	pids pidSequence
	live map[int32]*cancelEntry[V]
	size int
}

// cancelEntry is one session; entries of one process id form a chain.
type cancelEntry[V any] struct {
	key   CancelKey
	value V
	next  *cancelEntry[V]
}

// NewCancelTable makes an empty table. random nil means crypto/rand.Reader.
func NewCancelTable[V any](random io.Reader) (*CancelTable[V], error) {
	if random == nil {
		random = rand.Reader
	}
	pids, err := newPIDSequence(random)
	if err != nil {
		return nil, err
	}
	return &CancelTable[V]{random: random, pids: pids, live: make(map[int32]*cancelEntry[V])}, nil
}

// Allocate enters v under a process id of our own, positive and not in use, and a
// fresh key of size bytes. An id comes again only after two thousand million others.
func (t *CancelTable[V]) Allocate(size int, v V) (pid int32, key CancelKey, err error) {
	if key, err = NewCancelKey(t.random, size); err != nil {
		return 0, nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for pid = t.pids.next(); t.live[pid] != nil; {
		pid = t.pids.next()
	}
	t.insert(pid, key, v)
	return pid, key, nil
}

// Register enters v under a given process id, such as the real one of a server,
// with a fresh key of size bytes.
func (t *CancelTable[V]) Register(pid int32, size int, v V) (CancelKey, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for range 8 { // a key of 4 bytes may repeat by chance
		key, err := NewCancelKey(t.random, size)
		if err != nil {
			return nil, err
		}
		if t.find(pid, key) == nil {
			t.insert(pid, key, v)
			return key, nil
		}
	}
	return nil, fmt.Errorf("register process id %d: no free key", pid)
}

func (t *CancelTable[V]) insert(pid int32, key CancelKey, v V) {
	t.live[pid] = &cancelEntry[V]{key, v, t.live[pid]}
	t.size++
}

// Find returns what was entered under pid and key.
func (t *CancelTable[V]) Find(pid int32, key []byte) (v V, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e := t.find(pid, key); e != nil {
		return e.value, true
	}
	return v, false
}

// find compares with every entry of the id, so that time tells nothing of the keys.
func (t *CancelTable[V]) find(pid int32, key []byte) (found *cancelEntry[V]) {
	for e := t.live[pid]; e != nil; e = e.next {
		if e.key.Equal(key) {
			found = e
		}
	}
	return found
}

// Remove takes out what was entered under pid and key and reports whether it was there.
func (t *CancelTable[V]) Remove(pid int32, key []byte) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	head := t.live[pid]
	for at := &head; *at != nil; at = &(*at).next {
		if !(*at).key.Equal(key) {
			continue
		}
		*at = (*at).next
		t.size--
		if head == nil {
			delete(t.live, pid)
		} else {
			t.live[pid] = head
		}
		return true
	}
	return false
}

// Len returns how many entries there are.
func (t *CancelTable[V]) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.size
}

// pidCount is how many process ids there are: 1 to 2³¹−1.
const pidCount = 1<<31 - 1

// pidSequence runs through all process ids in an order only its keys know: a
// counter under a Feistel permutation of 32 bits, walked until it is an id.
type pidSequence struct {
	keys [4]uint32
	n    uint32
}

func newPIDSequence(random io.Reader) (s pidSequence, err error) {
	var raw [20]byte
	if _, err = io.ReadFull(random, raw[:]); err != nil {
		return s, fmt.Errorf("read process id seed: %w", err)
	}
	for i := range s.keys {
		s.keys[i] = binary.LittleEndian.Uint32(raw[4*i:])
	}
	s.n = binary.LittleEndian.Uint32(raw[16:]) % pidCount
	return s, nil
}

func (s *pidSequence) next() int32 {
	s.n = s.n%pidCount + 1
	v := s.permute(s.n)
	for v == 0 || v > pidCount {
		v = s.permute(v)
	}
	return int32(v)
}

func (s *pidSequence) permute(v uint32) uint32 {
	left, right := v>>16, v&0xFFFF
	for _, k := range s.keys {
		f := (right + k) * 0x9E3779B1
		f ^= f >> 15
		f *= 0x85EBCA77
		left, right = right, left^f>>16
	}
	return left<<16 | right
}
