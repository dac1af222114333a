package target

// Refusal is an order that cannot be carried out safely: what, and how to mend
// it. Nothing was changed.
type Refusal struct {
	What string `json:"what"`
	Mend string `json:"mend,omitempty"`
}

// Error implements error.
func (r *Refusal) Error() string {
	if r.Mend == "" {
		return r.What
	}
	return r.What + "; " + r.Mend
}

func refuse(what, mend string) error { return &Refusal{what, mend} }
