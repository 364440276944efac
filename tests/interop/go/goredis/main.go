// A go-redis producer at its ordinary work, through the proxy whose address is its first argument, in the protocol of
// its second. Prints what it wrote and saw as JSON; exits with 1 where anything is not as it should be.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"flask-cache-proxy/interop/internal/report"

	"github.com/redis/go-redis/v9"
)

type product struct {
	Name  string   `json:"name"`
	Price float64  `json:"price"`
	Tags  []string `json:"tags"`
}

var (
	check, expect, encoded = report.Check, report.Expect, report.Encoded

	done   = report.New()
	sample = product{"Tea ☃", 2.5, []string{"hot", "green"}}
	prefix string
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	protocol, err := strconv.Atoi(os.Args[2])
	check(err)
	prefix = fmt.Sprintf("flask_cache_go%d:", protocol)
	client := redis.NewClient(&redis.Options{Addr: os.Args[1], Protocol: protocol})
	defer client.Close()

	hello, err := client.Do(ctx, "HELLO").Result()
	check(err)
	if protocol == 3 {
		expect(hello.(map[any]any)["proto"] == int64(3), "RESP3")
	}
	values(ctx, client)
	options(ctx, client)
	several(ctx, client)
	transaction(ctx, client)
	misses(ctx, client)
	errorsAreErrors(ctx, client)
	producers(ctx, client)
	large(ctx, client)
	counters(ctx, client)
	scan(ctx, client)
	subscribe(ctx, client)

	done.Seen["from_flask"], err = client.MGet(ctx, "flask_cache_from_flask", "flask_cache_counter").Result()
	check(err)
	done.Seen["view"] = client.Get(ctx, "flask_cache_view//index").Val()
	done.Print()
}

func values(ctx context.Context, client *redis.Client) {
	key := prefix + "set"
	check(client.Set(ctx, key, encoded(sample), time.Minute).Err())
	done.Write(key, encoded(sample))
	text, err := client.Get(ctx, key).Result()
	check(err)
	var got product
	check(json.Unmarshal([]byte(text), &got))
	expect(encoded(got) == encoded(sample), "what was written is read", text)
	ttl := client.TTL(ctx, key).Val()
	expect(ttl > 0 && ttl <= time.Minute, "TTL")

	key = prefix + "setnx"
	created, err := client.SetNX(ctx, key, "[1,2]", time.Minute).Result()
	check(err)
	expect(created, "SetNX creates")
	created, err = client.SetNX(ctx, key, `"late"`, time.Minute).Result()
	check(err)
	expect(!created, "SetNX leaves what is there")
	done.Write(key, "[1,2]")
}

func options(ctx context.Context, client *redis.Client) {
	key := prefix + "options"
	old := client.SetArgs(ctx, key, `"a"`, redis.SetArgs{Mode: "XX"})
	expect(errors.Is(old.Err(), redis.Nil), "XX creates nothing", old.Err())
	old = client.SetArgs(ctx, key, `"a"`, redis.SetArgs{Mode: "NX", TTL: time.Minute})
	expect(old.Val() == "OK", "NX creates", old)
	old = client.SetArgs(ctx, key, `["b"]`, redis.SetArgs{Get: true, KeepTTL: true})
	expect(old.Val() == `"a"`, "Get gives what was there", old)
	expect(client.TTL(ctx, key).Val() > 0, "KeepTTL keeps it")
	expect(client.GetEx(ctx, key, time.Hour).Val() == `["b"]`, "GetEx gives the value")
	expect(client.TTL(ctx, key).Val() > time.Minute, "GetEx sets an expiry")
	expect(client.GetSet(ctx, key, "null").Val() == `["b"]`, "GetSet")
	expect(client.GetDel(ctx, key).Val() == "null", "GetDel gives the value")
	expect(client.Exists(ctx, key).Val() == 0, "GetDel deletes it")
}

func several(ctx context.Context, client *redis.Client) {
	one, two, raw := prefix+"mset1", prefix+"mset2", "raw:"+prefix
	check(client.MSet(ctx, one, "1", two, `"two"`, raw, "\x00\xff").Err())
	seen, err := client.MGet(ctx, one, "none", two, raw).Result()
	check(err)
	expect(seen[0] == "1" && seen[1] == nil && seen[2] == `"two"` && seen[3] == "\x00\xff", "MGet", seen)
	expect(client.Incr(ctx, one).Val() == 2, "Incr counts on what was written")
	done.Write(one, "2")
	done.Write(two, `"two"`)
}

func transaction(ctx context.Context, client *redis.Client) {
	key, raw := prefix+"{tx}", "raw:{tx}:"+prefix // one slot, for clusters
	replies, err := client.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.Set(ctx, key, `["a"]`, time.Minute)
		pipe.Get(ctx, key)
		pipe.MGet(ctx, key, raw)
		pipe.Set(ctx, raw, "not JSON", 0)
		pipe.Get(ctx, raw)
		return nil
	})
	check(err)
	expect(replies[1].(*redis.StringCmd).Val() == `["a"]`, "a Get inside MULTI is decoded")
	expect(replies[2].(*redis.SliceCmd).Val()[0] == `["a"]`, "and so is an MGet")
	expect(replies[4].(*redis.StringCmd).Val() == "not JSON", "what is not managed passes")
	done.Write(key, `["a"]`)
	_, err = client.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.Set(ctx, key, `"never"`, 0)
		pipe.Set(ctx, key, "{nope", 0)
		return nil
	})
	expect(err != nil && strings.Contains(err.Error(), "EXECABORT"), "a bad payload aborts a transaction", err)
}

func misses(ctx context.Context, client *redis.Client) {
	for _, key := range []string{"none", prefix + "none"} {
		expect(errors.Is(client.Get(ctx, key).Err(), redis.Nil), "a miss is redis.Nil")
		expect(errors.Is(client.GetDel(ctx, key).Err(), redis.Nil), "a miss of GetDel is redis.Nil")
		expect(errors.Is(client.GetEx(ctx, key, time.Minute).Err(), redis.Nil), "a miss of GetEx is redis.Nil")
	}
}

func errorsAreErrors(ctx context.Context, client *redis.Client) {
	err := client.Set(ctx, prefix+"bad", "{nope", 0).Err()
	expect(err != nil && strings.HasPrefix(err.Error(), "ERR flask-cache-proxy: "), "a bad payload is an error", err)
	expect(errors.Is(client.Get(ctx, prefix+"bad").Err(), redis.Nil), "it stores nothing")
	err = client.HSet(ctx, prefix+"hash", "field", "value").Err()
	expect(err != nil && strings.Contains(err.Error(), "HSET is refused"), "another type is refused", err)
}

// producers write and read keys of their own, all at once, one by one and in pipelines.
func producers(ctx context.Context, client *redis.Client) {
	report.Together(16, func(number int) {
		for round := range 10 {
			key := fmt.Sprintf("%sown:%d:%d", prefix, number, round)
			payload := encoded(map[string]int{"producer": number, "round": round})
			check(client.Set(ctx, key, payload, time.Minute).Err())
			got, err := client.Get(ctx, key).Result()
			check(err)
			expect(got == payload, "a producer reads its own", got)
			done.Write(key, payload)
		}
		key := func(n int) string { return fmt.Sprintf("%spipe:%d:%d", prefix, number, n) }
		replies, err := client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			for n := range 50 {
				pipe.Set(ctx, key(n), encoded([]int{number, n}), time.Minute)
				pipe.Get(ctx, key(n))
			}
			return nil
		})
		check(err)
		for n := range 50 {
			got := replies[2*n+1].(*redis.StringCmd).Val()
			expect(got == encoded([]int{number, n}), "a pipeline's replies are in order", got)
			done.Write(key(n), got)
		}
	})
}

// large values are converted off the proxy's event loop: nobody's small ones overtake them on the same connection.
func large(ctx context.Context, client *redis.Client) {
	report.Together(4, func(number int) {
		key := fmt.Sprintf("%slarge:%d", prefix, number)
		payload := encoded(strings.Repeat(fmt.Sprintf("☃%d", number), 50_000))
		replies, err := client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			pipe.Set(ctx, key, payload, time.Minute)
			pipe.Set(ctx, key+":small", encoded(number), time.Minute)
			pipe.Get(ctx, key)
			pipe.Get(ctx, key+":small")
			return nil
		})
		check(err)
		expect(replies[2].(*redis.StringCmd).Val() == payload, "a large value is read as it was written")
		expect(replies[3].(*redis.StringCmd).Val() == encoded(number), "and a small one behind it")
		done.Write(key+":small", encoded(number))
	})
}

// counters change one value with optimistic locking, in each other's way.
func counters(ctx context.Context, client *redis.Client) {
	key := prefix + "watched"
	check(client.Set(ctx, key, `{"n":0}`, 0).Err())
	report.Together(4, func(int) {
		for range 5 {
			for increment(ctx, client, key) != nil {
			}
		}
	})
	got := client.Get(ctx, key).Val()
	expect(got == `{"n":20}`, "no update is lost", got)
	done.Write(key, got)
}

func increment(ctx context.Context, client *redis.Client, key string) error {
	err := client.Watch(ctx, func(tx *redis.Tx) error {
		var value struct {
			N int `json:"n"`
		}
		check(json.Unmarshal([]byte(tx.Get(ctx, key).Val()), &value))
		value.N++
		_, err := tx.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
			pipe.Set(ctx, key, encoded(value), 0)
			return nil
		})
		return err
	}, key)
	if !errors.Is(err, redis.TxFailedErr) {
		check(err)
	}
	return err
}

func scan(ctx context.Context, client *redis.Client) {
	found := map[string]bool{}
	for each := client.Scan(ctx, 0, prefix+"pipe:*", 100).Iterator(); each.Next(ctx); {
		found[each.Val()] = true
	}
	expect(len(found) == 16*50, "Scan finds every key", len(found))
}

func subscribe(ctx context.Context, client *redis.Client) {
	listener := client.Subscribe(ctx, prefix+"news")
	defer listener.Close()
	check(listener.PSubscribe(ctx, prefix+"p*"))
	for range 2 {
		_, err := listener.Receive(ctx)
		check(err)
	}
	for n := range 20 {
		check(client.Publish(ctx, prefix+"news", strconv.Itoa(n)).Err())
		check(client.Publish(ctx, prefix+"patterns", strconv.Itoa(n)).Err())
		for _, pattern := range []string{"", prefix + "p*"} {
			message, err := listener.ReceiveMessage(ctx)
			check(err)
			expect(message.Payload == strconv.Itoa(n) && message.Pattern == pattern, "messages come in order", message)
		}
	}
}
