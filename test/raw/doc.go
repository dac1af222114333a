// Package raw is a PostgreSQL client that hides nothing: it sends the bytes it
// is given, split as it is told, and hands back every message as it came. Test
// suites compare what two servers say with it. It logs in without a password
// or with a plain one, and knows no other method.
package raw
