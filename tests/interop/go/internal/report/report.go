// Package report is what the programs have in common: they check what they see, and print what they did as JSON.
package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
)

// Report is what the tests judge a program by.
type Report struct {
	mutex sync.Mutex
	Wrote map[string]string `json:"wrote"` // managed keys, and the payloads that they must stand for in the end
	Seen  map[string]any    `json:"seen"`  // what was read that others wrote
}

// New is an empty report.
func New() *Report {
	return &Report{Wrote: map[string]string{}, Seen: map[string]any{}}
}

// Write notes the payload that a key is left with.
func (report *Report) Write(key, payload string) {
	report.mutex.Lock()
	defer report.mutex.Unlock()
	report.Wrote[key] = payload
}

// Print is the last thing that a program does.
func (report *Report) Print() {
	fmt.Println(Encoded(report))
}

// Stay waits for the end of the standard input.
func Stay() {
	_, err := io.Copy(io.Discard, os.Stdin)
	Check(err)
}

// Check ends the program where something failed.
func Check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// Expect ends the program where something does not hold.
func Expect(holds bool, what string, got ...any) {
	if !holds {
		Check(errors.New("not so: " + what + fmt.Sprintf(" %q", got)))
	}
}

// Encoded is a value as JSON.
func Encoded(value any) string {
	text, err := json.Marshal(value)
	Check(err)
	return string(text)
}

// Together runs work in so many goroutines, and waits for all of them.
func Together(count int, work func(number int)) {
	var group sync.WaitGroup
	for number := range count {
		group.Add(1)
		go func() {
			defer group.Done()
			work(number)
		}()
	}
	group.Wait()
}

// Order is what Flask is asked to do (see flask_at_work in the tests): to cache a value, and to say when it has.
func Order(key string, value any, answer string) string {
	return Encoded(map[string]any{"key": key, "value": value, "answer": answer})
}
