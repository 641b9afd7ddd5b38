package guard

import (
	"fmt"
	"math/big"
	"reflect"
	"slices"

	"github.com/strongroom/strongroom/proto/canon"
)

// change is another value for a place.
type change struct {
	name string
	to   reflect.Value
}

// mostPooled bounds how many of the charter's values are tried at one place.
const mostPooled = 40

// changes returns other values for v by its type: a flipped bit, zero, the largest, one of the charter's; for lists an element less, more,
// twice, elsewhere. A type that it does not know ends the test.
func (w *tamperer) changes(v reflect.Value) []change {
	if n, ok := v.Interface().(*big.Int); ok {
		return bigChanges(n)
	}
	switch v.Kind() {
	case reflect.Struct:
		return nil // its fields are changed
	case reflect.Pointer:
		if v.IsNil() {
			return []change{{"added", w.sample(v.Type())}}
		}
		return append([]change{{"removed", reflect.Zero(v.Type())}}, w.through(v)...)
	case reflect.Bool:
		return []change{{"flipped", reflect.ValueOf(!v.Bool()).Convert(v.Type())}}
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return append(uintChanges(v), w.pooled(v)...)
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return intChanges(v)
	case reflect.String:
		return append(stringChanges(v), w.pooled(v)...)
	case reflect.Array:
		return append(arrayChanges(v), w.pooled(v)...)
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return slices.Concat(bytesChanges(v), amountChanges(v), w.pooled(v))
		}
		return w.listChanges(v)
	default:
		w.t.Fatalf("expected a type that can be changed, found %s: say here how", v.Type())
		return nil
	}
}

// through returns the changes of what a pointer points at, each behind a pointer of its own.
func (w *tamperer) through(v reflect.Value) []change {
	var list []change
	for _, c := range w.changes(v.Elem()) {
		p := reflect.New(v.Type().Elem())
		p.Elem().Set(c.to)
		list = append(list, change{c.name, p})
	}
	return list
}

func bigChanges(n *big.Int) []change {
	one := big.NewInt(1)
	if n == nil {
		return []change{{"added", reflect.ValueOf(one)}}
	}
	most := new(big.Int).Sub(new(big.Int).Lsh(one, 256), one)
	list := []change{
		{"one more", reflect.ValueOf(new(big.Int).Add(n, one))}, {"zero", reflect.ValueOf(new(big.Int))},
		{"largest", reflect.ValueOf(most)}, {"too large", reflect.ValueOf(new(big.Int).Lsh(one, 256))},
		{"doubled", reflect.ValueOf(new(big.Int).Lsh(n, 1))}, {"halved", reflect.ValueOf(new(big.Int).Rsh(n, 1))},
	}
	if n.Sign() > 0 {
		list = append(list, change{"one less", reflect.ValueOf(new(big.Int).Sub(n, one))})
	}
	return list
}

// amountChanges are changes of the number that an amount is.
func amountChanges(v reflect.Value) []change {
	a, ok := v.Interface().(canon.Amount)
	if !ok {
		return nil
	}
	list := bigChanges(a.Int())
	for i, c := range list {
		list[i].to = reflect.ValueOf(canon.Amount(c.to.Interface().(*big.Int).Bytes()))
		list[i].name = "number: " + c.name
	}
	return list
}

func uintChanges(v reflect.Value) []change {
	n, top := v.Uint(), uint64(1)<<(v.Type().Bits()-1)
	list := []struct {
		name string
		n    uint64
	}{{"one more", n + 1}, {"one less", n - 1}, {"low bit", n ^ 1}, {"high bit", n ^ top}, {"zero", 0}, {"largest", top | (top - 1)}, {"doubled", 2 * n}}
	var out []change
	for _, c := range list {
		to := reflect.New(v.Type()).Elem()
		to.SetUint(c.n & (top | (top - 1)))
		out = append(out, change{c.name, to})
	}
	return out
}

func intChanges(v reflect.Value) []change {
	n, top := v.Int(), int64(1)<<(v.Type().Bits()-2)
	list := []struct {
		name string
		n    int64
	}{{"one more", n + 1}, {"one less", n - 1}, {"low bit", n ^ 1}, {"high bit", n ^ top}, {"zero", 0}, {"largest", top | (top - 1)}, {"negative", -1 - n}}
	var out []change
	for _, c := range list {
		to := reflect.New(v.Type()).Elem()
		to.SetInt(c.n)
		out = append(out, change{c.name, to})
	}
	return out
}

func stringChanges(v reflect.Value) []change {
	s := v.String()
	as := func(name, s string) change { return change{name, reflect.ValueOf(s).Convert(v.Type())} }
	list := []change{as("empty", ""), as("longer", s+"x"), as("any", "*"), as("not a name", "A\n")}
	if s != "" {
		last := len(s) - 1
		list = append(list, as("low bit", s[:last]+string(s[last]^1)), as("shorter", s[:last]))
	}
	return list
}

func arrayChanges(v reflect.Value) []change {
	n := v.Len()
	as := func(name string, f func(b []byte)) change {
		to := reflect.New(v.Type()).Elem()
		to.Set(v)
		f(to.Bytes())
		return change{name, to}
	}
	return []change{as("first bit", func(b []byte) { b[0] ^= 0x80 }), as("last bit", func(b []byte) { b[n-1] ^= 1 }), as("middle bit", func(b []byte) { b[n/2] ^= 8 }),
		as("zero", func(b []byte) { clear(b) }), as("largest", fillOnes), as("reversed", slices.Reverse[[]byte])}
}

func bytesChanges(v reflect.Value) []change {
	b := v.Bytes()
	as := func(name string, b []byte) change { return change{name, reflect.ValueOf(b).Convert(v.Type())} }
	list := []change{as("extended", append(slices.Clone(b), 1)), as("prefixed", append([]byte{0}, b...))}
	if len(b) == 0 {
		return append(list, as("added 20", slices.Repeat([]byte{1}, 20)), as("added 32", slices.Repeat([]byte{1}, 32)))
	}
	changed := func(name string, f func(b []byte)) {
		c := slices.Clone(b)
		f(c)
		list = append(list, as(name, c))
	}
	changed("first bit", func(b []byte) { b[0] ^= 0x80 })
	changed("low bit", func(b []byte) { b[len(b)-1] ^= 1 })
	changed("middle bit", func(b []byte) { b[len(b)/2] ^= 8 })
	changed("zero", func(b []byte) { clear(b) })
	changed("largest", fillOnes)
	return append(list, as("truncated", slices.Clone(b[:len(b)-1])), as("headless", slices.Clone(b[1:])), as("empty", []byte{}), as("twice", slices.Repeat(b, 2)))
}

func fillOnes(b []byte) {
	for i := range b {
		b[i] = 0xff
	}
}

func (w *tamperer) listChanges(v reflect.Value) []change {
	n := v.Len()
	pick := func(name string, at ...int) change {
		to := reflect.MakeSlice(v.Type(), 0, len(at)+1)
		for _, i := range at {
			to = reflect.Append(to, v.Index(i))
		}
		return change{name, to}
	}
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	more := pick("added", all...)
	more.to = reflect.Append(more.to, w.sample(v.Type().Elem()))
	list := []change{more}
	for i := range n {
		list = append(list, pick(fmt.Sprintf("without %d", i), slices.Concat(all[:i], all[i+1:])...), pick(fmt.Sprintf("%d twice", i), slices.Insert(slices.Clone(all), i, i)...),
			pick(fmt.Sprintf("%d again at the end", i), append(slices.Clone(all), i)...))
	}
	if n > 0 {
		list = append(list, pick("none"))
	}
	for i := range max(n, 1) - 1 {
		swapped := slices.Clone(all)
		swapped[i], swapped[i+1] = i+1, i
		list = append(list, pick(fmt.Sprintf("%d and %d swapped", i, i+1), swapped...))
	}
	return list
}

// pooled returns the charter's values of the type of v.
func (w *tamperer) pooled(v reflect.Value) []change {
	var list []change
	for i, p := range w.pool[v.Type()] {
		list = append(list, change{fmt.Sprintf("known value %d", i), p})
	}
	return list
}

// sample returns something of the type that is not empty.
func (w *tamperer) sample(t reflect.Type) reflect.Value {
	if known := w.pool[t]; len(known) > 0 {
		return known[0]
	}
	v := reflect.New(t).Elem()
	switch t.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(t.Elem()))
		if t != reflect.TypeFor[*big.Int]() {
			v.Elem().Set(w.sample(t.Elem()))
		}
	case reflect.Struct:
		for i := range t.NumField() {
			v.Field(i).Set(w.sample(t.Field(i).Type))
		}
	case reflect.Slice:
		n := 1
		if t.Elem().Kind() == reflect.Uint8 {
			n = 20
		}
		for range n {
			v = reflect.Append(v, w.sample(t.Elem()))
		}
	case reflect.Array:
		for i := range t.Len() {
			v.Index(i).Set(w.sample(t.Elem()))
		}
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	default:
		v.Set(reflect.ValueOf(1).Convert(t))
	}
	return v
}

// gather puts every value in v that has a name of its own into the pool, by type and once.
func (w *tamperer) gather(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			w.gather(v.Elem())
		}
		return
	case reflect.Struct:
		for i := range v.NumField() {
			w.gather(v.Field(i))
		}
		return
	case reflect.Slice:
		if v.Type().Elem().Kind() != reflect.Uint8 {
			for i := range v.Len() {
				w.gather(v.Index(i))
			}
			return
		}
	case reflect.Bool:
		return
	}
	known := w.pool[v.Type()]
	same := func(k reflect.Value) bool { return reflect.DeepEqual(k.Interface(), v.Interface()) }
	if len(known) < mostPooled && !slices.ContainsFunc(known, same) {
		w.pool[v.Type()] = append(known, v)
	}
}
