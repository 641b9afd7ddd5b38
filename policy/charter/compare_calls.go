package charter

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/wallets/ethereum"
)

// Freezes and builds.

// confirmationRemoved rules on a freeze that lapses again. One that is lifted by the same amendment is judged there.
func confirmationRemoved(c *comparison, q spot) effect {
	if slices.Contains(c.new.Lifted, q.old.Interface().(canon.Digest)) {
		return neutral
	}
	return looser
}

// Where no build is listed any may run, so the first ones to be listed tighten and the last one to go loosens.

func buildAdded(c *comparison, _ spot) effect {
	if len(c.old.Builds) == 0 {
		return tighter
	}
	return looser
}

func buildRemoved(c *comparison, _ spot) effect {
	if len(c.new.Builds) == 0 {
		return looser
	}
	return tighter
}

// Contract calls. A call falls under one entry at most (Lint), and what falls under none is refused: an entry that lets less through tightens.

func argumentMax(_ *comparison, p spot, old, new reflect.Value) effect {
	if allows(p.old) == canon.ArgumentAtMost && allows(p.new) == canon.ArgumentAtMost && new.Len() > 0 {
		return ordered(new, old)
	}
	return looser
}

func valueRemoved(_ *comparison, q spot) effect {
	argument := q.owner
	if allows(argument.old) == canon.ArgumentEqual && allows(argument.new) == canon.ArgumentEqual && argument.new.FieldByName("Values").Len() > 0 {
		return tighter
	}
	return looser
}

func allows(argument reflect.Value) canon.ArgumentCheck {
	return argument.Interface().(canon.ArgumentRule).Allow
}

// callOutOfScope rules on a call that a rule no longer matches. One that the charter no longer has is judged where it goes.
func callOutOfScope(c *comparison, q spot) effect {
	if _, ok := c.newX.calls[q.old.Interface().(canon.Name)]; !ok {
		return neutral
	}
	return c.narrowed(*q.owner)
}

// callWords says what an entry lets through.
func callWords(x index, r canon.CallRule) string {
	text := fmt.Sprintf("%s of 0x%x on %s", r.Signature, r.Contract, r.Chain)
	if r.Payable {
		text += ", which may carry coins"
	}
	for i, a := range r.Arguments {
		text += fmt.Sprintf("; argument %d: %s", i+1, argumentWords(x, r, i, a))
	}
	return text
}

func argumentWords(x index, r canon.CallRule, i int, a canon.ArgumentRule) string {
	switch a.Allow {
	case canon.ArgumentEqual:
		values := make([]string, len(a.Values))
		for j, v := range a.Values {
			values[j] = wordText(r.Signature, i, v)
		}
		return strings.Join(values, " or ")
	case canon.ArgumentAtMost:
		if len(a.Pays) == 1 {
			return "up to " + showAmount(x, a.Pays[0], a.Max) + ", which counts as a payment"
		}
		return "up to " + a.Max.String()
	}
	return showPlain(reflect.ValueOf(a.Allow))
}

// valueWords adds to the word of an argument's value what it means.
func valueWords(q spot, word []byte) string {
	if q.owner.kind != "ArgumentRule" {
		return ""
	}
	var i int
	if _, err := fmt.Sscanf(q.owner.path[strings.LastIndex(q.owner.path, "["):], "[%d]", &i); err != nil {
		return ""
	}
	return ", that is " + wordText(q.owner.owner.old.Interface().(canon.CallRule).Signature, i, word)
}

// wordText writes a word as a value of an argument's type, or whole if it is none.
func wordText(signature string, i int, word []byte) string {
	f, err := ethereum.ParseSignature(signature)
	if err != nil || i >= len(f.Types) || len(word) != 32 {
		return fmt.Sprintf("0x%x", word)
	}
	return f.Types[i].Text([32]byte(word))
}
