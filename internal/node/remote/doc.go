// Package remote asks a running node over its admin socket: facts as JSON, and
// verbs. It is what the command line's reading commands stand on.
//
// It knows the API's addresses and errors, not what the facts mean, and prints
// nothing.
package remote
