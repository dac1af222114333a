// Package wire is PostgreSQL's protocol v3 on []byte: framing and the message
// codecs a pooler needs. It appends to buffers the caller owns and returns
// views into buffers it is given; it keeps nothing and does no I/O.
package wire
