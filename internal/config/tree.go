package config

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"spillway/internal/config/fault"
)

// Bounds on a config file, far above any real one: they keep a hostile file
// from costing more than its size.
const (
	maxFile    = 1 << 20
	maxLine    = 16 << 10
	maxDepth   = 16
	maxNodes   = 100_000
	maxAnchors = 256
	// The YAML library's cost grows with the square of both.
	maxItems = 10_000 // of lists written with dashes
	maxKeys  = 20_000
)

// shape is what a node is.
type shape uint8

const (
	shapeNull shape = iota
	shapeScalar
	shapeList
	shapeMap
)

// node is a value of the file with its place, aliases and merges resolved.
type node struct {
	shape   shape
	place   fault.Place
	text    string // scalar: as written, quotes resolved, ${} not
	quoted  bool
	broken  bool // already reported
	entries []entry
	items   []*node
}

type entry struct {
	name  string
	place fault.Place
	value *node
}

// reader turns a file's text into nodes, noting what is wrong with it.
type reader struct {
	src      *fault.Source
	problems fault.List
	anchors  map[string]*node
	nodes    int
}

// read is the file's top node, nil when there is none to go on with.
func (r *reader) read(text string) *node {
	if len(text) > maxFile {
		r.report(fault.Place{}, fmt.Sprintf("file is longer than %s", formatBytes(maxFile)), "", "split users into auth.file")
		return nil
	}
	if at, ok := invalidText(text); ok {
		r.report(at, "character is not UTF-8 text", "", "save the file as UTF-8 with line feeds, and write control characters as \"\\x01\"")
		return nil
	}
	if line, ok := longLine(text); ok {
		r.report(fault.Place{Line: line, Column: 1, Width: 1}, fmt.Sprintf("line is longer than %s", formatBytes(maxLine)), "", "break it: one value a line")
		return nil
	}
	tokens := lexer.Tokenize(text)
	if !r.tokensFit(tokens) {
		return nil
	}
	file, err := parse(tokens)
	if err != nil {
		r.syntax(err)
		return nil
	}
	return r.document(file)
}

// parse calls the YAML library, which is not ours to trust with any input.
func parse(tokens token.Tokens) (file *ast.File, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the YAML reader gave up on this file")
		}
	}()
	return parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
}

func (r *reader) document(file *ast.File) *node {
	var body ast.Node
	for _, doc := range file.Docs {
		if doc == nil || doc.Body == nil {
			continue
		}
		if body != nil {
			r.report(placeOf(doc.Body.GetToken()), "a second document starts here", "", "keep everything in one: remove the line ---")
			break
		}
		body = doc.Body
	}
	if body == nil {
		r.report(fault.Place{}, "file is empty", "", "start from docs/spillway.example.yaml")
		return nil
	}
	return r.node(body, 0)
}

func (r *reader) node(n ast.Node, depth int) *node {
	r.nodes++
	out := &node{place: placeOf(n.GetToken())}
	if depth > 4*maxDepth || r.nodes > maxNodes {
		return out
	}
	switch v := n.(type) {
	case *ast.MappingNode:
		out.shape = shapeMap
		r.mapping(out, v.Values, depth)
	case *ast.MappingValueNode:
		out.shape = shapeMap
		r.mapping(out, []*ast.MappingValueNode{v}, depth)
	case *ast.SequenceNode:
		out.shape = shapeList
		for _, item := range v.Values {
			if item != nil {
				out.items = append(out.items, r.node(item, depth+1))
			}
		}
	case *ast.AnchorNode:
		return r.anchor(v, depth)
	case *ast.AliasNode:
		return r.alias(v)
	case *ast.NullNode:
		out.shape = shapeNull
	case *ast.LiteralNode:
		out.shape, out.quoted = shapeScalar, true
		if v.Value != nil {
			out.text = v.Value.Value
		}
	case *ast.StringNode:
		out.shape, out.text = shapeScalar, v.Value
		out.quoted = isQuoted(v.Token)
	default:
		out.shape, out.text = shapeScalar, strings.TrimSpace(n.GetToken().Value)
	}
	return out
}

func (r *reader) anchor(a *ast.AnchorNode, depth int) *node {
	if a.Value == nil {
		return &node{place: placeOf(a.Start)}
	}
	out := r.node(a.Value, depth+1)
	if a.Name != nil {
		r.anchors[a.Name.GetToken().Value] = out
	}
	return out
}

func (r *reader) alias(a *ast.AliasNode) *node {
	at := placeOf(a.Start)
	if a.Value != nil {
		name := a.Value.GetToken().Value
		if to := r.anchors[name]; to != nil {
			return to
		}
		at.Width += len(name)
	}
	r.report(at, "alias stands for nothing", "", "name an anchor (&name) above it")
	return &node{place: at, broken: true}
}

// mapping fills out's entries, merged ones (<<) after the file's own.
func (r *reader) mapping(out *node, values []*ast.MappingValueNode, depth int) {
	seen := map[string]fault.Place{}
	var merges []*node
	for _, v := range values {
		if v == nil || v.Key == nil || v.Value == nil {
			continue
		}
		name, at := keyText(v.Key), placeOf(v.Key.GetToken())
		if len(out.entries) == 0 {
			out.place = at
		}
		value := r.node(v.Value, depth+1)
		if v.Key.IsMergeKey() {
			merges = append(merges, value)
			continue
		}
		if before, ok := seen[name]; ok {
			r.report(at, fmt.Sprintf("key %s is given twice", quoteKey(name)),
				fmt.Sprintf("it already stands on line %d", before.Line), "keep one of them")
			continue
		}
		seen[name] = at
		out.entries = append(out.entries, entry{name, at, value})
	}
	for _, m := range merges {
		r.merge(out, m, seen)
	}
}

func (r *reader) merge(out, from *node, seen map[string]fault.Place) {
	switch from.shape {
	case shapeMap:
		for _, e := range from.entries {
			r.nodes++
			if _, ok := seen[e.name]; !ok && r.nodes <= maxNodes {
				seen[e.name] = e.place
				out.entries = append(out.entries, e)
			}
		}
	case shapeList:
		for _, m := range from.items {
			if m.shape == shapeMap {
				r.merge(out, m, seen)
			}
		}
	default:
		if !from.broken {
			r.report(from.place, "<< merges what holds no keys", "", "give it an alias of keys")
		}
	}
}

func (r *reader) report(at fault.Place, what, why, mend string) {
	if len(r.problems) > maxProblems {
		return
	}
	p := r.src.Problem(at, what)
	p.Why, p.Mend = why, mend
	r.problems = append(r.problems, p)
}

func keyText(k ast.MapKeyNode) string {
	if s, ok := k.(*ast.StringNode); ok {
		return s.Value
	}
	return strings.TrimSpace(k.GetToken().Value)
}

func isQuoted(t *token.Token) bool {
	return t != nil && (t.Type == token.DoubleQuoteType || t.Type == token.SingleQuoteType)
}

func placeOf(t *token.Token) fault.Place {
	if t == nil || t.Position == nil {
		return fault.Place{}
	}
	width := utf8.RuneCountInString(strings.TrimSpace(t.Value))
	if isQuoted(t) {
		width += 2
	}
	return fault.Place{Line: t.Position.Line, Column: t.Position.Column, Width: max(width, 1)}
}

// quoteKey shows a name as it would stand in the file.
func quoteKey(name string) string {
	for _, r := range name {
		if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-", r) {
			return fmt.Sprintf("%q", name)
		}
	}
	if name == "" {
		return `""`
	}
	return name
}
