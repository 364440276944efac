// Answers, in JSON, each key that is asked for on standard input: a line {"do": ..., "library": ..., "with": [...]}.
package main

import (
	"bufio"
	"encoding/json"
	"log"
	"os"
	"strings"

	"keys/cachekeys"
)

type question struct {
	Do      string
	Library string
	With    []any
}

var libraries = map[string]cachekeys.Library{
	"flask-cache":       cachekeys.FlaskCache,
	"flask-caching-2.4": cachekeys.FlaskCaching24,
	"flask-caching-2.5": cachekeys.FlaskCaching25,
}

func main() {
	answers := json.NewEncoder(os.Stdout)
	answers.SetEscapeHTML(false)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var asked question
		decoder := json.NewDecoder(strings.NewReader(lines.Text()))
		decoder.UseNumber()
		if err := decoder.Decode(&asked); err != nil {
			log.Fatal(err)
		}
		answer, err := answered(libraries[asked.Library], asked)
		if err != nil {
			log.Fatalf("%s: %v", lines.Text(), err)
		}
		if err := answers.Encode(answer); err != nil {
			log.Fatal(err)
		}
	}
}

func answered(library cachekeys.Library, asked question) (any, error) {
	var texts []string
	for _, each := range asked.With {
		text, _ := each.(string)
		texts = append(texts, text)
	}
	switch asked.Do {
	case "view":
		return cachekeys.View(texts[0], texts[1]), nil
	case "query":
		return cachekeys.Query(library, texts[0], texts[1], texts[2])
	case "versions":
		return cachekeys.Versions(library, texts[0], texts[1], texts[2]), nil
	case "fragment":
		return cachekeys.Fragment(texts[0], texts[1], texts[2:]...), nil
	}
	var arguments []any
	for _, each := range asked.With[3:] {
		arguments = append(arguments, argument(each))
	}
	return cachekeys.Result(library, texts[0], texts[1], texts[2], arguments...)
}

func argument(value any) any {
	number, isNumber := value.(json.Number)
	if !isNumber {
		return value
	}
	if strings.ContainsAny(number.String(), ".e") {
		float, _ := number.Float64()
		return float
	}
	whole, _ := number.Int64()
	return int(whole)
}
