package fault

// Nearest is the candidate with the fewest edits to word, "" when none is near
// enough to be meant: at most a third of the word, and at least one edit.
// Insertions, deletions, replacements and swaps of neighbours count one each.
func Nearest(word string, candidates []string) string {
	const longest = 64
	if len(word) > longest {
		return ""
	}
	best, edits := "", max(len(word)/3, 1)+1
	for _, c := range candidates {
		if len(c) > longest {
			continue
		}
		if d := distance(word, c); d < edits {
			best, edits = c, d
		}
	}
	return best
}

func distance(a, b string) int {
	before, prev, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if lower(a[i-1]) == lower(b[j-1]) {
				cost = 0
			}
			row[j] = min(prev[j]+1, row[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, prev, row = prev, row, before
	}
	return prev[len(b)]
}

// lower folds case and the two ways of joining words.
func lower(c byte) byte {
	switch {
	case c >= 'A' && c <= 'Z':
		return c + 'a' - 'A'
	case c == '-':
		return '_'
	default:
		return c
	}
}
