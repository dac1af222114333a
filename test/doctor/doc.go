// Package doctor runs `spillway doctor` as a person would, on a real PostgreSQL
// that is as it should be, and on ones that are not.
package doctor
