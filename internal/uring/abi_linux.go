package uring

import "unsafe"

// The kernel's constants and structures (linux/io_uring.h), only those used here; golang.org/x/sys/unix has the system call
// numbers but none of these.

const (
	setupCQSize       = 1 << 3
	setupClamp        = 1 << 4
	setupSubmitAll    = 1 << 7
	setupTaskrunFlag  = 1 << 9
	setupSingleIssuer = 1 << 12
	setupDeferTaskrun = 1 << 13

	featSingleMmap = 1 << 0
	featNoDrop     = 1 << 1
	featFastPoll   = 1 << 5
	featExtArg     = 1 << 8
	featNoIOWait   = 1 << 17

	enterGetEvents = 1 << 0
	enterExtArg    = 1 << 3
	enterNoIOWait  = 1 << 7

	registerProbe            = 8
	registerRingFDs          = 20
	unregisterRingFDs        = 21
	registerBufferRing       = 22
	registerSyncCancel       = 24
	offSQRing          int64 = 0
	offSQEs            int64 = 0x10000000

	sqCQOverflow = 1 << 1
	sqTaskrun    = 1 << 2
)

const (
	opNop         = 0
	opPollAdd     = 6
	opAccept      = 13
	opAsyncCancel = 14
	opClose       = 19
	opSend        = 26
	opRecv        = 27
	opShutdown    = 34

	sqeBufferSelect = 1 << 5

	recvMultishot   = 1 << 1 // in ioprio
	acceptMultishot = 1 << 0 // in ioprio
	pollMultishot   = 1 << 0 // in len

	cancelAll = 1 << 0
	cancelFD  = 1 << 1
	cancelAny = 1 << 2

	opSupported = 1 << 0
)

const (
	maxEntries     = 32768
	maxBuffers     = 32768
	maxBufferSize  = 1 << 20
	maxBufferBytes = 1 << 30
)

// sqe is struct io_uring_sqe.
type sqe struct {
	opcode   uint8
	flags    uint8
	ioprio   uint16
	fd       int32
	off      uint64
	addr     uint64
	len      uint32
	opFlags  uint32
	userData uint64
	bufGroup uint16
	_        uint16
	_        uint32
	_        [2]uint64
}

// params is struct io_uring_params.
type params struct {
	sqEntries, cqEntries, flags uint32
	sqThreadCPU, sqThreadIdle   uint32
	features, wqFD              uint32
	_                           [3]uint32
	sqOff                       sqOffsets
	cqOff                       cqOffsets
}

type sqOffsets struct {
	head, tail, ringMask, ringEntries, flags, dropped, array, _ uint32
	_                                                           uint64
}

type cqOffsets struct {
	head, tail, ringMask, ringEntries, overflow, cqes, flags, _ uint32
	_                                                           uint64
}

// bufEntry is struct io_uring_buf. In entry 0 the last half word is the ring's tail.
type bufEntry struct {
	addr uint64
	len  uint32
	bid  uint16
	resv uint16
}

// bufReg is struct io_uring_buf_reg.
type bufReg struct {
	ringAddr    uint64
	ringEntries uint32
	bgid        uint16
	flags       uint16
	_           [3]uint64
}

// syncCancel is struct io_uring_sync_cancel_reg.
type syncCancel struct {
	addr    uint64
	fd      int32
	flags   uint32
	sec, ns int64
	opcode  uint8
	_       [7]uint8
	_       [3]uint64
}

// probe is struct io_uring_probe with room for every opcode used.
type probe struct {
	lastOp, opsLen uint8
	_              uint16
	_              [3]uint32
	ops            [opShutdown + 1]struct {
		op, _ uint8
		flags uint16
		_     uint32
	}
}

// waitArg is struct io_uring_getevents_arg followed by the timespec it points to.
type waitArg struct {
	sigmask   uint64
	sigmaskSz uint32
	_         uint32
	ts        uint64
	sec, ns   int64
}

const waitArgSize = 24 // of struct io_uring_getevents_arg itself

// The sizes are the kernel's; a mistake in a field fails to compile.
var (
	_ = [1]byte{}[unsafe.Sizeof(sqe{})-64]
	_ = [1]byte{}[unsafe.Sizeof(params{})-120]
	_ = [1]byte{}[unsafe.Sizeof(CQE{})-16]
	_ = [1]byte{}[unsafe.Sizeof(bufEntry{})-16]
	_ = [1]byte{}[unsafe.Sizeof(bufReg{})-40]
	_ = [1]byte{}[unsafe.Sizeof(syncCancel{})-64]
	_ = [1]byte{}[unsafe.Offsetof(waitArg{}.sec)-waitArgSize]
)
