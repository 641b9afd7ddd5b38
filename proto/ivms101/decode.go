package ivms101

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/strongroom/strongroom/proto/refusal"
)

// MaxSize is the largest payload, in bytes.
const MaxSize = 64 << 10

const rule = "travel-rule data"

// Decode reads a payload and checks it. The error is a *refusal.Refusal, and contains nothing of b.
func Decode(b []byte) (*Payload, error) {
	if len(b) > MaxSize {
		return nil, refusal.New(rule, "payload", fmt.Sprintf("at most %d bytes", MaxSize), fmt.Sprint(len(b)))
	}
	if !utf8.Valid(b) {
		return nil, refusal.New(rule, "payload", "UTF-8", "other bytes")
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := walk(d, reflect.TypeFor[Payload](), "payload"); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, refusal.New(rule, "payload", "one JSON object", "more after it")
	}
	var p Payload
	// The walk has seen that every member is there once and of its type.
	if json.Unmarshal(b, &p) != nil {
		return nil, refusal.New(rule, "payload", "members of the standard's types", "others")
	}
	if err := p.Check(); err != nil {
		return nil, err
	}
	return &p, nil
}

// walk reads one value of type t. It is there because encoding/json takes members that come twice, null and values of members that it does not
// know, and quotes what it refuses.
func walk(d *json.Decoder, t reflect.Type, path string) error {
	token, err := d.Token()
	if err != nil {
		return refusal.New(rule, path, "JSON", fmt.Sprintf("something else at byte %d", d.InputOffset()))
	}
	switch t.Kind() {
	case reflect.Pointer:
		return value(d, token, t.Elem(), path)
	default:
		return value(d, token, t, path)
	}
}

func value(d *json.Decoder, token json.Token, t reflect.Type, path string) error {
	switch t.Kind() {
	case reflect.Struct:
		if token != json.Delim('{') {
			return refusal.New(rule, path, "an object", kindOf(token))
		}
		return members(d, t, path)
	case reflect.Slice:
		if token != json.Delim('[') {
			return refusal.New(rule, path, "a list", kindOf(token))
		}
		for i := 0; d.More(); i++ {
			if err := walk(d, t.Elem(), fmt.Sprintf("%s[%d]", path, i)); err != nil {
				return err
			}
		}
		return closing(d, path)
	case reflect.String:
		if s, ok := token.(string); !ok || s == "" {
			return refusal.New(rule, path, "a text of at least 1 character", kindOf(token))
		}
	default:
		n, ok := token.(json.Number)
		if _, err := fmt.Sscan(n.String(), new(uint64)); !ok || err != nil || strings.ContainsAny(n.String(), "-+.eE") {
			return refusal.New(rule, path, "a whole number", kindOf(token))
		}
	}
	return nil
}

func members(d *json.Decoder, t reflect.Type, path string) error {
	seen := map[string]bool{}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return refusal.New(rule, path, "JSON", fmt.Sprintf("something else at byte %d", d.InputOffset()))
		}
		name, _ := token.(string)
		field, tag, ok := member(t, name)
		if !ok {
			// The name is the sender's text as much as a value is.
			return refusal.New(rule, path, "members of the standard", fmt.Sprintf("another of %d characters", utf8.RuneCountInString(name)))
		}
		at := strings.TrimPrefix(path+"."+tag, "payload.")
		if seen[tag] {
			return refusal.New(rule, at, "once", "twice")
		}
		seen[tag] = true
		if err := walk(d, field.Type, at); err != nil {
			return err
		}
	}
	return closing(d, path)
}

// member finds the field of a struct that a JSON name means, as encoding/json finds it: by its tag, whatever its case.
func member(t reflect.Type, name string) (reflect.StructField, string, bool) {
	for i := range t.NumField() {
		tag, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if strings.EqualFold(tag, name) {
			return t.Field(i), tag, true
		}
	}
	return reflect.StructField{}, "", false
}

func closing(d *json.Decoder, path string) error {
	if _, err := d.Token(); err != nil {
		return refusal.New(rule, path, "JSON", fmt.Sprintf("something else at byte %d", d.InputOffset()))
	}
	return nil
}

// kindOf names what a token is without saying what it says.
func kindOf(token json.Token) string {
	switch v := token.(type) {
	case nil:
		return "null"
	case json.Delim:
		if v == '{' {
			return "an object"
		}
		return "a list"
	case string:
		if v == "" {
			return "an empty text"
		}
		return "a text"
	case bool:
		return "true or false"
	}
	return "another number"
}
