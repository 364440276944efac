// Ways in which a Go service can fill Flask's cache. Arguments: the way, an address, the prefix of keys, a file with a JSON
// object of keys and values. Prints the seconds that it took, from Go values to the last reply, as JSON.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"sync"
	"time"

	pickle "github.com/kisielk/og-rek"
	"github.com/redis/go-redis/v9"
)

const (
	batch       = 500
	connections = 50
	ttl         = 300 * time.Second
)

var (
	ctx  = context.Background()
	ways = map[string]func(address, prefix string, values map[string]any){
		"pipelined":  pipelined(marshalled),
		"one-by-one": oneByOne,
		"og-rek":     pipelined(pickled),
		"http":       byHTTP,
	}
)

func main() {
	way, address, prefix, file := os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	data, err := os.ReadFile(file)
	check(err)
	reader := json.NewDecoder(bytes.NewReader(data))
	reader.UseNumber()
	var values map[string]any
	check(reader.Decode(&values))
	for key, value := range values {
		values[key] = natural(value)
	}
	start := time.Now()
	ways[way](address, prefix, values)
	fmt.Printf("{\"seconds\": %f}\n", time.Since(start).Seconds())
}

// pipelined sends so many values at once.
func pipelined(spell func(any) []byte) func(string, string, map[string]any) {
	return func(address, prefix string, values map[string]any) {
		client := connect(address)
		defer client.Close()
		pipe := client.Pipeline()
		for key, value := range values {
			pipe.Set(ctx, prefix+key, spell(value), ttl)
			if pipe.Len() == batch {
				run(pipe)
			}
		}
		run(pipe)
	}
}

func run(pipe redis.Pipeliner) {
	if pipe.Len() > 0 {
		_, err := pipe.Exec(ctx)
		check(err)
	}
}

func oneByOne(address, prefix string, values map[string]any) {
	client := connect(address)
	defer client.Close()
	concurrently(values, func(key string, value any) {
		check(client.Set(ctx, prefix+key, marshalled(value), ttl).Err())
	})
}

func byHTTP(address, prefix string, values map[string]any) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections}}
	concurrently(values, func(key string, value any) {
		request, err := http.NewRequest(http.MethodPut, "http://"+address+"/"+key, bytes.NewReader(marshalled(value)))
		check(err)
		answer, err := client.Do(request)
		check(err)
		_, err = io.Copy(io.Discard, answer.Body)
		check(err)
		answer.Body.Close()
		if answer.StatusCode != http.StatusNoContent {
			log.Fatal(answer.Status)
		}
	})
}

func concurrently(values map[string]any, send func(string, any)) {
	keys := make(chan string)
	var workers sync.WaitGroup
	for range connections {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for key := range keys {
				send(key, values[key])
			}
		}()
	}
	for key := range values {
		keys <- key
	}
	close(keys)
	workers.Wait()
}

func connect(address string) *redis.Client {
	return redis.NewClient(&redis.Options{Addr: address, PoolSize: connections})
}

func marshalled(value any) []byte {
	data, err := json.Marshal(value)
	check(err)
	return data
}

// pickled is a value as cachelib stores it.
func pickled(value any) []byte {
	var out bytes.Buffer
	out.WriteByte('!')
	config := &pickle.EncoderConfig{Protocol: 4, StrictUnicode: true}
	check(pickle.NewEncoderWithConfig(&out, config).Encode(value))
	return out.Bytes()
}

// natural has ints where JSON has: a service's own values do.
func natural(value any) any {
	switch value := value.(type) {
	case json.Number:
		if whole, err := value.Int64(); err == nil {
			return whole
		}
		number, err := value.Float64()
		check(err)
		return number
	case map[string]any:
		for key, each := range value {
			value[key] = natural(each)
		}
	case []any:
		for at, each := range value {
			value[at] = natural(each)
		}
	}
	return value
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
