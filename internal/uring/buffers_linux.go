package uring

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// bufRing is the ring of receive buffers shared with the kernel: we put free buffers at its tail, the kernel takes from its
// head. It lies off the Go heap, buffers included.
type bufRing struct {
	entries   unsafe.Pointer // of bufEntry
	mask      uint16
	tail      uint16 // ahead of published until publish
	published uint16
	first     uint16 // the buffer id in entry 0, which shares a word with the tail
	size      int
	mem       []byte
	base      uint64
	lent      []bool // by buffer id: with the caller, not in the ring
	out       int    // how many are lent
}

// mapBuffers lays out, in one mapping: the ring's entries, the wait argument, the buffers.
func (r *Ring) mapBuffers(cfg Config) (err error) {
	entries := cfg.BufferCount * int(unsafe.Sizeof(bufEntry{}))
	waitAt := entries
	buffersAt := roundUpTo(waitAt+int(unsafe.Sizeof(waitArg{})), 4096)
	r.ownMem, err = unix.Mmap(-1, 0, buffersAt+cfg.BufferCount*cfg.BufferSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return fmt.Errorf("map receive buffers: %w", err)
	}
	r.wait = (*waitArg)(unsafe.Pointer(&r.ownMem[waitAt]))
	r.wait.ts = uint64(uintptr(unsafe.Pointer(&r.wait.sec)))
	b := &r.bufs
	*b = bufRing{
		entries: unsafe.Pointer(&r.ownMem[0]), mask: uint16(cfg.BufferCount - 1),
		size: cfg.BufferSize, mem: r.ownMem[buffersAt:], lent: make([]bool, cfg.BufferCount),
	}
	b.base = uint64(uintptr(unsafe.Pointer(&b.mem[0])))
	reg := bufReg{ringAddr: uint64(uintptr(b.entries)), ringEntries: uint32(cfg.BufferCount)}
	_, _, errno := unix.Syscall6(unix.SYS_IO_URING_REGISTER, uintptr(r.fd), registerBufferRing, uintptr(unsafe.Pointer(&reg)), 1, 0, 0)
	switch errno {
	case 0:
	case unix.EINVAL:
		return fmt.Errorf("%w: Linux %s has no ring of provided buffers", ErrUnsupported, release())
	case unix.EPERM, unix.EACCES, unix.ENOSYS:
		return fmt.Errorf("%w: registering buffers is forbidden: %w", ErrUnsupported, errno)
	default:
		return fmt.Errorf("register receive buffers: %w", errno)
	}
	for id := range cfg.BufferCount {
		b.put(uint16(id))
	}
	b.publish()
	return nil
}

func roundUpTo(n, unit int) int { return (n + unit - 1) / unit * unit }

// put writes a free buffer behind the tail; publish shows it to the kernel.
func (b *bufRing) put(id uint16) {
	i := b.tail & b.mask
	e := (*bufEntry)(unsafe.Add(b.entries, uintptr(i)*unsafe.Sizeof(bufEntry{})))
	e.addr = b.base + uint64(id)*uint64(b.size)
	e.len = uint32(b.size)
	if i == 0 {
		b.first = id // written with the tail, whose word it shares
	} else {
		e.bid = id
	}
	b.tail++
}

// publish stores the tail once for all buffers recycled in a turn. The kernel's tail is 16 bits wide; sync/atomic has no such store, so
// the word that holds it and entry 0's buffer id is stored as a whole. We alone write both halves.
func (b *bufRing) publish() {
	if b.tail == b.published {
		return
	}
	b.published = b.tail
	var word [4]byte
	binary.NativeEndian.PutUint16(word[:2], b.first)
	binary.NativeEndian.PutUint16(word[2:], b.tail)
	at := (*uint32)(unsafe.Add(b.entries, unsafe.Offsetof(bufEntry{}.bid)))
	atomic.StoreUint32(at, binary.NativeEndian.Uint32(word[:]))
}

func (b *bufRing) lend(id uint16) {
	if int(id) < len(b.lent) && !b.lent[id] {
		b.lent[id] = true
		b.out++
	}
}

// Buffer is the first n bytes of buffer id, as the completion that carried it says (BufferID, Res). The bytes are the caller's, to
// read and to write, until Recycle(id); after that they are overwritten with some other connection's. It is nil if the
// buffer is not lent.
func (r *Ring) Buffer(id uint16, n int32) []byte {
	b := &r.bufs
	if int(id) >= len(b.lent) || !b.lent[id] || n < 0 {
		return nil
	}
	from, size := int(id)*b.size, min(int(n), b.size)
	return b.mem[from : from+size : from+size]
}

// Recycle gives buffer id back; the kernel sees it at the next SubmitAndWait. Recycling one that is not lent does nothing: a buffer
// twice in the ring would mix two connections' bytes.
func (r *Ring) Recycle(id uint16) {
	b := &r.bufs
	if int(id) >= len(b.lent) || !b.lent[id] {
		return
	}
	b.lent[id] = false
	b.out--
	b.put(id)
}

// Lent is the number of buffers taken and not recycled. While it is near the count, receives end with ENOBUFS.
func (r *Ring) Lent() int { return r.bufs.out }
