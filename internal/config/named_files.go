package config

import (
	"path/filepath"
	"strings"
)

// NamedFile is a file that a config names.
type NamedFile struct {
	Key, Path   string // path of the key; path of the file, from the root or the working folder
	Secret      bool   // holds one
	Certificate bool   // holds a certificate
}

// Files are the files that the config names, and the config file itself first.
func (c *Config) Files() []NamedFile {
	name := c.origin.name()
	files := []NamedFile{{Key: "config", Path: name}}
	return append(files, namedFiles(table(), c, "", filepath.Dir(name))...)
}

func namedFiles(keys []key, owner any, path, dir string) []NamedFile {
	var files []NamedFile
	for i := range keys {
		k := &keys[i]
		at := join(path, k.name)
		switch k.kind {
		case kindSection:
			files = append(files, namedFiles(k.keys, k.at(owner), at, dir)...)
		case kindNamed:
			for _, name := range k.names(owner) {
				files = append(files, namedFiles(k.keys, k.child(owner, name), join(at, name), dir)...)
			}
		default:
			text, ok := k.at(owner).(*string)
			if !k.path || !ok || *text == "" || *text == "system" {
				continue
			}
			full := *text
			if !filepath.IsAbs(full) {
				full = filepath.Join(dir, full)
			}
			files = append(files, NamedFile{Key: at, Path: full, Secret: holdsSecret(at, k.name), Certificate: holdsCertificate(k.name)})
		}
	}
	return files
}

// holdsSecret reports whether a file key's file is one: users with their
// secrets, private keys, and every NAME_file that stands for a secret.
func holdsSecret(path, name string) bool {
	switch name {
	case "key", "sslkey":
		return true
	case "hba_file", "ident_file":
		return false
	}
	return path == "auth.file" || strings.HasSuffix(name, "_file")
}

func holdsCertificate(name string) bool {
	switch name {
	case "cert", "ca", "sslcert", "sslrootcert":
		return true
	}
	return false
}
