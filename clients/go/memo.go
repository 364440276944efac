package flaskcache

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

const attempts = 3 // to store a result under a version that stays the same meanwhile

// version reads the versions of a memoized function, in a row. ErrMiss: one is missing.
func (entry Entry) version(ctx context.Context) (string, error) {
	var joined strings.Builder
	for _, key := range versionKeys(entry.cache.library, entry.cache.prefix, entry.call) {
		payload, err := entry.cache.client.Get(ctx, key).Bytes()
		if errors.Is(err, redis.Nil) {
			return "", ErrMiss
		}
		if err != nil {
			return "", err
		}
		version, err := Unmarshal[string](entry.cache, payload)
		if found := (*TypeError)(nil); errors.As(err, &found) {
			return "", wrong("the version of %s is no text but a Python %s, so the app runs it uncached: delete the key %q",
				entry.call.function, found.Python, key)
		}
		if err != nil {
			return "", err
		}
		joined.WriteString(version)
	}
	return joined.String(), nil
}

// setMemo stores a result under the version, and makes the version live as long.
func (entry Entry) setMemo(ctx context.Context, payload []byte, ttl time.Duration) error {
	for range attempts {
		version, err := entry.madeVersion(ctx, ttl)
		if errors.Is(err, ErrMiss) { // it was deleted as soon as it was made
			continue
		}
		if err != nil {
			return err
		}
		key := resultKey(entry.cache.library, entry.cache.prefix, entry.call, version)
		if err := entry.cache.client.Set(ctx, key, payload, expiry(ttl)).Err(); err != nil {
			return err
		}
		for _, name := range versionKeys(entry.cache.library, entry.cache.prefix, entry.call) {
			if err := prolong(ctx, entry.cache.client, name, ttl); err != nil {
				return err
			}
		}
		switch now, err := entry.version(ctx); {
		case err == nil && now == version:
			return nil
		case err != nil && !errors.Is(err, ErrMiss):
			return err
		}
		if err := entry.cache.client.Del(ctx, key).Err(); err != nil { // nobody looks under that version any more
			return err
		}
	}
	return ErrVersion
}

// madeVersion reads the version, and makes what is missing of it.
func (entry Entry) madeVersion(ctx context.Context, ttl time.Duration) (string, error) {
	version, err := entry.version(ctx)
	if !errors.Is(err, ErrMiss) {
		return version, err
	}
	for _, key := range versionKeys(entry.cache.library, entry.cache.prefix, entry.call) {
		payload, err := encode(entry.cache.format, newVersion())
		if err != nil {
			return "", err
		}
		if err := entry.cache.client.SetNX(ctx, key, payload, expiry(ttl)).Err(); err != nil {
			return "", err
		}
	}
	return entry.version(ctx)
}

// newVersion is six random characters of base64, as the libraries make them.
func newVersion() string {
	var random [5]byte
	_, _ = rand.Read(random[:]) // never fails
	return base64.StdEncoding.EncodeToString(random[:])[:6]
}

// prolong makes a key live at least for a time. It never shortens a TTL.
func prolong(ctx context.Context, client redis.Cmdable, key string, ttl time.Duration) error {
	if ttl == Forever {
		return client.Persist(ctx, key).Err()
	}
	whole := ttl.Truncate(time.Second) // EXPIRE takes seconds
	if whole < ttl && whole <= Forever-time.Second {
		whole += time.Second
	}
	err := client.ExpireGT(ctx, key, whole).Err()
	if err == nil || !lacksGT(err) {
		return err
	}
	left, err := client.PTTL(ctx, key).Result()
	if err != nil || left < 0 || left >= ttl {
		return err
	}
	return client.Expire(ctx, key, whole).Err()
}

// lacksGT reports whether a server refuses GT, which Redis has since 7.0.
func lacksGT(err error) bool {
	return strings.Contains(err.Error(), "wrong number of arguments") || strings.Contains(err.Error(), "Unsupported option")
}
