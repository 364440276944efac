// Command flaskcache does with the Go client what it is told, line by line: see tests/interop/client_libraries.py.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/flask-cache-proxy/flask-cache-proxy/clients/go"
	"github.com/redis/go-redis/v9"
)

type request struct {
	Library   string
	Prefix    string
	Hash      string
	Python    string
	KeyPrefix *string `json:"key_prefix"`
	Entry     []json.RawMessage
	To        []json.RawMessage
	Op        string
	Value     json.RawMessage
	TTL       *float64
	Want      string
	Text      string
}

var libraries = map[string]flaskcache.Library{
	"flask-cache": flaskcache.FlaskCache013, "flask-caching-2.4": flaskcache.Caching24,
	"flask-caching-2.5": flaskcache.Caching25,
}

func main() {
	address, payload, variant := os.Args[1], os.Args[2], os.Args[3]
	client := connected(address, variant)
	defer client.Close()
	lines := bufio.NewReader(os.Stdin)
	answers := json.NewEncoder(os.Stdout)
	answers.SetEscapeHTML(false)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		if err := answers.Encode(answered(client, payload, line)); err != nil {
			panic(err)
		}
	}
}

func connected(address, variant string) redis.UniversalClient {
	switch variant {
	case "cluster":
		return redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{address}, MaxRedirects: 1})
	case "ring":
		return redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"one": address}})
	}
	options := redis.Options{Addr: address, Protocol: 2}
	if strings.HasPrefix(address, "/") {
		options.Network = "unix"
	}
	if variant == "RESP3" {
		options.Protocol = 3
	}
	return redis.NewClient(&options)
}

// answered does one request.
func answered(client redis.Cmdable, payload string, line []byte) map[string]any {
	asked := request{Prefix: "flask_cache_"}
	if err := json.Unmarshal(line, &asked); err != nil {
		panic(err)
	}
	answer, err := asked.done(context.Background(), asked.cache(client, payload))
	switch {
	case errors.Is(err, flaskcache.ErrMiss):
		return map[string]any{"miss": true}
	case err != nil:
		return map[string]any{"error": err.Error()}
	}
	return map[string]any{"answer": answer}
}

func (asked request) cache(client redis.Cmdable, payload string) *flaskcache.Cache {
	var options []flaskcache.Option
	if strings.HasSuffix(payload, "msgpack") {
		options = append(options, flaskcache.Msgpack())
	}
	if strings.HasPrefix(payload, "plain") {
		options = append(options, flaskcache.Plain())
	}
	if asked.Hash != "" {
		options = append(options, flaskcache.Hash(asked.Hash))
	}
	if asked.Python != "" {
		options = append(options, flaskcache.Python(asked.Python))
	}
	return flaskcache.New(client, libraries[asked.Library], asked.Prefix, options...)
}

func (asked request) done(ctx context.Context, cache *flaskcache.Cache) (any, error) {
	switch asked.Op {
	case "invalidate_prefix":
		return cache.InvalidatePrefix(ctx, asked.Text)
	case "invalidate_all":
		return cache.InvalidateAll(ctx)
	}
	entry := asked.entry(cache, asked.Entry)
	switch asked.Op {
	case "key":
		return entry.Key(ctx)
	case "get":
		return gets[asked.Want](ctx, entry)
	case "set":
		return nil, entry.Set(ctx, natural(asked.Value), asked.ttl())
	case "copy":
		value, err := flaskcache.Get[any](ctx, entry)
		if err != nil {
			return nil, err
		}
		return nil, asked.entry(cache, asked.To).Set(ctx, value, asked.ttl())
	case "check":
		return nil, entry.Check(ctx)
	case "delete":
		return nil, entry.Delete(ctx)
	case "invalidate":
		return nil, entry.Invalidate(ctx)
	}
	panic(asked.Op)
}

func (asked request) ttl() time.Duration {
	if asked.TTL == nil {
		return flaskcache.Forever
	}
	return time.Duration(*asked.TTL * float64(time.Second))
}

// entry returns an entry by its kind and arguments.
func (asked request) entry(cache *flaskcache.Cache, parts []json.RawMessage) flaskcache.Entry {
	args := parts[1:]
	switch kind := text(parts[0]); kind {
	case "view":
		if asked.KeyPrefix != nil {
			return cache.KeyPrefix(*asked.KeyPrefix).View(text(args[0]))
		}
		return cache.View(text(args[0]))
	case "query":
		if asked.KeyPrefix != nil {
			return cache.KeyPrefix(*asked.KeyPrefix).Query(text(args[0]), text(args[1]))
		}
		return cache.Query(text(args[0]), text(args[1]))
	case "fragment":
		var varyOn []string
		for _, arg := range args[1:] {
			varyOn = append(varyOn, text(arg))
		}
		return cache.Fragment(text(args[0]), varyOn...)
	case "memo":
		var passed []any
		for _, arg := range args[1:] {
			passed = append(passed, argument(arg))
		}
		return cache.Memo(text(args[0]), passed...)
	default:
		panic(kind)
	}
}

// argument returns an argument of Memo: a value in a list of one, or one of the markers.
func argument(written json.RawMessage) any {
	var parts []json.RawMessage
	must(json.Unmarshal(written, &parts))
	if len(parts) == 1 {
		return natural(parts[0])
	}
	switch kind := text(parts[0]); kind {
	case "default":
		return flaskcache.Default{Value: natural(parts[1])}
	case "ignored":
		return flaskcache.Ignored
	case "self":
		return flaskcache.Self(text(parts[1]))
	case "class":
		return flaskcache.Class(text(parts[1]))
	case "keyword":
		return flaskcache.Keyword{Name: text(parts[1]), Value: natural(parts[2])}
	default:
		panic(kind)
	}
}

func text(written json.RawMessage) string {
	var text string
	must(json.Unmarshal(written, &text))
	return text
}

var values = flaskcache.New(redis.NewClient(&redis.Options{}), flaskcache.Caching25, "")

// natural returns a value with tags as the client's own types.
func natural(written json.RawMessage) any {
	value, err := flaskcache.Unmarshal[any](values, written)
	must(err)
	return value
}

// gets are Get for each type that a test wants. "" shows the value as JSON with tags.
var gets = map[string]func(context.Context, flaskcache.Entry) (any, error){
	"":      get[any],
	"bool":  get[bool],
	"int":   get[int64],
	"float": get[float64],
	"text":  get[string],
	"bytes": get[[]byte],
	"list":  get[[]any],
	"dict":  get[map[string]any],
	"time":  get[time.Time],
}

func get[T any](ctx context.Context, entry flaskcache.Entry) (any, error) {
	value, err := flaskcache.Get[T](ctx, entry)
	if err != nil {
		return nil, err
	}
	payload, err := values.Marshal(value)
	return json.RawMessage(payload), err
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
