// Package brake keeps a sweep from hurting anyone: it looks at the server, its
// replicas and the live traffic several times a second, judges what it sees, and
// turns the judgement into the size of batches and the rest between them.
//
// Watch looks, Judge judges (pure, time is an argument), Pace obeys (pure). The
// package deletes nothing and does not know what a batch is made of.
package brake
