// Ways in which a Go service can fill Flask's cache. Arguments: the way, an address, the prefix of keys, a file with a JSON
// object of keys and values. Prints the seconds that it took, from Go values to the last reply, as JSON. A page is a
// string, and rows are structs, as a service has them.
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

type listing struct {
	Page int   `json:"page" pickle:"page"`
	Rows []row `json:"rows" pickle:"rows"`
	Next *int  `json:"next" pickle:"next"`
}

type row struct {
	ID       int      `json:"id" pickle:"id"`
	Name     string   `json:"name" pickle:"name"`
	Price    float64  `json:"price" pickle:"price"`
	Tags     []string `json:"tags" pickle:"tags"`
	Stock    int      `json:"stock" pickle:"stock"`
	Active   bool     `json:"active" pickle:"active"`
	Note     *string  `json:"note" pickle:"note"`
	Category string   `json:"category" pickle:"category"`
}

var (
	ctx  = context.Background()
	ways = map[string]func(address, prefix string, values map[string]any){
		"pipelined":     pipelined(1, marshalled),
		"two-pipelines": pipelined(2, marshalled),
		"one-by-one":    oneByOne,
		"og-rek":        pipelined(1, pickled),
		"http":          byHTTP,
	}
)

func main() {
	way, address, prefix, file := os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	data, err := os.ReadFile(file)
	check(err)
	var spelled map[string]json.RawMessage
	check(json.Unmarshal(data, &spelled))
	values := make(map[string]any, len(spelled))
	for key, each := range spelled {
		values[key] = value(each)
	}
	start := time.Now()
	ways[way](address, prefix, values)
	fmt.Printf("{\"seconds\": %f}\n", time.Since(start).Seconds())
}

// pipelined sends a batch of values at a time, from so many goroutines.
func pipelined(number int, spell func(any) []byte) func(string, string, map[string]any) {
	return func(address, prefix string, values map[string]any) {
		client := connect(address)
		defer client.Close()
		concurrently(number, values, func(keys <-chan string) {
			pipe := client.Pipeline()
			for key := range keys {
				pipe.Set(ctx, prefix+key, spell(values[key]), ttl)
				if pipe.Len() == batch {
					run(pipe)
				}
			}
			run(pipe)
		})
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
	concurrently(connections, values, func(keys <-chan string) {
		for key := range keys {
			check(client.Set(ctx, prefix+key, marshalled(values[key]), ttl).Err())
		}
	})
}

func byHTTP(address, prefix string, values map[string]any) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections}}
	put := func(key string) {
		body := bytes.NewReader(marshalled(values[key]))
		request, err := http.NewRequest(http.MethodPut, "http://"+address+"/"+key, body)
		check(err)
		answer, err := client.Do(request)
		check(err)
		_, err = io.Copy(io.Discard, answer.Body)
		check(err)
		answer.Body.Close()
		if answer.StatusCode != http.StatusNoContent {
			log.Fatal(answer.Status)
		}
	}
	concurrently(connections, values, func(keys <-chan string) {
		for key := range keys {
			put(key)
		}
	})
}

// concurrently shares the keys among so many workers.
func concurrently(number int, values map[string]any, work func(keys <-chan string)) {
	keys := make(chan string, batch)
	var workers sync.WaitGroup
	for range number {
		workers.Add(1)
		go func() {
			defer workers.Done()
			work(keys)
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

// marshalled is a value as JSON. The escapes of json.Marshal are for HTML, and would double a page's length.
func marshalled(value any) []byte {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	check(encoder.Encode(value))
	return out.Bytes()
}

// pickled is a value as cachelib stores it.
func pickled(value any) []byte {
	var out bytes.Buffer
	out.WriteByte('!')
	config := &pickle.EncoderConfig{Protocol: 4, StrictUnicode: true}
	check(pickle.NewEncoderWithConfig(&out, config).Encode(value))
	return out.Bytes()
}

func value(spelled json.RawMessage) any {
	if spelled[0] == '"' {
		var page string
		check(json.Unmarshal(spelled, &page))
		return page
	}
	var found listing
	check(json.Unmarshal(spelled, &found))
	return found
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
