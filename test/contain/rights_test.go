package contain

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"spillway/internal/pgtest"
)

func hashOf(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

func guarded() string {
	return workloads + fmt.Sprintf(`
tokens:
  looker: {hash: "%s", role: viewer}
  oncall: {hash: "%s", role: operator}
  narrow: {hash: "%s", role: operator, scope: ["pause:batch", "resume:batch"]}
  gone:   {hash: "%s", role: admin, expires: 2020-01-01}
  boss:   {hash: "%s", role: admin, expires: 2100-01-01}
`, hashOf("look"), hashOf("call"), hashOf("thin"), hashOf("late"), hashOf("boss"))
}

// post sends an order over TCP.
func post(t *testing.T, p *pgtest.Pooler, token, body string) (status int, answer string) {
	t.Helper()
	ctx, end := context.WithTimeout(t.Context(), limit)
	defer end()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+p.Admin+"/api/v1/actions", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return send(t, r)
}

func send(t *testing.T, r *http.Request) (status int, answer string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// TestWhoMay: each order by each caller, with the status that it gets; nothing
// is done where it is refused.
func TestWhoMay(t *testing.T) {
	s := server(t)
	p := serve(t, s, guarded())
	wait, letGo := held(t, s)
	c, told := hang(t, p.URL(login("worker", "job")), wait)
	eventually(t, "it runs", limit, func() bool { return backends(t, s, "state = 'active' AND usename = 'worker'") == "1" })
	const (
		kill     = `{"kind":"kill","select":{"workload":"batch"}}`
		direct   = `{"kind":"terminate","select":{"user":"worker"}}`
		pauseAPI = `{"kind":"pause","workload":"api"}`
		dry      = `{"kind":"kill","select":{"workload":"batch"},"dry_run":true}`
	)
	for _, one := range []struct {
		token, body string
		status      int
		says        string
	}{
		{"", kill, 401, "token is missing or wrong"},
		{"nope", kill, 401, "token is missing or wrong"},
		{"late", kill, 401, "expired"},
		{"look", kill, 403, "needs the role operator"},
		{"look", dry, 403, "needs the role operator"},
		{"call", direct, 403, "needs the role admin"},
		{"thin", kill, 403, "not in the scope"},
		{"thin", pauseAPI, 403, "not in the scope"},
		{"call", `{"kind":"kill"}`, 400, "it would hit everybody"},
		{"call", `{"kind":"kill","select":{"workload":"batch"},"all":true}`, 400, "unknown field"},
		{"call", `{"kind":"explode"}`, 400, "there is no action"},
		{"call", `{"kind":"pause","workload":"nope"}`, 404, "there is no workload"},
		{"call", `{"kind":"pause","workload":"batch","reason":"` + strings.Repeat("x", 600) + `"}`, 400, "500 bytes"},
		{"call", kill + kill, 400, "more than one"},
		{"call", `{"kind":"undo","action":"zzz"}`, 404, "there is no action"},
		{"call", `{"kind":"run","command":"zzz"}`, 403, "needs the role admin"},
		{"boss", `{"kind":"run","command":"zzz"}`, 404, "no command"},
		{"call", dry, 200, `"targets":1`},
		{"call", strings.Repeat(" ", 10<<20) + kill, 413, "too large"},
		{"", strings.Repeat(" ", 10<<20) + kill, 401, "missing"},
		{"nope", strings.Repeat(" ", 10<<20) + kill, 401, "missing or wrong"},
		{"look", strings.Repeat(" ", 10<<20) + kill, 403, "needs the role operator"},
	} {
		status, answer := post(t, p, one.token, one.body)
		if status != one.status || !strings.Contains(answer, one.says) {
			t.Errorf("%.80s by %q: %d %.200s, want %d and %q", one.body, one.token, status, answer, one.status, one.says)
		}
	}
	letGo()
	if err := <-told; err != nil {
		t.Errorf("something was done: %s", text(err))
	}
	must(t, c, "SELECT 1")
	if status, answer := post(t, p, "thin", `{"kind":"pause","workload":"batch","for":"1m"}`); status != 200 || !strings.Contains(answer, `"who":"narrow"`) {
		t.Errorf("in its scope: %d %s", status, answer)
	}
	wantError(t, ask(t, c, "SELECT 1"), "53300", "by narrow")
	if status, _ := post(t, p, "boss", `{"kind":"terminate","select":{"user":"nobody"}}`); status != 200 {
		t.Errorf("an admin's terminate: %d", status)
	}
	if n := strings.Count(p.Log.String(), "refused"); n < 15 {
		t.Errorf("the log tells of %d refusals", n)
	}
	for _, secret := range []string{"late", "thin", hashOf("boss")} {
		if strings.Contains(p.Log.String(), `"`+secret+`"`) {
			t.Errorf("the log holds %q", secret)
		}
	}
}

// TestBodyInPieces: one that comes slowly, or never whole, does nothing and
// holds nobody up.
func TestBodyInPieces(t *testing.T) {
	s := server(t)
	p := serve(t, s, guarded())
	body := `{"kind":"pause","workload":"batch","for":"1m"}`
	head := "POST /api/v1/actions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAuthorization: Bearer call\r\nContent-Length: %d\r\n\r\n"
	torn, err := net.Dial("tcp", p.Admin)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(torn, head, len(body)) // and half of it, then nothing more
	fmt.Fprint(torn, body[:20])
	torn.Close()
	whole, err := net.Dial("tcp", p.Admin)
	if err != nil {
		t.Fatal(err)
	}
	defer whole.Close()
	for _, piece := range append([]string{fmt.Sprintf(head, len(body))}, strings.Split(body, "")...) {
		if _, err := io.WriteString(whole, piece); err != nil {
			t.Fatal(err)
		}
	}
	_ = whole.SetReadDeadline(time.Now().Add(limit))
	answer := make([]byte, 12)
	if _, err := io.ReadFull(whole, answer); err != nil || !bytes.HasSuffix(answer, []byte("200")) {
		t.Errorf("in pieces: %q, %v", answer, err)
	}
	out, _, err := command(t, p, "actions", "-o", "json")
	if err != nil || strings.Count(out, `"kind":"pause"`) != 1 {
		t.Errorf("actions: %v\n%s", err, out)
	}
}

// TestKeyActsOnce: the same order with the same key is done once, another order
// with it refused.
func TestKeyActsOnce(t *testing.T) {
	s := server(t)
	p := serve(t, s, workloads)
	first := order(t, p, "pause", "batch", "--key", "k1", "--for", "5m")
	if again := order(t, p, "pause", "batch", "--key", "k1", "--for", "5m"); again.ID != first.ID {
		t.Errorf("done again as %s, after %s", again.ID, first.ID)
	}
	refused(t, p, "was used for another action", "pause", "api", "--key", "k1", "--for", "5m")
}

// TestPeers: the kernel says who calls on the socket.
func TestPeers(t *testing.T) {
	s := server(t)
	strangers := serve(t, s, workloads)
	if out, stderr, err := asNobody(t, strangers, "pause", "batch"); err == nil {
		t.Errorf("a stranger paused: %s%s", out, stderr)
	}
	known := serve(t, s, workloads+"peers:\n  nobody: {role: viewer}\n")
	if _, stderr, err := asNobody(t, known, "workloads"); err != nil {
		t.Errorf("a viewer may not look: %v %s", err, stderr)
	}
	if _, stderr, err := asNobody(t, known, "kill", "--workload", "batch"); err == nil || !strings.Contains(stderr, "needs the role operator") {
		t.Errorf("a viewer's kill: %v %s", err, stderr)
	}
	operators := serve(t, s, workloads+"peers:\n  nobody: {role: operator}\n")
	out, stderr, err := asNobody(t, operators, "pause", "batch", "-o", "json")
	if err != nil || !strings.Contains(out, `"who":"nobody"`) {
		t.Errorf("an operator's pause: %v %s%s", err, out, stderr)
	}
}

// asNobody runs a command as the user nobody, which takes root.
func asNobody(t *testing.T, p *pgtest.Pooler, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("this test takes root: another user of the machine must call")
	}
	binary, err := pgtest.SpillwayBinary()
	if err != nil {
		t.Fatal(err)
	}
	place := filepath.Join(p.Dir, "spillway") // where nobody may run it
	text, err := os.ReadFile(binary)
	if err == nil {
		err = os.WriteFile(place, text, 0o755)
	}
	if err == nil {
		err = os.Chmod(p.Dir, 0o711)
	}
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithTimeout(t.Context(), limit)
	defer end()
	cmd := exec.CommandContext(ctx, place, append(args, "--socket", socket(p))...)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	err = cmd.Run()
	return out.String(), complaints.String(), err
}

// TestFromAfar: commands over the admin address, with a token.
func TestFromAfar(t *testing.T) {
	s := server(t)
	p := serve(t, s, guarded())
	binary, err := pgtest.SpillwayBinary()
	if err != nil {
		t.Fatal(err)
	}
	holder := connect(t, p.URL(login("worker", "job")))
	must(t, holder, "BEGIN")
	must(t, holder, "SELECT 4711")
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("call\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, one := range []struct {
		token string
		args  []string
		fails bool
		says  string
	}{
		{"", []string{"workloads"}, false, "batch"},
		{"", []string{"pause", "batch"}, true, "token is missing or wrong"},
		{"look", []string{"pause", "batch"}, true, "needs the role operator"},
		{"late", []string{"workloads"}, true, "expired"},
		{"look", []string{"holders"}, false, "select ?"},
		{"look", []string{"holders", "--sql"}, true, "are for operators"},
		{"call", []string{"holders", "--sql"}, false, "SELECT 4711"},
		{"call", []string{"pause", "batch", "--for", "1m"}, false, "pause batch; stands"},
		{"", []string{"resume", "batch", "--token-file", file}, false, "resume batch; done"},
		{"", []string{"resume", "batch", "--token-file", "/nowhere"}, true, "read token"},
	} {
		cmd := exec.CommandContext(t.Context(), binary, append(one.args, "--address", "http://"+p.Admin)...)
		cmd.Env = append(os.Environ(), "SPILLWAY_TOKEN="+one.token)
		out, err := cmd.CombinedOutput()
		if (err != nil) != one.fails || !strings.Contains(string(out), one.says) {
			t.Errorf("%v with %q: %v\n%s", one.args, one.token, err, out)
		}
	}
}
