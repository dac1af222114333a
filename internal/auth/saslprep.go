package auth

import (
	"sort"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

//go:generate python3 saslprep_tables.py

// runeRanges is a sorted list of inclusive ranges.
type runeRanges [][2]rune

func (t runeRanges) has(r rune) bool {
	i := sort.Search(len(t), func(i int) bool { return t[i][1] >= r })
	return i < len(t) && t[i][0] <= r
}

// SASLprep normalises a password as PostgreSQL does before it derives SCRAM keys
// (RFC 4013 over Unicode 3.2), and like PostgreSQL returns the password unchanged
// where it is not valid UTF-8 or not allowed by the RFC.
//
// PostgreSQL checks prohibited characters before normalisation, not after as the
// RFC says, and passes ASCII through unchecked; keys only match if we do the same.
func SASLprep(password string) string {
	if isASCII(password) || !utf8.ValidString(password) {
		return password
	}
	mapped := mapPassword(password)
	if len(mapped) == 0 || prohibited(mapped) || wrongBidi(mapped) {
		return password
	}
	return norm.NFKC.String(string(mapped))
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r >= utf8.RuneSelf }) < 0
}

func mapPassword(password string) []rune {
	mapped := make([]rune, 0, len(password))
	for _, r := range password {
		switch {
		case prepSpaces.has(r): // before prepNothing: U+200B is in both
			mapped = append(mapped, ' ')
		case prepNothing.has(r):
		default:
			mapped = append(mapped, r)
		}
	}
	return mapped
}

func prohibited(rs []rune) bool {
	for _, r := range rs {
		if prepProhibited.has(r) || prepUnassigned.has(r) {
			return true
		}
	}
	return false
}

// wrongBidi applies RFC 3454 section 6: a string with right-to-left characters has
// no left-to-right ones and starts and ends with a right-to-left one.
func wrongBidi(rs []rune) bool {
	var rtl, ltr bool
	for _, r := range rs {
		rtl = rtl || prepRandAL.has(r)
		ltr = ltr || prepL.has(r)
	}
	return rtl && (ltr || !prepRandAL.has(rs[0]) || !prepRandAL.has(rs[len(rs)-1]))
}
