package report

// Markdown is the post-mortem.
func Markdown(r *Report, charts map[string]string) string { return "# " + r.Title + "\n" }

// Charts are the pictures of it by file name.
func Charts(r *Report) map[string]string { return map[string]string{} }
