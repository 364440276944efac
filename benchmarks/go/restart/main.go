// A service that goes on using go-redis, with its stock options, while the proxy restarts. Arguments: an address, and how
// many goroutines. It runs until its standard input ends. Each goroutine sets a value, gets it and counts, and checks what
// comes back. Prints the number of commands now and then, and at last what happened, as lines of JSON.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const step = 500 // commands between two lines

var ctx = context.Background()

// report is what happened.
type report struct {
	Commands int            `json:"commands"`
	Failed   int            `json:"failed"`
	Wrong    int            `json:"wrong"`      // answers that another number of commands would give
	Slowest  float64        `json:"slowest_ms"` // the longest that a command took, with all its retries
	Silence  float64        `json:"silence_ms"` // the longest time without any answer
	Errors   map[string]int `json:"errors"`
}

type tally struct {
	sync.Mutex
	report
	last time.Time
}

// record notes one command, which began then.
func (t *tally) record(began time.Time, err error, right bool) {
	t.Lock()
	defer t.Unlock()
	now := time.Now()
	t.Commands++
	t.Slowest = max(t.Slowest, ms(now.Sub(began)))
	if err != nil {
		t.Failed++
		t.Errors[err.Error()]++
	} else {
		t.Silence = max(t.Silence, ms(now.Sub(t.last)))
		t.last = now
		if !right {
			t.Wrong++
		}
	}
	if t.Commands%step == 0 {
		fmt.Printf("{\"commands\": %d}\n", t.Commands)
	}
}

func main() {
	goroutines, err := strconv.Atoi(os.Args[2])
	if err != nil {
		panic(err)
	}
	client := redis.NewClient(&redis.Options{Addr: os.Args[1]})
	defer client.Close()
	over := make(chan struct{})
	go func() {
		_, _ = bufio.NewReader(os.Stdin).ReadString(0)
		close(over)
	}()
	all := &tally{report: report{Errors: map[string]int{}}, last: time.Now()}
	var workers sync.WaitGroup
	for number := range goroutines {
		workers.Add(1)
		go func() {
			defer workers.Done()
			work(client, all, fmt.Sprintf("flask_cache_go-restart:%d", number), over)
		}()
	}
	workers.Wait()
	all.Silence = max(all.Silence, ms(time.Since(all.last)))
	line, err := json.Marshal(all.report)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(line))
}

func work(client *redis.Client, all *tally, key string, over <-chan struct{}) {
	counter := key + ":count"
	count, isKnown := int64(0), false // after an error it may have counted or not
	for number := 0; ; number++ {
		select {
		case <-over:
			return
		default:
		}
		value := fmt.Sprintf("{\"n\":%d}", number)
		began := time.Now()
		err := client.Set(ctx, key, value, time.Hour).Err()
		all.record(began, err, true)
		wrote := err == nil

		began = time.Now()
		got, err := client.Get(ctx, key).Result()
		all.record(began, err, !wrote || got == value)

		began = time.Now()
		next, err := client.Incr(ctx, counter).Result()
		all.record(began, err, !isKnown || next == count+1)
		count, isKnown = next, err == nil
	}
}

func ms(duration time.Duration) float64 {
	return float64(duration.Microseconds()) / 1000
}
