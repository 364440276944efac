package flaskcache

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"hash"
)

// A Library is a cache library of the app, which decides how keys are computed. Use one of the values below.
type Library struct {
	name        string
	hash        string
	keywords    string // its text for a call without keyword arguments
	hasQueries  bool
	queryPrefix string // the key_prefix of views with a query; "" means the decorator's
	strips      bool   // it removes most punctuation from names
	dropsFalse  bool   // it hashes a false default as None
}

var (
	// FlaskCache013 is Flask-Cache 0.13.
	FlaskCache013 = Library{name: "Flask-Cache", hash: "md5", keywords: "{}"}
	// Caching24 is Flask-Caching 1.10 to 2.4.
	Caching24 = Library{
		name: "Flask-Caching 2.4", hash: "md5", keywords: "OrderedDict()", hasQueries: true, queryPrefix: "%s",
		dropsFalse: true,
	}
	// Caching25 is Flask-Caching from 2.5 on.
	Caching25 = Library{
		name: "Flask-Caching 2.5", hash: "sha256", keywords: "OrderedDict()", hasQueries: true, strips: true,
	}
)

var hashes = map[string]func() hash.Hash{
	"md5": md5.New, "sha1": sha1.New, "sha224": sha256.New224, "sha256": sha256.New, "sha384": sha512.New384,
	"sha512": sha512.New,
}

func (library Library) sum(text string) []byte {
	digest := hashes[library.hash]()
	digest.Write([]byte(text))
	return digest.Sum(nil)
}
