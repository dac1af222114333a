package session

import "spillway/internal/wire"

// Statement is what a name of the client stands for, nil when the books do not
// know it; "" is the unnamed statement. In session mode none are kept.
func (c *Client) Statement(name []byte) *Statement {
	if len(name) == 0 {
		return c.unnamed
	}
	if cs := c.stmts[string(name)]; cs != nil {
		return cs.st
	}
	return nil
}

// BoundText is the text of the prepared statement that the server was last
// told to bind; "" after a simple query, and where statements are not mapped.
func (s *Server) BoundText() string {
	if s.bound == nil {
		return ""
	}
	return s.bound.Text
}

// Refuse stands for Front where a statement may not run: the server fails in
// its place, so that its transaction and the rest of the pipeline fare as after
// any error, and the client is told rep.
func (c *Client) Refuse(s *Server, kind byte, rep *wire.Report, fx *Effects) Action {
	if s.skipping {
		return drop // the server would ignore it
	}
	if c.unsure(s, kind) {
		return Action{Do: Hold}
	}
	return c.refuse(s, fx, kind != wire.Query, rep)
}
