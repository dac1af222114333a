package auth

import (
	"bufio"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"sync"
)

// CancelTable finds the session a cancel request means by process id and key. Ids
// may repeat (a real server's beside one of ours) as long as keys differ. It is
// safe for concurrent use. There may be many thousand sessions, so their entries
// lie side by side and have short keys in them.
type CancelTable[V any] struct {
	mu     sync.Mutex // guards all below
	random io.Reader
	pids   pidSequence
	live   map[int32]int32 // process id → the first of its entries
	blocks []*[cancelBlock]cancelEntry[V]
	free   int32 // the first entry that is in no use
	size   int
}

// cancelBlock is how many entries are made at once.
const cancelBlock = 256

// cancelEntry is one session; entries of one process id form a chain, and so do
// those in no use. Indexes count from 1; 0 ends a chain.
type cancelEntry[V any] struct {
	value V
	long  *CancelKey // nil where short is the key
	short [MinCancelKey]byte
	next  int32
}

func (e *cancelEntry[V]) key() CancelKey {
	if e.long != nil {
		return *e.long
	}
	return e.short[:]
}

// Ticket is what takes an entry out again. The zero Ticket is none.
type Ticket struct {
	PID   int32
	index int32
}

// keyStock is how many random bytes are asked for at a time: the call costs more
// than the bytes. They are as secret as the keys in use, which lie beside them.
const keyStock = 512

// NewCancelTable makes an empty table. random nil means crypto/rand.Reader.
func NewCancelTable[V any](random io.Reader) (*CancelTable[V], error) {
	if random == nil {
		random = bufio.NewReaderSize(rand.Reader, keyStock)
	}
	pids, err := newPIDSequence(random)
	if err != nil {
		return nil, err
	}
	return &CancelTable[V]{random: random, pids: pids, live: make(map[int32]int32)}, nil
}

// Allocate enters v under a process id of our own, positive and not in use, and a
// fresh key of size bytes. An id comes again only after two thousand million others.
func (t *CancelTable[V]) Allocate(size int, v V) (Ticket, CancelKey, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	key, err := NewCancelKey(t.random, size)
	if err != nil {
		return Ticket{}, nil, err
	}
	pid := t.pids.next()
	for t.live[pid] != 0 {
		pid = t.pids.next()
	}
	return t.insert(pid, key, v), key, nil
}

// Register enters v under a given process id, such as the real one of a server,
// with a fresh key of size bytes.
func (t *CancelTable[V]) Register(pid int32, size int, v V) (Ticket, CancelKey, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for range 8 { // a key of 4 bytes may repeat by chance
		key, err := NewCancelKey(t.random, size)
		if err != nil {
			return Ticket{}, nil, err
		}
		if t.find(pid, key) == nil {
			return t.insert(pid, key, v), key, nil
		}
	}
	return Ticket{}, nil, fmt.Errorf("register process id %d: no free key", pid)
}

func (t *CancelTable[V]) insert(pid int32, key CancelKey, v V) Ticket {
	if t.free == 0 {
		t.grow()
	}
	i := t.free
	e := t.entry(i)
	t.free = e.next
	*e = cancelEntry[V]{value: v, next: t.live[pid]}
	if copy(e.short[:], key) < len(key) {
		long := key
		e.long = &long
	}
	t.live[pid] = i
	t.size++
	return Ticket{pid, i}
}

func (t *CancelTable[V]) grow() {
	block := new([cancelBlock]cancelEntry[V])
	first := int32(len(t.blocks)*cancelBlock) + 1
	for i := range block[:cancelBlock-1] {
		block[i].next = first + int32(i) + 1
	}
	t.blocks, t.free = append(t.blocks, block), first
}

func (t *CancelTable[V]) entry(i int32) *cancelEntry[V] {
	return &t.blocks[(i-1)/cancelBlock][(i-1)%cancelBlock]
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
	for i := t.live[pid]; i != 0; {
		e := t.entry(i)
		if e.key().Equal(key) {
			found = e
		}
		i = e.next
	}
	return found
}

// Remove takes out what k was given for and reports whether it was there. A
// ticket is good for one Remove.
func (t *CancelTable[V]) Remove(k Ticket) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	before := (*cancelEntry[V])(nil)
	for i := t.live[k.PID]; i != 0; {
		e := t.entry(i)
		if i != k.index {
			before, i = e, e.next
			continue
		}
		switch {
		case before != nil:
			before.next = e.next
		case e.next != 0:
			t.live[k.PID] = e.next
		default:
			delete(t.live, k.PID)
		}
		*e = cancelEntry[V]{next: t.free}
		t.free = i
		t.size--
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
