// Package auth holds the logic of proving who is who: SCRAM-SHA-256 and its
// channel-bound variant as client and as server, md5 and plain passwords, the
// parsing of stored secrets and of userlist, HBA and ident files, the choice of
// an exchange for a login, the answer to a server's request, and cancel keys.
//
// It owns no socket, no file, no clock and no goroutine. Payloads come in and go
// out as byte slices without message framing; files come in as bytes. Whatever
// costs real CPU (PBKDF2) says so in its comment, so that callers can run it off
// their event loop.
//
// It does not know users, databases or pools, does not decide where secrets come
// from, and never puts a secret into an error, a String or a log value.
//
// Rules that hold throughout:
//   - every length and count from a peer or a file is bounded before it is used;
//   - no input makes it panic;
//   - what is secret is compared in constant time;
//   - an unknown user runs through the same messages and costs as a wrong
//     password: take a secret from Mock and go on;
//   - a zero value refuses: Method, Offer, Kind and Rule all fail closed.
package auth
