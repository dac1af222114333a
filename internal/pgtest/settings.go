package pgtest

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// configure appends to postgresql.conf (the last line of a name wins, so it
// also renames a copied server) and writes pg_hba.conf and the certificates.
func (s *Server) configure() error {
	lines := s.settings()
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(lines)) {
		fmt.Fprintf(&b, "%s = '%s'\n", name, strings.ReplaceAll(lines[name], "'", "''"))
	}
	conf, err := os.OpenFile(filepath.Join(s.DataDir, "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("open postgresql.conf: %w", err)
	}
	_, err = conf.WriteString(b.String())
	if closeErr := conf.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("write postgresql.conf: %w", err)
	}
	if err := s.as.WriteFile(filepath.Join(s.DataDir, "pg_hba.conf"), s.hba(), 0o600); err != nil {
		return fmt.Errorf("write pg_hba.conf: %w", err)
	}
	return s.installCerts()
}

func (s *Server) settings() map[string]string {
	lines := map[string]string{
		"listen_addresses":        s.Host(),
		"port":                    strconv.Itoa(s.Port),
		"unix_socket_directories": s.SocketDir,
		"max_connections":         "100",
		"shared_buffers":          "32MB",
		"log_line_prefix":         "%m [%p] %q%u@%d ",
		"lc_messages":             "C",
		"logging_collector":       "off",
	}
	if !s.opts.Durable {
		// Commits still reach the kernel, so they outlive a killed PostgreSQL.
		lines["fsync"], lines["full_page_writes"] = "off", "off"
	}
	if s.opts.Certs != nil {
		lines["ssl"] = "on"
		lines["ssl_cert_file"], lines["ssl_key_file"], lines["ssl_ca_file"] = "server.crt", "server.key", "ca.crt"
	}
	maps.Copy(lines, s.opts.Settings)
	return lines
}

// hba always lets the superuser in over the socket, for our own Exec.
func (s *Server) hba() []byte {
	lines := s.opts.HBA
	if len(lines) == 0 {
		lines = []string{
			"local all all trust", "host all all 127.0.0.1/32 trust",
			"local replication all trust", "host replication all 127.0.0.1/32 trust",
		}
	}
	lines = append([]string{"local all postgres trust", "local replication postgres trust"}, lines...)
	return []byte(strings.Join(lines, "\n") + "\n")
}

// SetHBA replaces the lines of pg_hba.conf and makes the server read them.
func (s *Server) SetHBA(lines ...string) error {
	s.opts.HBA = lines
	if err := s.as.WriteFile(filepath.Join(s.DataDir, "pg_hba.conf"), s.hba(), 0o600); err != nil {
		return fmt.Errorf("write pg_hba.conf: %w", err)
	}
	_, err := s.Query("SELECT pg_reload_conf()")
	return err
}

func (s *Server) installCerts() error {
	c := s.opts.Certs
	if c == nil {
		return nil
	}
	for to, from := range map[string]string{"ca.crt": c.CA, "server.crt": c.ServerCert, "server.key": c.ServerKey} {
		pem, err := os.ReadFile(from)
		if err != nil {
			return fmt.Errorf("read certificate: %w", err)
		}
		if err := s.as.WriteFile(filepath.Join(s.DataDir, to), pem, 0o600); err != nil {
			return fmt.Errorf("write certificate: %w", err)
		}
	}
	return nil
}
