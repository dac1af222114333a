// Package statement owns what can be learnt from the text of SQL: what a text
// does to the session that runs it (Scan, Scanner), the parts of the statements
// that a pooler rewrites (ParsePrepare, ParseExecute, ParseDeallocate,
// ParseSet), the tags in its comments (Tag) and what it looks like without its
// literals (Fingerprint, Redact).
//
// It does no I/O, knows no time and no catalogue: names of functions are
// compared with those that PostgreSQL 13 to 18 are born with. So it cannot see
// what hides behind views, triggers, rules, defaults, casts, operators, a
// function of the database's own that bears a built-in name, or attribute
// notation (t.f for f(t)); a pooler that must hold against those resets every
// server. It judges texts that PostgreSQL would accept. One with a syntax error
// runs nothing, whatever is said about it here.
//
// Texts are read in an encoding in which every byte below 0x80 stands for
// itself, as in all encodings of servers. Of the clients' encodings, SJIS,
// BIG5, GBK, GB18030, UHC, JOHAB and SHIFT_JIS_2004 are not of that kind; see
// Lexable.
package statement
