package statement

import "testing"

func TestPlainRollback(t *testing.T) {
	for text, want := range map[string]bool{
		"ROLLBACK": true, "rollback;": true, " /* pool */ Rollback work ; ;": true, "ABORT": true, "abort transaction": true, "ROLLBACK AND NO CHAIN": true,
		"ROLLBACK\x00": true, "-- bye\nROLLBACK": true,
		"": false, "COMMIT": false, "END": false, "ROLLBACK TO a": false, "ROLLBACK TO SAVEPOINT a": false, "ROLLBACK PREPARED 'a'": false,
		"ROLLBACK AND CHAIN": false, "ROLLBACK AND NO": false, "ROLLBACK; SELECT 1": false, "BEGIN; ROLLBACK": false, "ROLLBACK WORK TRANSACTION": false,
		"SELECT 1; ROLLBACK": false, "ROLLBACK /*": false, `"rollback"`: false, "ROLLBACK 1": false,
	} {
		if got := PlainRollback([]byte(text), true); got != want {
			t.Errorf("%q: got %v", text, got)
		}
	}
}
