package config

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	"spillway/internal/proxy"
)

// alpn is the protocol name PostgreSQL 17 and its clients agree on.
const alpn = "postgresql"

// builtTLS is made of the certificate files; nil where TLS is off or failed.
type builtTLS struct {
	clients *tls.Config
	servers map[string]*tls.Config
}

func tlsMode(word string) proxy.TLSMode {
	return proxy.TLSMode(max(slices.Index(sslModes(), word), 0))
}

func tlsVersion(word string) uint16 {
	return tls.VersionTLS10 + uint16(max(slices.Index(tlsVersions(), word), 0))
}

// buildClientTLS is TLS as clients see it.
func (k *checker) buildClientTLS() {
	t := &k.c.TLS
	mode := tlsMode(t.Mode)
	if mode == proxy.TLSDisable {
		if t.Cert != "" || t.Key != "" || t.CA != "" {
			k.warn("tls", complaint{what: "certificates are given and tls.mode is disable", mend: "mode: prefer, or require"})
		}
		return
	}
	if t.Cert == "" || t.Key == "" {
		k.fail("tls.mode", complaint{
			what: fmt.Sprintf("tls.mode is %s and there is no certificate", t.Mode),
			why:  "a TLS server must show one",
			mend: "give tls.cert and tls.key, or mode: disable",
		})
	}
	cfg := &tls.Config{NextProtos: []string{alpn}, MinVersion: tls.VersionTLS12}
	k.setVersions(cfg, t.Protocols)
	k.setCiphers(cfg, t.Ciphers)
	if pair, ok := k.keyPair("tls", "cert", "key", t.Cert, t.Key); ok {
		cfg.Certificates = []tls.Certificate{pair}
	}
	if pool, ok := k.roots("tls.ca", t.CA); ok {
		cfg.ClientCAs = pool
		cfg.ClientAuth = tls.VerifyClientCertIfGiven
	}
	if mode >= proxy.TLSVerifyCA {
		cfg.ClientAuth = tls.RequireAndVerifyClientCert
		if t.CA == "" {
			k.fail("tls.mode", complaint{
				what: fmt.Sprintf("tls.mode is %s and there is no tls.ca", t.Mode),
				why:  "client certificates would have nothing to be checked against",
				mend: "give tls.ca, or mode: require",
			})
		}
	}
	k.c.loaded.tls.clients = cfg
}

// setVersions takes a list without gaps.
func (k *checker) setVersions(cfg *tls.Config, words []string) {
	if k.broken("tls.protocols") {
		return
	}
	var versions []uint16
	for _, w := range words {
		versions = append(versions, tlsVersion(w))
	}
	slices.Sort(versions)
	versions = slices.Compact(versions)
	if len(versions) == 0 {
		k.fail("tls.protocols", complaint{what: "tls.protocols is empty", mend: "protocols: [TLSv1.2, TLSv1.3]"})
		return
	}
	cfg.MinVersion, cfg.MaxVersion = versions[0], versions[len(versions)-1]
	if int(cfg.MaxVersion-cfg.MinVersion) != len(versions)-1 {
		k.fail("tls.protocols", complaint{what: "tls.protocols leaves out a version in the middle", mend: "list every version from the oldest to the newest"})
	}
}

func (k *checker) setCiphers(cfg *tls.Config, names []string) {
	known := map[string]uint16{}
	for _, c := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		known[c.Name] = c.ID
	}
	for _, name := range names {
		id, ok := known[name]
		if !ok {
			k.fail("tls.ciphers", complaint{what: fmt.Sprintf("cipher suite %q is not known", name), mend: "IANA names, such as TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, or leave the key out"})
			continue
		}
		cfg.CipherSuites = append(cfg.CipherSuites, id)
	}
}

// keyPair reads a certificate and its key; ok is false when none is given.
func (k *checker) keyPair(path, certKey, keyKey, cert, key string) (tls.Certificate, bool) {
	var none tls.Certificate
	if (cert == "") != (key == "") && (cert+key) != "" {
		k.fail(path, complaint{what: fmt.Sprintf("%s: one of %s and %s is given", path, certKey, keyKey), mend: "give both"})
		return none, false
	}
	certPEM, ok1 := k.readFile(join(path, certKey), cert, largestOther)
	keyPEM, ok2 := k.readFile(join(path, keyKey), key, largestOther)
	if !ok1 || !ok2 {
		return none, false
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		k.fail(join(path, certKey), complaint{what: fmt.Sprintf("load certificate %s with its key: %v", k.resolve(cert), err), mend: "PEM files of a certificate (chain) and the key that belongs to it"})
		return none, false
	}
	return pair, true
}

// roots reads trusted certificates; ok is false when none are given.
func (k *checker) roots(path, name string) (*x509.CertPool, bool) {
	if name == "system" {
		pool, err := x509.SystemCertPool()
		if err != nil {
			k.fail(path, complaint{what: fmt.Sprintf("read the machine's certificates: %v", err)})
		}
		return pool, err == nil
	}
	content, ok := k.readFile(path, name, largestOther)
	if !ok {
		return nil, false
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(content) {
		k.fail(path, complaint{what: fmt.Sprintf("%s holds no certificate", k.resolve(name)), mend: "a PEM file with -----BEGIN CERTIFICATE-----"})
		return nil, false
	}
	return pool, true
}

// buildServerTLS is TLS towards one PostgreSQL. ServerName is left to the
// proxy, which knows the host it dials.
func (k *checker) buildServerTLS(name string, s *Server) {
	mode := tlsMode(s.SSLMode)
	path := join("servers", name)
	k.checkServerTLS(path, s, mode)
	if mode == proxy.TLSDisable {
		return
	}
	cfg := &tls.Config{
		NextProtos: []string{alpn},
		MinVersion: tlsVersion(s.SSLMinProtocol),
		MaxVersion: tlsVersion(s.SSLMaxProtocol),
	}
	if pair, ok := k.keyPair(path, "sslcert", "sslkey", s.SSLCert, s.SSLKey); ok {
		cfg.Certificates = []tls.Certificate{pair}
	}
	pool, trusted := k.roots(join(path, "sslrootcert"), s.SSLRootCert)
	cfg.RootCAs = pool
	switch {
	case mode == proxy.TLSVerifyFull:
	case mode == proxy.TLSVerifyCA, mode == proxy.TLSRequire && trusted:
		verifyChainOnly(cfg)
	default:
		cfg.InsecureSkipVerify = true
	}
	k.c.loaded.tls.servers[name] = cfg
}

func (k *checker) checkServerTLS(path string, s *Server, mode proxy.TLSMode) {
	if s.SSLRootCert == "system" && mode != proxy.TLSVerifyFull {
		k.fail(join(path, "sslrootcert"), complaint{
			what: fmt.Sprintf("sslrootcert is system and sslmode is %s", s.SSLMode),
			why:  "any certificate of a public authority would do, for whatever name",
			mend: "sslmode: verify-full",
		})
	}
	if mode == proxy.TLSVerifyCA && s.SSLRootCert == "" {
		k.fail(join(path, "sslmode"), complaint{
			what: "sslmode is verify-ca and there is no sslrootcert",
			why:  "the chain would be checked against every public authority, for whatever name",
			mend: "give sslrootcert, or sslmode: verify-full",
		})
	}
	if s.SSLNegotiation == "direct" && mode < proxy.TLSRequire {
		k.fail(join(path, "sslnegotiation"), complaint{
			what: fmt.Sprintf("sslnegotiation is direct and sslmode is %s", s.SSLMode),
			why:  "direct TLS cannot fall back to plain text",
			mend: "sslmode: require, or stronger",
		})
	}
	if s.ChannelBinding == "require" && mode < proxy.TLSRequire {
		k.fail(join(path, "channel_binding"), complaint{
			what: fmt.Sprintf("channel_binding is require and sslmode is %s", s.SSLMode),
			why:  "there is no channel to bind to without TLS",
			mend: "sslmode: require, or stronger",
		})
	}
	if tlsVersion(s.SSLMinProtocol) > tlsVersion(s.SSLMaxProtocol) {
		k.fail(join(path, "ssl_min_protocol_version"), complaint{
			what: fmt.Sprintf("ssl_min_protocol_version %s is above ssl_max_protocol_version %s", s.SSLMinProtocol, s.SSLMaxProtocol),
			mend: "swap them",
		})
	}
	for _, h := range s.target.hosts {
		if mode >= proxy.TLSVerifyCA && h.Host[0] == '/' {
			k.warn(join(path, "sslmode"), complaint{what: fmt.Sprintf("sslmode is %s and %s is a unix socket, which has no TLS", s.SSLMode, h.Host)})
		}
	}
}

// verifyChainOnly checks the certificate's chain and not its name, as libpq's
// verify-ca does.
func verifyChainOnly(cfg *tls.Config) {
	roots := cfg.RootCAs
	cfg.InsecureSkipVerify = true
	cfg.VerifyConnection = func(state tls.ConnectionState) error {
		if len(state.PeerCertificates) == 0 {
			return errors.New("verify server certificate: none was sent")
		}
		options := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool()}
		for _, c := range state.PeerCertificates[1:] {
			options.Intermediates.AddCert(c)
		}
		if _, err := state.PeerCertificates[0].Verify(options); err != nil {
			return fmt.Errorf("verify server certificate: %w", err)
		}
		return nil
	}
}
