package genesis

import (
	"reflect"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/proto/canon"
)

// chains are the example's.
func chains(t testing.TB) []canon.Chain {
	t.Helper()
	c, err := Build([]byte(Example), []byte(ExampleBook))
	if err != nil {
		t.Fatal(err)
	}
	return c.Genesis.Chains
}

func TestWriteBookWritesWhatReadBookReads(t *testing.T) {
	entries, err := ReadBook([]byte(ExampleBook), chains(t))
	if err != nil {
		t.Fatal(err)
	}
	more := entries[1]
	more.Label, more.Proof = `"quoted" \ and 'more', [[entries]] # ä`, 2
	entries = append(entries, more)
	text, err := WriteBook(entries, chains(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`address = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"`, `address = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"`, `proof = "micro-deposit"`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("expected %s, found\n%s", want, text)
		}
	}
	again, err := ReadBook(text, chains(t))
	if err != nil || !reflect.DeepEqual(again, entries) {
		t.Errorf("expected %+v, found %+v, %v", entries, again, err)
	}
	if empty, err := WriteBook(nil, chains(t)); err != nil {
		t.Error(err)
	} else if again, err := ReadBook(empty, chains(t)); err != nil || len(again) != 0 {
		t.Errorf("no entries: found %v, %v", again, err)
	}
}

func TestGroupsOfEntriesAreSortedAndNeverEmpty(t *testing.T) {
	text := strings.Replace(ExampleBook, `groups = ["exchanges"] `, `groups = ["otc", "exchanges"] `, 1)
	entries, err := ReadBook([]byte(text), chains(t))
	if err != nil {
		t.Fatal(err)
	}
	if got := entries[0].Groups; !reflect.DeepEqual(got, []canon.Name{"exchanges", "otc"}) || entries[1].Groups != nil {
		t.Errorf("expected exchanges and otc, and none, found %v and %v", got, entries[1].Groups)
	}
	written, err := WriteBook(entries, chains(t))
	if err != nil {
		t.Fatal(err)
	}
	if again, err := ReadBook(written, chains(t)); err != nil || !reflect.DeepEqual(again, entries) {
		t.Errorf("expected %+v, found %+v, %v", entries, again, err)
	}
	for _, groups := range []string{`[]`, `["otc", "otc"]`, `["*"]`, `["a","b","c","d","e","f","g","h","i"]`} {
		text := strings.Replace(ExampleBook, `groups = ["exchanges"] `, "groups = "+groups+" ", 1)
		if _, err := ReadBook([]byte(text), chains(t)); err == nil {
			t.Errorf("%s: expected an error, found none", groups)
		}
	}
}

func TestWriteBookRefusesWhatItCannotSay(t *testing.T) {
	entries, err := ReadBook([]byte(ExampleBook), chains(t))
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*canon.BookEntry){
		"chain":   func(e *canon.BookEntry) { e.Chain = "eip155:5" },
		"address": func(e *canon.BookEntry) { e.Address = e.Address[:19] },
		"proof":   func(e *canon.BookEntry) { e.Proof = 3 },
	} {
		e := entries[1]
		change(&e)
		if _, err := WriteBook([]canon.BookEntry{entries[0], e}, chains(t)); err == nil || !strings.Contains(err.Error(), "entries[1]: "+name) {
			t.Errorf("%s: expected an error that names entries[1], found %v", name, err)
		}
	}
}

func FuzzReadBook(f *testing.F) {
	f.Add([]byte(ExampleBook))
	f.Add([]byte("[[entries]]\nchain=\"eip155:1337\"\naddress=\"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed\"\nclient=\"a\"\naccount=\"*\"\nproof=\"none\""))
	known := chains(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		entries, err := ReadBook(b, known)
		if err != nil {
			return
		}
		text, err := WriteBook(entries, known)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := ReadBook(text, known); err != nil || !reflect.DeepEqual(again, entries) {
			t.Errorf("expected %+v, found %+v, %v", entries, again, err)
		}
	})
}
