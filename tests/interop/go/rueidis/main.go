// A rueidis producer at its ordinary work, through the proxy whose address is its first argument: what its goroutines
// ask is pipelined by itself, and what it reads may be cached in the program until Redis says that it has changed.
// Its second argument is the protocol. Its third, `single`, makes it an ordinary client in front of a cluster. With `stay`
// or `stay-caching` there are several clients, which stay.
// Prints what it wrote and saw as JSON; exits with 1 where anything is not as it should be.
package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"flask-cache-proxy/interop/internal/report"

	"github.com/redis/rueidis"
)

var (
	check, expect, encoded = report.Check, report.Expect, report.Encoded

	done    = report.New()
	changed = make(chan string, 1024) // keys that Redis says have changed
	prefix  string
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	prefix = "flask_cache_rueidis" + os.Args[2] + ":"
	resp2 := os.Args[2] == "2"
	how := strings.Join(os.Args[3:], "")
	if strings.HasPrefix(how, "stay") {
		stay(ctx, resp2, how == "stay-caching")
		return
	}
	single := how == "single"
	cacheless := resp2 || single
	client := connect(rueidis.ClientOption{
		AlwaysRESP2: resp2, DisableCache: cacheless, ForceSingleClient: single, OnInvalidations: note,
	})
	defer client.Close()

	producers(ctx, client, prefix)
	together(ctx, client, prefix)
	errorsAreErrors(ctx, client)
	dedicated(ctx, client)
	subscribe(ctx, client)
	if !cacheless {
		changedByFlask(ctx, client)
		another := connect(rueidis.ClientOption{DisableCache: true})
		defer another.Close()
		changedByAnother(ctx, client, another, prefix)
		severalCached(ctx, client, prefix)
		broadcast(ctx)
	}

	seen, err := client.Do(ctx, client.B().Mget().Key("flask_cache_from_flask", "flask_cache_counter").Build()).AsStrSlice()
	check(err)
	done.Seen["from_flask"] = seen
	done.Seen["view"] = get(ctx, client, "flask_cache_view//index")
	done.Print()
}

func connect(option rueidis.ClientOption) rueidis.Client {
	option.InitAddress = []string{os.Args[1]}
	client, err := rueidis.NewClient(option)
	check(err)
	return client
}

func note(keys []rueidis.RedisMessage) {
	for _, message := range keys {
		key, err := message.ToString()
		check(err)
		changed <- key
	}
}

func set(ctx context.Context, client rueidis.Client, key, payload string) {
	check(client.Do(ctx, client.B().Set().Key(key).Value(payload).Ex(time.Minute).Build()).Error())
	done.Write(key, payload)
}

func get(ctx context.Context, client rueidis.Client, key string) string {
	payload, err := client.Do(ctx, client.B().Get().Key(key).Build()).ToString()
	check(err)
	return payload
}

// producers write and read keys of their own, all at once.
func producers(ctx context.Context, client rueidis.Client, prefix string) {
	report.Together(64, func(number int) {
		for round := range 20 {
			key := fmt.Sprintf("%sown:%d:%d", prefix, number, round)
			payload := encoded(map[string]int{"producer": number, "round": round})
			set(ctx, client, key, payload)
			got := get(ctx, client, key)
			expect(got == payload, "a producer reads its own", got)
		}
	})
}

// together sends many commands at once.
func together(ctx context.Context, client rueidis.Client, prefix string) {
	key := func(n int) string { return fmt.Sprintf("%smulti:%d", prefix, n) }
	var commands rueidis.Commands
	for n := range 100 {
		commands = append(commands,
			client.B().Set().Key(key(n)).Value(encoded([]int{n})).Nx().Build(),
			client.B().Get().Key(key(n)).Build(),
			client.B().Set().Key("raw:"+key(n)).Value("not JSON").Build(),
			client.B().Get().Key(prefix+"none").Build(),
		)
	}
	replies := client.DoMulti(ctx, commands...)
	for n := range 100 {
		check(replies[4*n].Error())
		got, err := replies[4*n+1].ToString()
		check(err)
		expect(got == encoded([]int{n}), "DoMulti's replies are in order", got)
		check(replies[4*n+2].Error())
		expect(rueidis.IsRedisNil(replies[4*n+3].Error()), "a miss is nil")
		done.Write(key(n), got)
	}
	mget := client.B().Mget().Key(key(0), "raw:"+key(0), key(1)).Build()
	payloads, err := client.Do(ctx, mget).AsStrSlice()
	check(err)
	expect(strings.Join(payloads, " ") == "[0] not JSON [1]", "MGET", payloads)
}

func errorsAreErrors(ctx context.Context, client rueidis.Client) {
	err := client.Do(ctx, client.B().Set().Key(prefix+"bad").Value("{nope").Build()).Error()
	expect(err != nil && strings.Contains(err.Error(), "flask-cache-proxy: "), "a bad payload is an error", err)
	err = client.Do(ctx, client.B().Lpush().Key(prefix+"list").Element("a").Build()).Error()
	expect(err != nil && strings.Contains(err.Error(), "LPUSH is refused"), "another type is refused", err)
}

// dedicated connections change one value with optimistic locking, in each other's way.
func dedicated(ctx context.Context, client rueidis.Client) {
	key := prefix + "watched"
	set(ctx, client, key, "[0]")
	report.Together(4, func(int) {
		for range 5 {
			for !increment(ctx, client, key) {
			}
		}
	})
	got := get(ctx, client, key)
	expect(got == "[20]", "no update is lost", got)
	done.Write(key, got)
}

func increment(ctx context.Context, client rueidis.Client, key string) (counted bool) {
	check(client.Dedicated(func(own rueidis.DedicatedClient) error {
		check(own.Do(ctx, own.B().Watch().Key(key).Build()).Error())
		payload, err := own.Do(ctx, own.B().Get().Key(key).Build()).ToString()
		check(err)
		number, err := strconv.Atoi(strings.Trim(payload, "[]"))
		check(err)
		replies := own.DoMulti(ctx,
			own.B().Multi().Build(),
			own.B().Set().Key(key).Value(encoded([]int{number + 1})).Build(),
			own.B().Get().Key(key).Build(),
			own.B().Exec().Build(),
		)
		results, err := replies[3].ToArray()
		if rueidis.IsRedisNil(err) {
			return nil
		}
		check(err)
		got, err := results[1].ToString()
		check(err)
		expect(got == encoded([]int{number + 1}), "a Get inside MULTI is decoded", got)
		counted = true
		return nil
	}))
	return counted
}

func subscribe(ctx context.Context, client rueidis.Client) {
	heard := make(chan string, 100)
	ready := make(chan rueidis.PubSubSubscription, 1)
	own, cancel := context.WithCancel(ctx)
	ended := make(chan error)
	go func() {
		told := rueidis.WithOnSubscriptionHook(own, func(subscription rueidis.PubSubSubscription) { ready <- subscription })
		ended <- client.Receive(told, client.B().Subscribe().Channel(prefix+"news").Build(), func(message rueidis.PubSubMessage) {
			heard <- message.Message
		})
	}()
	expect((<-ready).Kind == "subscribe", "a subscription is confirmed")
	for n := range 20 {
		check(client.Do(ctx, client.B().Publish().Channel(prefix+"news").Message(strconv.Itoa(n)).Build()).Error())
		got := <-heard
		expect(got == strconv.Itoa(n), "messages come in order", got)
	}
	cancel()
	<-ended
}

// cached reads a key through the program's own cache: the payload, and whether it was there.
func cached(ctx context.Context, client rueidis.Client, key string) (string, bool) {
	reply := client.DoCache(ctx, client.B().Get().Key(key).Cache(), time.Minute)
	payload, err := reply.ToString()
	check(err)
	return payload, reply.IsCacheHit()
}

func await(key string) {
	for <-changed != key {
	}
}

func readTwice(ctx context.Context, client rueidis.Client, key, wanted string) {
	for _, cachedBefore := range []bool{false, true} {
		payload, hit := cached(ctx, client, key)
		expect(payload == wanted && hit == cachedBefore, "it is cached once it has been read", payload, hit, wanted)
	}
}

func changedByFlask(ctx context.Context, client rueidis.Client) {
	key, answer := prefix+"by-flask", "answer:"+prefix
	set(ctx, client, key, `"before"`)
	readTwice(ctx, client, key, `"before"`)
	for round := range 3 {
		value := []int{round}
		order := report.Order(key, value, answer)
		check(client.Do(ctx, client.B().Rpush().Key("orders").Element(order).Build()).Error())
		check(client.Do(ctx, client.B().Blpop().Key(answer).Timeout(30).Build()).Error())
		await(key)
		readTwice(ctx, client, key, encoded(value))
		done.Write(key, encoded(value))
	}
}

func changedByAnother(ctx context.Context, client, another rueidis.Client, prefix string) {
	report.Together(8, func(number int) {
		set(ctx, client, fmt.Sprintf("%sby-another:%d", prefix, number), `"before"`)
	})
	for number := range 8 {
		key := fmt.Sprintf("%sby-another:%d", prefix, number)
		readTwice(ctx, client, key, `"before"`)
		set(ctx, another, key, encoded(number))
		await(key)
		readTwice(ctx, client, key, encoded(number))
	}
}

func severalCached(ctx context.Context, client rueidis.Client, prefix string) {
	keys := []string{prefix + "by-another:0", prefix + "multi:1", prefix + "none"}
	for range 2 {
		messages, err := rueidis.MGetCache(client, ctx, time.Minute, keys)
		check(err)
		first, second, none := messages[keys[0]], messages[keys[1]], messages[keys[2]]
		one, err := first.ToString()
		check(err)
		two, err := second.ToString()
		check(err)
		expect(one == "0" && two == "[1]" && none.IsNil(), "MGetCache", one, two)
	}
}

// broadcast hears of every managed key that changes, without having read it.
func broadcast(ctx context.Context) {
	client := connect(rueidis.ClientOption{
		ClientTrackingOptions: []string{"PREFIX", prefix, "BCAST"},
		OnInvalidations:       note,
	})
	defer client.Close()
	for number := range 8 {
		key := fmt.Sprintf("%sbroadcast:%d", prefix, number)
		set(ctx, client, key, encoded([]int{number}))
		await(key)
		readTwice(ctx, client, key, encoded([]int{number}))
	}
}
