// Package differential sends the same scripts of protocol messages to
// PostgreSQL directly and through a pooler and compares the two streams of
// messages that come back, message by message. Bytes are split at random
// places on the way. What may differ: cancel keys, process ids, and where in
// PostgreSQL's source an error was raised.
//
// Scripts are golden ones (scripts_test.go and its neighbours; their
// transcripts are in testdata and rewritten with -update) and generated ones.
package differential
