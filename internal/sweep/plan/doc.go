// Package plan decides how a table is swept: it estimates what is doomed, says
// what each strategy would cost, chooses one and says why, and refuses what
// cannot be safe. It changes nothing in the database.
package plan
