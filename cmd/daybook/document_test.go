package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A place is where something is in a document, by the names and indexes that lead
// to it.
type place []any

func (p place) String() string {
	parts := make([]string, len(p))
	for i, part := range p {
		parts[i] = fmt.Sprint(part)
	}
	return strings.Join(parts, "/")
}

// gone and twice are what a place can hold beside JSON: nothing at all, and a
// member that is there two times.
type (
	gone  struct{}
	twice struct{ first, second any }
	named struct { // under another name
		name  string
		value any
	}
)

// places returns every place in a document but its root.
func places(v any, at place) (all []place) {
	visit := func(part, below any) {
		p := append(slices.Clone(at), part)
		all = append(append(all, p), places(below, p)...)
	}
	switch v := v.(type) {
	case object:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			visit(name, v[name])
		}
	case []any:
		for i, element := range v {
			visit(i, element)
		}
	}
	return all
}

// get returns what is at a place.
func get(v any, at place) any {
	for _, part := range at {
		switch p := part.(type) {
		case string:
			v = v.(object)[p]
		case int:
			v = v.([]any)[p]
		}
	}
	return v
}

// with returns the document with something else at a place.
func with(v any, at place, value any) any {
	if len(at) == 0 {
		return value
	}
	switch v := v.(type) {
	case object:
		c := maps.Clone(v)
		c[at[0].(string)] = with(v[at[0].(string)], at[1:], value)
		return c
	case []any:
		c := slices.Clone(v)
		c[at[0].(int)] = with(v[at[0].(int)], at[1:], value)
		return c
	}
	return v
}

// jsonOf writes a document.
func jsonOf(v any) []byte { return appendJSON(nil, v) }

func appendJSON(b []byte, v any) []byte {
	switch v := v.(type) {
	case object:
		b = append(b, '{')
		member := func(name string, value any) {
			b = append(appendJSON(b, name), ':')
			b = append(appendJSON(b, value), ',')
		}
		for _, name := range slices.Sorted(maps.Keys(v)) {
			switch value := v[name].(type) {
			case gone:
			case twice:
				member(name, value.first)
				member(name, value.second)
			case named:
				member(value.name, value.value)
			default:
				member(name, value)
			}
		}
		return append(bytes.TrimSuffix(b, []byte(",")), '}')
	case []any:
		b = append(b, '[')
		for _, element := range v {
			if _, ok := element.(gone); !ok {
				b = append(appendJSON(b, element), ',')
			}
		}
		return append(bytes.TrimSuffix(b, []byte(",")), ']')
	case json.Number:
		return append(b, v...)
	}
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return append(b, text...)
}

// parse reads a sample; ok is false if it is not JSON.
func parse(body []byte) (v any, ok bool) {
	d := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(body, []byte("\uFEFF"))))
	d.UseNumber()
	err := d.Decode(&v)
	return v, err == nil
}
