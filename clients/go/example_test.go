package flaskcache_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	flaskcache "github.com/flask-cache-proxy/flask-cache-proxy/clients/go"
	"github.com/redis/go-redis/v9"
)

// The examples need a proxy, whose address is in PROXY. Without one, none of them can run.
func TestMain(m *testing.M) {
	flag.Parse()
	if os.Getenv("PROXY") == "" {
		fmt.Fprintln(os.Stderr, "the examples are skipped: PROXY is not the address of a proxy's JSON port")
		if err := flag.Set("test.skip", "^Example"); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

var (
	ctx    = context.Background()
	client = redis.NewClient(&redis.Options{Addr: os.Getenv("PROXY")})
	cache  = flaskcache.New(client, flaskcache.Caching25, "flask_cache_")
)

func ExampleCache_View() {
	page := cache.View("/index")
	fmt.Println(page.Set(ctx, "<h1>Tea</h1>", time.Minute))
	fmt.Println(flaskcache.Get[string](ctx, page))
	fmt.Println(page.Key(ctx))
	fmt.Println(page.Invalidate(ctx))
	_, err := flaskcache.Get[string](ctx, page)
	fmt.Println(errors.Is(err, flaskcache.ErrMiss))
	// Output:
	// <nil>
	// <h1>Tea</h1> <nil>
	// flask_cache_view//index <nil>
	// <nil>
	// true
}

func ExampleCache_Query() {
	for _, query := range []string{"q=tea&page=1", "q=tea&page=2"} {
		fmt.Println(cache.Query("/search", query).Set(ctx, "<ul></ul>", time.Minute))
	}
	fmt.Println(cache.Query("/search", "").Invalidate(ctx)) // all queries of the path
	_, err := flaskcache.Get[string](ctx, cache.Query("/search", "page=1&q=tea"))
	fmt.Println(err)
	// Output:
	// <nil>
	// <nil>
	// <nil>
	// flaskcache: not in the cache: redis: nil
}

func ExampleCache_Memo() {
	type totals struct {
		Net   flaskcache.Decimal `json:"net"`
		Count int                `json:"count"`
	}
	// def total(order, currency="EUR")
	total := cache.Memo("shop.total", 7, flaskcache.Default{Value: "EUR"})
	fmt.Println(total.Set(ctx, totals{"9.90", 3}, time.Hour))
	fmt.Println(flaskcache.Get[totals](ctx, total))
	fmt.Println(total.Invalidate(ctx)) // as delete_memoized(total)
	fmt.Println(flaskcache.Get[totals](ctx, total))
	// Output:
	// <nil>
	// {9.90 3} <nil>
	// <nil>
	// { 0} flaskcache: not in the cache: redis: nil
}

func ExampleCache_Memo_method() {
	entry := cache.Memo("shop.Cart.total", flaskcache.Self("Cart(5)"), 1)
	fmt.Println(entry.Set(ctx, 2.5, time.Minute))
	fmt.Println(flaskcache.Get[float64](ctx, entry))
	fmt.Println(flaskcache.Get[int](ctx, entry))
	// Output:
	// <nil>
	// 2.5 <nil>
	// 0 flaskcache: $: Python float, want int
}

func ExampleCache_InvalidatePrefix() {
	for _, path := range []string{"/blog/1", "/blog/2", "/about"} {
		fmt.Println(cache.View(path).Set(ctx, "", time.Minute))
	}
	fmt.Println(cache.InvalidatePrefix(ctx, "view//blog/"))
	// Output:
	// <nil>
	// <nil>
	// <nil>
	// 2 <nil>
}

func ExampleCache_Marshal() {
	payload, err := cache.Marshal([]any{1, 2.0, []byte("tea"), flaskcache.Tuple{"a"}, flaskcache.Decimal("1.10")})
	fmt.Println(string(payload), err)
	// Output: [1,2.0,{"py/bytes":"dGVh"},{"py/tuple":["a"]},{"py/decimal":"1.10"}] <nil>
}

func ExampleEntry_Check() {
	fmt.Println(cache.View("/").Check(ctx))
	other := flaskcache.New(client, flaskcache.Caching25, "flask-cache-")
	fmt.Println(other.View("/").Check(ctx))
	// Output:
	// <nil>
	// flaskcache: the server stores any bytes under the key "flask-cache-view//": it is Redis itself, or the proxy has no rule for the prefix "flask-cache-"
}
