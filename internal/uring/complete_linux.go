package uring

import (
	"sync/atomic"
	"syscall"
	"unsafe"
)

// CQE is one completion, a copy of the kernel's entry.
type CQE struct {
	// UserData is what the request was submitted with.
	UserData uint64
	// Res is the result: not negative, or a negated errno.
	Res   int32
	flags uint32
}

const (
	cqeBuffer       = 1 << 0
	cqeMore         = 1 << 1
	cqeSockNonEmpty = 1 << 2
	cqeBufferShift  = 16
)

// More says that the request goes on and completes again; without it this is its last completion.
func (c CQE) More() bool { return c.flags&cqeMore != 0 }

// SockNonEmpty says that the socket held more when this piece was received.
func (c CQE) SockNonEmpty() bool { return c.flags&cqeSockNonEmpty != 0 }

// HasBuffer says that the completion carries a buffer of the ring, lent to the caller until Recycle.
func (c CQE) HasBuffer() bool { return c.flags&cqeBuffer != 0 }

// BufferID names that buffer; it means nothing without HasBuffer.
func (c CQE) BufferID() uint16 { return uint16(c.flags >> cqeBufferShift) }

// Errno is the error in Res, 0 if there is none.
func (c CQE) Errno() syscall.Errno {
	if c.Res >= 0 {
		return 0
	}
	return syscall.Errno(-c.Res)
}

// Next takes the oldest completion, without entering the kernel; false if there is none. Requests may be submitted meanwhile.
// A buffer the completion carries is lent to the caller from here.
func (r *Ring) Next() (CQE, bool) {
	if r.cq.next == r.cq.seen && r.ready() == 0 {
		return CQE{}, false
	}
	c := *(*CQE)(unsafe.Add(r.cq.cqes, uintptr(r.cq.next&r.cq.mask)*unsafe.Sizeof(CQE{})))
	r.cq.next++
	if c.HasBuffer() {
		r.bufs.lend(c.BufferID())
	}
	return c, true
}

// publishHead gives the entries taken back to the kernel.
func (r *Ring) publishHead() { atomic.StoreUint32(r.cq.head, r.cq.next) }
