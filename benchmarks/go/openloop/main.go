// An open-loop load from go-redis: commands leave when they are due, whatever became of those before, and each is timed
// from when it was due, so that a stall costs all that should have been sent meanwhile (no coordinated omission).
// Nothing is pipelined: a command takes a connection of the pool for itself. Prints its figures as JSON.
package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	smallKeys   = 1000
	viewKeys    = 200
	leastView   = 1_000
	mostView    = 20_000
	largeBytes  = 1_000_000
	bystanderMs = 10
)

var (
	address     = flag.String("address", "127.0.0.1:6380", "where to connect")
	protocol    = flag.Int("protocol", 3, "of RESP")
	rate        = flag.Int("rate", 1000, "commands a second; 0: as many as go, each connection after the other's reply")
	connections = flag.Int("connections", 50, "how many")
	seconds     = flag.Float64("seconds", 5, "how long it is measured")
	warmUp      = flag.Float64("warm-up", 0.5, "seconds before that")
	mix         = flag.String("mix", "small", "small: 9 GETs to a SET of 125 bytes; views: 90% GETs of views, misses, SETs")
	prefix      = flag.String("prefix", "flask_cache_go:", "of all keys")
	authority   = flag.String("ca", "", "PEM file: connect with TLS")
	silent      = flag.Bool("no-hello", false, "keep go-redis' HELLO from twemproxy, which hangs up at it")
	ctx         = context.Background()
)

type figures struct {
	Commands  int     `json:"commands"`
	Errors    int64   `json:"errors"`
	PerSecond float64 `json:"per_second"`
	P50       float64 `json:"p50_ms"`
	P99       float64 `json:"p99_ms"`
	P999      float64 `json:"p999_ms"`
	Max       float64 `json:"max_ms"`
}

type report struct {
	figures
	Bystander *figures `json:"bystander,omitempty"`
}

type load struct {
	client *redis.Client
	began  time.Time
	counts time.Time // commands due earlier are the warm-up
	ends   time.Time
	errors atomic.Int64
	views  []string
}

func main() {
	flag.Parse()
	l := &load{client: connect(*connections)}
	defer l.client.Close()
	l.fill()
	l.dial()

	l.began = time.Now()
	l.counts = l.began.Add(time.Duration(*warmUp * float64(time.Second)))
	l.ends = l.counts.Add(time.Duration(*seconds * float64(time.Second)))
	var beside sync.WaitGroup
	var bystander []time.Duration
	if *mix == "views" {
		start(&beside, l.large)
		start(&beside, func() { bystander = l.bystander() })
	}
	work := l.open
	if *rate == 0 {
		work = l.closed
	}
	waits := work()
	took := time.Since(l.counts).Seconds()
	beside.Wait()

	done := report{figures: summary(waits, max(took, *seconds))}
	done.Errors = l.errors.Load()
	if bystander != nil {
		one := summary(bystander, *seconds)
		done.Bystander = &one
	}
	check(json.NewEncoder(os.Stdout).Encode(done))
}

func connect(pool int) *redis.Client {
	options := &redis.Options{
		Addr: *address, Protocol: *protocol, PoolSize: pool, MinIdleConns: pool, MaxRetries: -1,
		ReadTimeout: 30 * time.Second, WriteTimeout: 30 * time.Second, PoolTimeout: time.Minute,
		DisableIdentity: true,
	}
	if *authority != "" {
		pem, err := os.ReadFile(*authority)
		check(err)
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(pem)
		options.TLSConfig = &tls.Config{RootCAs: roots, ServerName: "localhost"}
	}
	if *silent {
		options.Dialer = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
			return &helloless{Conn: conn}, err
		}
	}
	return redis.NewClient(options)
}

// helloless answers the first HELLO itself, as a Redis that is too old for it would.
type helloless struct {
	net.Conn
	answer []byte
}

func (c *helloless) Write(data []byte) (int, error) {
	if bytes.Contains(data, []byte("\r\nhello\r\n")) {
		c.answer = []byte("-ERR unknown command 'HELLO'\r\n")
		return len(data), nil
	}
	return c.Conn.Write(data)
}

func (c *helloless) Read(data []byte) (int, error) {
	if c.answer == nil {
		return c.Conn.Read(data)
	}
	size := copy(data, c.answer)
	if c.answer = c.answer[size:]; len(c.answer) == 0 {
		c.answer = nil
	}
	return size, nil
}

// fill writes what is going to be read.
func (l *load) fill() {
	pipe := l.client.Pipeline()
	for number := range smallKeys {
		pipe.Set(ctx, small(number), smallValue(number), 0)
	}
	_, err := pipe.Exec(ctx)
	check(err)
	if *mix != "views" {
		return
	}
	for number := range viewKeys {
		l.views = append(l.views, view(number))
		check(l.client.Set(ctx, viewKey(number), l.views[number], 0).Err())
	}
}

// dial opens every connection before the clock runs.
func (l *load) dial() {
	var all sync.WaitGroup
	for range *connections {
		start(&all, func() { check(l.client.Ping(ctx).Err()) })
	}
	all.Wait()
}

// open sends by the clock. The commands that are due wait in line where no connection is free, and their time runs.
func (l *load) open() []time.Duration {
	due := make(chan time.Time, 1<<20)
	go func() {
		// A thread of its own: the runtime's timers are only as fine as a millisecond.
		runtime.LockOSThread()
		interval := time.Duration(float64(time.Second) / float64(*rate))
		for number := 0; ; number++ {
			at := l.began.Add(time.Duration(number) * interval)
			if at.After(l.ends) {
				break
			}
			for left := time.Until(at); left > 0; left = time.Until(at) {
				pause := syscall.NsecToTimespec(int64(left))
				_ = syscall.Nanosleep(&pause, nil)
			}
			due <- at
		}
		close(due)
	}()
	return l.all(func(waits *[]time.Duration) {
		for at := range due {
			l.command()
			if at.After(l.counts) {
				*waits = append(*waits, time.Since(at))
			}
		}
	})
}

// closed sends as fast as replies come.
func (l *load) closed() []time.Duration {
	return l.all(func(waits *[]time.Duration) {
		for {
			at := time.Now()
			if at.After(l.ends) {
				return
			}
			l.command()
			if at.After(l.counts) {
				*waits = append(*waits, time.Since(at))
			}
		}
	})
}

// all runs a worker for each connection.
func (l *load) all(work func(*[]time.Duration)) []time.Duration {
	each := make([][]time.Duration, *connections)
	var workers sync.WaitGroup
	for number := range each {
		start(&workers, func() { work(&each[number]) })
	}
	workers.Wait()
	return slices.Concat(each...)
}

func (l *load) command() {
	var err error
	chance := rand.IntN(100)
	number := rand.IntN(1 << 20)
	switch {
	case *mix == "small" && chance < 90:
		err = l.client.Get(ctx, small(number%smallKeys)).Err()
	case *mix == "small":
		err = l.client.Set(ctx, small(number%smallKeys), smallValue(number%smallKeys), 0).Err()
	case chance < 90:
		err = l.client.Get(ctx, viewKey(number%viewKeys)).Err()
	case chance < 95:
		if err = l.client.Get(ctx, *prefix+"none").Err(); errors.Is(err, redis.Nil) {
			err = nil
		}
	default:
		err = l.client.Set(ctx, viewKey(number%viewKeys), l.views[number%viewKeys], time.Hour).Err()
	}
	l.count(err)
}

func (l *load) count(err error) {
	if err != nil && l.errors.Add(1) == 1 {
		log.Print(err)
	}
}

// large writes a large value every second, and reads it half a second later.
func (l *load) large() {
	client := connect(1)
	defer client.Close()
	value := rows(largeBytes)
	for at := l.began; at.Before(l.ends); at = at.Add(time.Second) {
		time.Sleep(time.Until(at))
		l.count(client.Set(ctx, *prefix+"large", value, 0).Err())
		time.Sleep(time.Until(at.Add(time.Second / 2)))
		l.count(client.Get(ctx, *prefix+"large").Err())
	}
}

// bystander reads a small value again and again, on a connection of its own.
func (l *load) bystander() []time.Duration {
	client := connect(1)
	defer client.Close()
	waits := []time.Duration{}
	for at := l.began; at.Before(l.ends); at = at.Add(bystanderMs * time.Millisecond) {
		time.Sleep(time.Until(at))
		sent := time.Now() // from here on: the runtime's timers would be measured too
		l.count(client.Get(ctx, small(0)).Err())
		if at.After(l.counts) {
			waits = append(waits, time.Since(sent))
		}
	}
	return waits
}

func small(number int) string   { return fmt.Sprintf("%ssmall:%d", *prefix, number) }
func viewKey(number int) string { return fmt.Sprintf("%sview//products/%d", *prefix, number) }

func smallValue(number int) string {
	return fmt.Sprintf(`{"id":%d,"name":"Product %05d","price":9.75,"tags":["new","sale"],"stock":3,"active":true,`+
		`"note":null,"category":"toys"}`, 10000+number, number)
}

// view is a page as a string, or the rows that an endpoint returns, in turn; its sizes are spread evenly.
func view(number int) string {
	size := leastView + (mostView-leastView)*number/viewKeys
	if number%2 == 0 {
		return rows(size)
	}
	line := `<tr class="row"><td>Tea</td><td>2.50 EUR</td></tr>` + "\n"
	page, err := json.Marshal("<!doctype html>\n<table>\n" + strings.Repeat(line, size/len(line)) + "</table>\n")
	check(err)
	return string(page)
}

func rows(size int) string {
	one := smallValue(0)
	return "[" + strings.Repeat(one+",", max(1, size/len(one)-1)) + one + "]"
}

func summary(waits []time.Duration, seconds float64) figures {
	if len(waits) == 0 {
		log.Fatal("nothing was measured")
	}
	slices.Sort(waits)
	at := func(share float64) float64 {
		return float64(waits[min(len(waits)-1, int(float64(len(waits))*share))].Nanoseconds()) / 1e6
	}
	return figures{
		Commands: len(waits), PerSecond: float64(len(waits)) / seconds,
		P50: at(0.5), P99: at(0.99), P999: at(0.999), Max: at(1),
	}
}

func start(group *sync.WaitGroup, work func()) {
	group.Add(1)
	go func() {
		defer group.Done()
		work()
	}()
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
