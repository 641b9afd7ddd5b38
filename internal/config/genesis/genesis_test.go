package genesis

import (
	"reflect"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
)

func TestExampleCompilesToACharterThatOpens(t *testing.T) {
	c, err := Build([]byte(Example), []byte(ExampleBook))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := charter.Open(c.Document, c.Digest); err != nil {
		t.Fatal(err)
	}
	if got := c.Genesis.Rules[0].Amounts[0].Amount.String(); got != "2000000" {
		t.Errorf("0.02 BTC: expected 2000000 satoshi, found %s", got)
	}
	if got := c.Genesis.Limits[2].Amount.String(); got != "20000000000" {
		t.Errorf("20000 USDX: expected 20000000000, found %s", got)
	}
	if got := c.Genesis.Delays.FreezeLapse; got != 72*3600 {
		t.Errorf("freeze lapse: expected 259200 seconds, found %d", got)
	}
}

// A field that no TOML can set would make a charter that nobody can write. Every field is set somewhere in the example, but for
// start_nonce, whose example is 0, builds, which would keep every other from running, and the freezes that amendments lifted and confirmed, which
// no genesis has and no hand writes.
func TestEveryFieldOfTheGenesisCanBeWritten(t *testing.T) {
	text := strings.NewReplacer("start_nonce = 0 ", "start_nonce = 7 ", "# builds = ", "builds = ").Replace(Example)
	c, err := Build([]byte(text), []byte(ExampleBook))
	if err != nil {
		t.Fatal(err)
	}
	set := map[string]bool{}
	mark(reflect.ValueOf(c.Genesis), "genesis", set)
	for field, ok := range set {
		if !ok && field != "genesis.Lifted" && field != "genesis.Confirmed" {
			t.Errorf("%s: zero in every place of the example", field)
		}
	}
	if len(set) < 80 {
		t.Errorf("expected at least 80 fields, found %d", len(set))
	}
}

// mark notes for every field of the structs within v whether any of them is other than zero.
func mark(v reflect.Value, path string, set map[string]bool) {
	switch {
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			name := path + "." + v.Type().Field(i).Name
			set[name] = set[name] || !v.Field(i).IsZero()
			mark(v.Field(i), name, set)
		}
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() != reflect.Uint8:
		for i := range v.Len() {
			mark(v.Index(i), path+"[]", set)
		}
	}
}

func TestBookEntriesAreProvable(t *testing.T) {
	c, err := Build([]byte(Example), []byte(ExampleBook))
	if err != nil {
		t.Fatal(err)
	}
	tree, err := book.Build(c.Entries)
	if err != nil {
		t.Fatal(err)
	}
	if tree.Root() != c.Genesis.Book.Root || c.Genesis.Book.Size != 2 {
		t.Errorf("root: expected %s of 2 entries, found %s of %d", tree.Root(), c.Genesis.Book.Root, c.Genesis.Book.Size)
	}
	if _, ok := tree.Prove(c.Entries[0].Chain, c.Entries[0].Address, "fund-a"); !ok {
		t.Error("expected a proof for the first entry, found none")
	}
	if _, ok := tree.Prove(c.Entries[0].Chain, c.Entries[0].Address, "house"); ok {
		t.Error("expected no proof for another client, found one")
	}
}

func TestMistakesAreNamed(t *testing.T) {
	tests := []struct{ name, old, new, want string }{
		{"unknown key", "faults = 1", "faults = 1\nfault = 1", `"roster.fault"`},
		{"duration without unit", `"72h"`, `"72"`, "with a unit"},
		{"duration below a second", `"72h"`, `"1500ms"`, "whole seconds"},
		{"amount without asset", `"2 BTC"`, `"2"`, "a number and an asset"},
		{"amount of unknown asset", `"2 BTC"`, `"2 XBT"`, `"XBT"`},
		{"amount with too many decimals", `"2 BTC"`, `"2.000000001 BTC"`, "limits[0].amount"},
		{"unknown action", `action = "allow"`, `action = "alow"`, `"alow"`},
		{"unknown tier", `tier = "hot"  `, `tier = "tepid" `, `"tepid"`},
		{"no salt", "salt = ", "# salt = ", "salt: expected 64"},
		{"short key", `tls = "`, `tls = "00`, "64 hexadecimal digits"},
		{"key that is none", `"ssh-ed25519 A`, `"ssh-ed25519 B`, "authorized_keys"},
		{"unknown check", `{ allow = "self" }`, `{ allow = "own" }`, "calls[1].arguments[1]"},
		{"maximum of an address", `{ allow = "self" }`, `{ allow = "self", max = "5" }`, `a max for "at-most" alone`},
		{"no value", `{ allow = "self" }`, `{ allow = "equal" }`, `values for "equal" alone`},
		{"maximum of half a unit", `"5000000000"`, `"0.5"`, "calls[1].arguments[0]: max"},
		{"value that is no address", `"0xCfEB869F69431e42cdB54A4F4f105C19C080A601"] }`, `"0xcfEB869F69431e42cdB54A4F4f105C19C080A601"] }`, "calls[0].arguments[0]: values"},
		{"signature with a short form", `deposit(uint256,address)`, `deposit(uint,address)`, "calls[1].signature"},
		{"argument too many", `deposit(uint256,address)`, `deposit(uint256)`, "calls[1].arguments: expected 1"},
		{"call on no chain", "chain = \"eip155:1337\"\ncontract", "chain = \"eip155:1\"\ncontract", "calls[0].chain"},
		{"contract that is none", `contract = "0x254d`, `contract = "0x254e`, "calls[2].contract"},
		{"function that hands over control", `stake(address,bool)`, `transferOwnership(address,bool)`, "changes who controls a contract"},
		{"call that a rule lets through alone", `limits = ["btc-day", "eth-day", "usdx-day"]`, "limits = [\"btc-day\", \"eth-day\", \"usdx-day\"]\ncalls = [\"*\"]", "take a quorum"},
		{"build that is none", `# builds = ["9f`, `builds = ["9`, "64 hexadecimal digits"},
		{"ambiguous symbol", `symbol = "USDX"`, `symbol = "ETH"`, "for 2 of them"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text := strings.Replace(Example, tt.old, tt.new, 1)
			if text == Example {
				t.Fatalf("example does not hold %q", tt.old)
			}
			_, err := Build([]byte(text), []byte(ExampleBook))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("expected an error with %q, found %v", tt.want, err)
			}
		})
	}
}

func TestBookMistakesAreNamed(t *testing.T) {
	chains := []canon.Chain{{ID: "eip155:1337", Kind: canon.EVM, Depth: 1}}
	for name, text := range map[string]string{
		"chain":   "[[entries]]\nchain=\"eip155:1\"",
		"address": "[[entries]]\nchain=\"eip155:1337\"\naddress=\"0x12\"",
		"proof":   "[[entries]]\nchain=\"eip155:1337\"\naddress=\"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed\"\nproof=\"oath\"",
		"size":    "# " + strings.Repeat("x", maxBook),
	} {
		if _, err := ReadBook([]byte(text), chains); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: expected an error that names it, found %v", name, err)
		}
	}
}

func FuzzBuild(f *testing.F) {
	f.Add([]byte(Example), []byte(ExampleBook))
	f.Add([]byte("label = 1"), []byte(""))
	f.Add([]byte("[[assets]]\nsymbol=\"A\"\n[[limits]]\namount=\"1 A\""), []byte("[[entries]]"))
	f.Fuzz(func(t *testing.T, from, book []byte) {
		c, err := Build(from, book)
		if err != nil {
			return
		}
		if canon.KindGenesis.Digest(c.Document) != c.Digest {
			t.Error("digest: expected that of the document")
		}
	})
}
