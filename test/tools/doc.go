// Package tools holds the tests with other people's clients: psql, pgbench,
// pg_dump and pg_restore, pg_recvlogical, and the Python drivers psycopg2,
// psycopg and asyncpg. Each does through Spillway what it does directly.
package tools
