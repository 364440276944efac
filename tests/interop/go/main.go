// An ordinary go-redis producer: writes and reads through the proxy whose address is its first argument, and reads
// what Flask has cached by itself. Prints what it saw as JSON; exits with 1 where anything is not as it should be.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

type product struct {
	Name  string   `json:"name"`
	Price float64  `json:"price"`
	Tags  []string `json:"tags"`
}

var sample = product{"Tea ☃", 2.5, []string{"hot", "green"}}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func expect(holds bool, what string) {
	if !holds {
		check(errors.New("not so: " + what))
	}
}

func encoded(value any) string {
	text, err := json.Marshal(value)
	check(err)
	return string(text)
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	client := redis.NewClient(&redis.Options{Addr: os.Args[1]}) // RESP3, as by default
	defer client.Close()

	write(ctx, client)
	read(ctx, client)
	misses(ctx, client)
	errorsAreErrors(ctx, client)
	subscribe(ctx, client)

	fromFlask, err := client.MGet(ctx, "flask_cache_from_flask", "flask_cache_counter").Result()
	check(err)
	fmt.Println(encoded(map[string]any{"from_flask": fromFlask, "view": client.Get(ctx, "flask_cache_view//index").Val()}))
}

func write(ctx context.Context, client *redis.Client) {
	check(client.Set(ctx, "flask_cache_go:set", encoded(sample), time.Minute).Err())
	check(client.Set(ctx, "flask_cache_go:forever", encoded("forever"), 0).Err())
	created, err := client.SetNX(ctx, "flask_cache_go:setnx", encoded([]int{1, 2}), time.Minute).Result()
	check(err)
	expect(created, "SetNX creates")
	created, err = client.SetNX(ctx, "flask_cache_go:setnx", encoded("late"), time.Minute).Result()
	check(err)
	expect(!created, "SetNX leaves what is there")
	check(client.MSet(ctx, "flask_cache_go:mset1", encoded(1), "flask_cache_go:mset2", encoded("two"), "raw", "\x00\xff").Err())
	_, err = client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for number := range 100 {
			pipe.Set(ctx, fmt.Sprintf("flask_cache_go:pipe%d", number), encoded(map[string]int{"n": number}), time.Minute)
		}
		return nil
	})
	check(err)
	replies, err := client.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.Set(ctx, "flask_cache_go:tx", encoded([]string{"a"}), time.Minute)
		pipe.Get(ctx, "flask_cache_go:tx")
		pipe.Incr(ctx, "flask_cache_go:mset1")
		return nil
	})
	check(err)
	expect(replies[1].(*redis.StringCmd).Val() == `["a"]`, "a Get inside MULTI is decoded")
	expect(replies[2].(*redis.IntCmd).Val() == 2, "Incr counts on what was written")
}

func read(ctx context.Context, client *redis.Client) {
	text, err := client.Get(ctx, "flask_cache_go:set").Result()
	check(err)
	var got product
	check(json.Unmarshal([]byte(text), &got))
	expect(encoded(got) == encoded(sample), "what was written is read")
	values, err := client.MGet(ctx, "flask_cache_go:mset1", "none", "flask_cache_go:mset2", "raw").Result()
	check(err)
	expect(values[0] == "2" && values[1] == nil && values[2] == `"two"` && values[3] == "\x00\xff", "MGet")
	expect(client.Get(ctx, "flask_cache_go:pipe99").Val() == `{"n":99}`, "what a pipeline wrote")
	old, err := client.GetSet(ctx, "flask_cache_go:forever", encoded("new")).Result()
	check(err)
	expect(old == `"forever"`, "GetSet")
	expect(client.GetDel(ctx, "flask_cache_go:forever").Val() == `"new"`, "GetDel")
	ttl := client.TTL(ctx, "flask_cache_go:set").Val()
	expect(ttl > 0 && ttl <= time.Minute, "TTL")
	hello, err := client.Do(ctx, "HELLO").Result()
	check(err)
	expect(hello.(map[any]any)["proto"] == int64(3), "RESP3")
}

func misses(ctx context.Context, client *redis.Client) {
	for _, key := range []string{"none", "flask_cache_none"} {
		expect(errors.Is(client.Get(ctx, key).Err(), redis.Nil), "a miss is redis.Nil")
		expect(errors.Is(client.GetDel(ctx, key).Err(), redis.Nil), "a miss of GetDel is redis.Nil")
	}
}

func errorsAreErrors(ctx context.Context, client *redis.Client) {
	err := client.Set(ctx, "flask_cache_go:bad", "{nope", 0).Err()
	expect(err != nil && strings.HasPrefix(err.Error(), "ERR flask-cache-proxy: "), "a bad payload is an error")
	expect(errors.Is(client.Get(ctx, "flask_cache_go:bad").Err(), redis.Nil), "it stores nothing")
	err = client.HSet(ctx, "flask_cache_go:hash", "field", "value").Err()
	expect(err != nil && strings.Contains(err.Error(), "HSET is refused"), "another type is refused")
}

func subscribe(ctx context.Context, client *redis.Client) {
	listener := client.Subscribe(ctx, "news")
	defer listener.Close()
	_, err := listener.Receive(ctx)
	check(err)
	check(client.Publish(ctx, "news", "hello").Err())
	message, err := listener.ReceiveMessage(ctx)
	check(err)
	expect(message.Payload == "hello", "a message arrives")
}
