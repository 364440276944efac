package flaskcache

import (
	"context"
	"strings"
)

const proxySays = "ERR flask-cache-proxy: "

// Check asks the server whether it is the proxy, and manages this entry's key. It is for the start of a program: Redis
// itself, and a proxy that has no rule for the prefix, store any bytes without an error, and Flask cannot read them.
// Check stores nothing. The proxy logs it as a refused SETRANGE.
func (entry Entry) Check(ctx context.Context) error {
	if err := withContext(ctx, entry.defect()); err != nil {
		return err
	}
	key := entry.key
	if entry.call != nil {
		key = versionKeys(entry.cache.library, entry.cache.prefix, entry.call)[0]
	}
	err := entry.cache.client.SetRange(ctx, key, 0, "").Err() // of no bytes: Redis changes nothing
	switch {
	case err == nil:
		return wrong("the server stores any bytes under the key %q: it is Redis itself, or the proxy has no rule for the prefix %q",
			key, entry.cache.prefix)
	case !strings.HasPrefix(err.Error(), proxySays):
		return err
	case strings.HasSuffix(err.Error(), "this listener only reads") && !entry.cache.plain:
		return wrong("the listener is plain and only reads: use another port, or the option Plain")
	}
	return nil
}
