// Package flaskcache reads and fills the Redis cache of a Flask app, through flask-cache-proxy.
//
// It computes the keys that the app's cache library looks up, keeps the types of Python, and invalidates entries as the
// app does. The client is an ordinary go-redis client of the proxy's JSON or msgpack port:
//
//	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:6380"})
//	cache := flaskcache.New(client, flaskcache.Caching25, "shop_")
//	err := cache.View("/index").Set(ctx, "<h1>Hello</h1>", time.Minute)
//	page, err := flaskcache.Get[string](ctx, cache.View("/index"))
//
// No function panics on a wrong argument. An [Entry] keeps its error and returns it from each of its methods.
package flaskcache
