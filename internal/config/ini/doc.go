// Package ini reads PgBouncer's configuration syntax: sections, key = value,
// comments, %include, and the connection strings that are values of
// [databases], [users] and [peers]. It follows PgBouncer's own parser where its
// documentation is silent, and says where a file is wrong.
//
// It knows no setting and gives values no meaning.
package ini
