// Package uring is a small io_uring binding for one event loop: multishot receives into a shared ring of buffers, batched sends,
// accepts, polls and cancels, on one locked OS thread.
package uring
