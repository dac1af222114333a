package node

import "spillway/internal/uring"

// Ring says whether this machine permits io_uring as the event loops need it,
// and which kernel it is or why not.
func Ring() (detail string, permitted bool) {
	features, err := uring.Probe()
	if err != nil {
		return err.Error(), false
	}
	return features.String(), true
}
