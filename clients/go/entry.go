package flaskcache

import (
	"context"
	"errors"
	"math"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Forever is the ttl of an entry that does not expire.
const Forever time.Duration = math.MaxInt64

// An Entry is one entry of the cache: a view, a fragment or a memoized result. It sends nothing until a method is called.
type Entry struct {
	cache *Cache
	key   string
	call  *call  // of a memoized function, whose key depends on its version
	all   string // a glob of the keys that Invalidate deletes; "" is this key alone
	err   error
}

// defect is the error of an entry that no cache made, or made of wrong arguments.
func (entry Entry) defect() error {
	if entry.err == nil && entry.cache == nil {
		return wrong("this entry is empty: a Cache makes one")
	}
	return entry.err
}

// withContext also finds a nil context, at which go-redis would panic.
func withContext(ctx context.Context, err error) error {
	if err == nil && ctx == nil {
		return wrong("the context is nil: use context.Background()")
	}
	return err
}

// Get reads an entry. It returns [ErrMiss] if there is none, and a [*TypeError] if the value is no T.
func Get[T any](ctx context.Context, entry Entry) (T, error) {
	var none T
	key, err := entry.Key(ctx)
	if err != nil {
		return none, err
	}
	payload, err := entry.cache.client.Get(ctx, key).Bytes()
	if errors.Is(err, redis.Nil) {
		return none, ErrMiss
	}
	if err != nil {
		return none, err
	}
	return Unmarshal[T](entry.cache, payload)
}

// Key is the entry's key in Redis. For a memoized function it reads the version, and returns [ErrMiss] if there is none.
func (entry Entry) Key(ctx context.Context) (string, error) {
	if err := withContext(ctx, entry.defect()); err != nil {
		return "", err
	}
	if entry.call == nil {
		return entry.key, nil
	}
	version, err := entry.version(ctx)
	if err != nil {
		return "", err
	}
	return resultKey(entry.cache.library, entry.cache.prefix, entry.call, version), nil
}

// Set stores a value for a time. For a memoized function it also makes a version, if there is none, and lets it live at
// least as long. A ttl of less than a millisecond is an error; use [Forever] for an entry that does not expire.
func (entry Entry) Set(ctx context.Context, value any, ttl time.Duration) error {
	if err := withContext(ctx, entry.defect()); err != nil {
		return err
	}
	if ttl < time.Millisecond {
		return wrong("a ttl of %v is less than a millisecond; use Forever for an entry that does not expire", ttl)
	}
	payload, err := encode(entry.cache.format, value)
	if err != nil {
		return err
	}
	if entry.call != nil {
		return entry.setMemo(ctx, payload, ttl)
	}
	return entry.cache.client.Set(ctx, entry.key, payload, expiry(ttl)).Err()
}

// Delete removes this entry alone. It is no error if there is none.
func (entry Entry) Delete(ctx context.Context) error {
	key, err := entry.Key(ctx)
	if errors.Is(err, ErrMiss) {
		return nil
	}
	if err != nil {
		return err
	}
	return entry.cache.client.Del(ctx, key).Err()
}

// Invalidate removes what one call in the app would remove: all results of a memoized function, as delete_memoized(f)
// does (with [Self]: those of that object); every query of a path; a view or a fragment.
func (entry Entry) Invalidate(ctx context.Context) error {
	if err := withContext(ctx, entry.defect()); err != nil {
		return err
	}
	switch {
	case entry.call != nil:
		keys := versionKeys(entry.cache.library, entry.cache.prefix, entry.call)
		return entry.cache.client.Del(ctx, keys[len(keys)-1]).Err()
	case entry.all != "":
		_, err := entry.cache.deleteMatching(ctx, entry.all)
		return err
	}
	return entry.Delete(ctx)
}

// expiry is a ttl as go-redis takes it, where 0 is none.
func expiry(ttl time.Duration) time.Duration {
	if ttl == Forever {
		return 0
	}
	return ttl
}

const batch = 500 // keys that one SCAN looks at, and so one pipeline deletes

// deleteMatching unlinks the keys that a glob matches, and returns their number.
func (cache *Cache) deleteMatching(ctx context.Context, glob string) (int, error) {
	switch client := cache.client.(type) {
	case *redis.ClusterClient:
		return deleteOnEach(ctx, client.ForEachMaster, glob)
	case *redis.Ring:
		return deleteOnEach(ctx, client.ForEachShard, glob)
	}
	return deleteOn(ctx, cache.client, glob)
}

func deleteOn(ctx context.Context, client redis.Cmdable, glob string) (int, error) {
	deleted, cursor := 0, uint64(0)
	for {
		keys, next, err := client.Scan(ctx, cursor, glob, batch).Result()
		if err != nil {
			return deleted, err
		}
		unlinked, err := client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			for _, key := range keys { // one by one, as a cluster has them in several slots
				pipe.Unlink(ctx, key)
			}
			return nil
		})
		for _, each := range unlinked {
			deleted += int(each.(*redis.IntCmd).Val())
		}
		if err != nil {
			return deleted, err
		}
		if cursor = next; cursor == 0 {
			return deleted, nil
		}
	}
}

var globSpecial = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`)

func literal(text string) string { return globSpecial.Replace(text) }
