package signer

import (
	"bytes"
	"testing"

	"github.com/strongroom/strongroom/proto/canon"
)

func TestIntentsThatWaitAreKeptWithinABoundUntilTheyEnd(t *testing.T) {
	var w waiting
	put := func(what byte, size int, notAfter, now canon.Time) {
		w.add(canon.Digest{what}, bytes.Repeat([]byte{what}, size), notAfter, now)
	}
	listed := func(want string) {
		t.Helper()
		found := ""
		for what := byte('a'); what <= 'e'; what++ {
			for _, b := range w.besides(nil) {
				if b[0] == what {
					found += string(what)
				}
			}
		}
		if found != want {
			t.Errorf("expected %q, found %q", want, found)
		}
	}
	put('a', maxListed-10, 100, 50)
	put('b', 10, 200, 50)
	put('b', 10, 200, 50)
	put('c', 1, 300, 50) // for which there is no room
	put('d', 1, 40, 50)  // which has ended
	listed("ab")
	put('c', 1, 300, 101) // by when a has ended
	listed("bc")
	w.end(canon.Digest{'b'})
	w.end(canon.Digest{'b'})
	listed("c")
	put('e', maxListed-1, 300, 101)
	listed("ce")
	if got := w.besides([][]byte{w.all[canon.Digest{'c'}].encoding}); len(got) != 2 {
		t.Errorf("expected none left out whose digest is another, found %d", len(got))
	}
	intent := []byte("an intent")
	var other waiting
	other.add(canon.KindIntent.Digest(intent), intent, 100, 50)
	if got := other.besides([][]byte{intent}); len(got) != 0 {
		t.Errorf("expected what the ledger lists left out, found %d", len(got))
	}
}
