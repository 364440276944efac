// Package documents names the modules that only the programs of the documents import, so that go.mod keeps them.
package documents

import _ "github.com/go-redis/cache/v9"
