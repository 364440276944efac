package flaskcache

import (
	"context"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/redis/go-redis/v9"
)

// A Cache is the cache of one Flask app. It may be used by several goroutines.
type Cache struct {
	client  redis.Cmdable
	library Library
	prefix  string
	python  string
	msgpack bool
	plain   bool
	format  format
	err     error // of New's arguments
}

// An Option changes how a [Cache] computes keys or writes values.
type Option func(*Cache)

// Hash sets the app's hash_method or CACHE_HASH_METHOD: md5, sha1, sha224, sha256, sha384 or sha512.
func Hash(method string) Option {
	return func(cache *Cache) {
		switch {
		case hashes[method] == nil:
			cache.fail(wrong("there is no hash %q: use md5, sha1, sha224, sha256, sha384 or sha512", method))
		case !cache.library.hasQueries && method != cache.library.hash:
			cache.fail(wrong("%s has no hash_method: it hashes with MD5", cache.library.name))
		default:
			cache.library.hash = method
		}
	}
}

// Python tells the version of the app's Python, such as "3.12". Only keys with a [Keyword] depend on it.
func Python(version string) Option {
	return func(cache *Cache) {
		if _, err := minor(version); err != nil {
			cache.fail(err)
		}
		cache.python = version
	}
}

// Msgpack is for a msgpack listener of the proxy. Without it, values are JSON.
func Msgpack() Option { return func(cache *Cache) { cache.msgpack = true } }

// Plain is for a plain listener of the proxy. Values have no types of Python, and nothing can be written.
func Plain() Option { return func(cache *Cache) { cache.plain = true } }

// New returns the cache of an app. Prefix is its CACHE_KEY_PREFIX, "flask_cache_" where it sets none. The client belongs
// to the caller, who closes it. A wrong argument is an error of each method of the cache and its entries.
func New(client redis.Cmdable, library Library, prefix string, options ...Option) *Cache {
	cache := &Cache{client: client, library: library, prefix: prefix}
	cache.fail(clientDefect(client))
	switch {
	case library.name == "":
		cache.fail(wrong("New needs one of FlaskCache013, Caching24 and Caching25"))
	case defaultRepr.MatchString(prefix):
		cache.fail(wrong("only the app knows what a callable CACHE_KEY_PREFIX returns: give that text"))
	}
	for _, option := range options {
		if option != nil {
			option(cache)
		}
	}
	cache.format = jsonFormat{}
	if cache.msgpack {
		cache.format = msgpackFormat{}
	}
	if cache.plain {
		cache.format = plainFormat{cache.format}
	}
	return cache
}

func clientDefect(client redis.Cmdable) error {
	if client == nil || reflect.ValueOf(client).Kind() == reflect.Pointer && reflect.ValueOf(client).IsNil() {
		return wrong("New needs a client of go-redis")
	}
	if _, isPipeline := client.(redis.Pipeliner); isPipeline {
		return wrong("New needs a client that answers at once, not a pipeline: use Marshal and Unmarshal with pipelines")
	}
	return nil
}

// fail keeps the first error of New's arguments.
func (cache *Cache) fail(err error) {
	if cache.err == nil {
		cache.err = err
	}
}

// defect is the error of a cache that New did not make, or made of wrong arguments.
func (cache *Cache) defect() error {
	if cache == nil || cache.format == nil {
		return wrong("this cache is empty: New makes one")
	}
	return cache.err
}

// View is the entry of a view with @cache.cached(). Path is as in a URL, with its escapes and without a query.
func (cache *Cache) View(path string) Entry { return cache.KeyPrefix(viewPrefix).View(path) }

// Query is the entry of a view with @cache.cached(query_string=True). Path and query are as in a URL.
func (cache *Cache) Query(path, query string) Entry {
	return cache.KeyPrefix(viewPrefix).Query(path, query)
}

// Fragment is the entry of {% cache timeout, name, varyOn... %} in a template.
func (cache *Cache) Fragment(name string, varyOn ...string) Entry {
	if err := cache.defect(); err != nil {
		return Entry{err: err}
	}
	key, err := fragmentKey(cache.prefix, name, varyOn)
	return cache.entry(key, err)
}

// Memo is the entry of a call of a function with @cache.memoize(). Function is its module and its qualified name, such
// as "shop.total" or "shop.Cart.total". Args has one argument for each parameter, in the order of the parameters:
//
//   - a value, if the call passes one;
//   - a [Default], if the call leaves the parameter out;
//   - [Ignored], if args_to_ignore names it;
//   - [Self] or [Class] first, for a method or a class method;
//   - a [Keyword] last, for each keyword-only argument that the call passes.
func (cache *Cache) Memo(function string, args ...any) Entry {
	if err := cache.defect(); err != nil {
		return Entry{err: err}
	}
	made, err := newCall(cache.library, cache.python, function, args)
	entry := cache.entry("", err)
	entry.call = made
	return entry
}

// KeyPrefix is for views whose decorator has a key_prefix, such as "all_items" or "page_%s". A callable is an error.
func (cache *Cache) KeyPrefix(keyPrefix string) Views { return Views{cache, keyPrefix} }

// Views are the entries of views with one key_prefix.
type Views struct {
	cache     *Cache
	keyPrefix string
}

// View is the entry of a view. Path takes the place of %s in the key_prefix; without %s it is not used.
func (views Views) View(path string) Entry {
	if err := views.cache.defect(); err != nil {
		return Entry{err: err}
	}
	text, err := placed(views.keyPrefix, path)
	return views.cache.entry(views.cache.prefix+text, err)
}

// Query is the entry of a view with query_string=True. Up to Flask-Caching 2.4 such a view ignores its key_prefix.
func (views Views) Query(path, query string) Entry {
	cache := views.cache
	if err := cache.defect(); err != nil {
		return Entry{err: err}
	}
	if !cache.library.hasQueries {
		return cache.entry("", wrong("%s has no query_string=True: its key is that of the path alone (View)", cache.library.name))
	}
	keyPrefix := views.keyPrefix
	if cache.library.queryPrefix != "" {
		keyPrefix = cache.library.queryPrefix
	}
	text, err := placed(keyPrefix, path)
	if err != nil {
		return cache.entry("", err)
	}
	hash, err := queryHash(cache.library, query)
	entry := cache.entry(cache.prefix+text+hash, err)
	entry.all = literal(cache.prefix+text) + strings.Repeat("[0-9a-f]", len(hash))
	return entry
}

// InvalidatePrefix deletes all entries whose key begins with the app's prefix and this text, such as "view//blog/". It
// returns their number. An empty text is an error: use [Cache.InvalidateAll].
func (cache *Cache) InvalidatePrefix(ctx context.Context, text string) (int, error) {
	if err := withContext(ctx, cache.defect()); err != nil {
		return 0, err
	}
	if text == "" {
		return 0, wrong("InvalidatePrefix of an empty text would delete every entry: use InvalidateAll for that")
	}
	return cache.deleteMatching(ctx, literal(cache.prefix+text)+"*")
}

// InvalidateAll deletes all entries of the app, as its cache.clear() does. It returns their number.
func (cache *Cache) InvalidateAll(ctx context.Context) (int, error) {
	if err := withContext(ctx, cache.defect()); err != nil {
		return 0, err
	}
	if cache.prefix == "" {
		return 0, wrong("InvalidateAll without a prefix would delete every key of the database: use FLUSHDB for that")
	}
	return cache.deleteMatching(ctx, literal(cache.prefix)+"*")
}

// entry returns the entry of a key. The key is the error if it is not text, as no app has such a key.
func (cache *Cache) entry(key string, err error) Entry {
	if err == nil && !utf8.ValidString(key) {
		err = wrong("the key %q is not UTF-8", key)
	}
	return Entry{cache: cache, key: key, err: err}
}
