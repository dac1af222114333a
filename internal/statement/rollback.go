package statement

// PlainRollback says whether text is ROLLBACK or ABORT and nothing else: outside a transaction PostgreSQL answers that with
// a warning and has done nothing. TO SAVEPOINT, PREPARED and AND CHAIN are other statements, or errors there.
func PlainRollback(text []byte, standardConformingStrings bool) bool {
	p := newParser(text, standardConformingStrings)
	if !p.takeWord("rollback") && !p.takeWord("abort") {
		return false
	}
	if !p.takeWord("work") {
		p.takeWord("transaction")
	}
	if p.takeWord("and") && !(p.takeWord("no") && p.takeWord("chain")) {
		return false
	}
	return p.atEnd()
}
