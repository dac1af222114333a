package proxy

// Ban keeps a statement from running, or from running too often at once. It is
// known by its fingerprint: statement.Print of its text.
type Ban struct {
	Fingerprint uint64
	Max         int    // most at once over all clients; 0 = none may run
	Text        string // until when, who and why; told to those it hits
}
