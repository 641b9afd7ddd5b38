package genesis

import (
	"fmt"
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
	if got := c.Genesis.Rules[3].Amounts[0].Amount.String(); got != "2000000" {
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
// start_nonce, whose example is 0, owned, which would keep an entry without evidence from being paid, builds, which would keep every other from running, and the freezes that amendments lifted and confirmed, which
// no genesis has and no hand writes.
func TestEveryFieldOfTheGenesisCanBeWritten(t *testing.T) {
	text := strings.NewReplacer("start_nonce = 0 ", "start_nonce = 7 ", "# builds = ", "builds = ", "owned = false ", "owned = true ").Replace(Example)
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
		{"call that a rule lets through alone", `to = ["book"]`, `calls = ["*"]`, "take a quorum"},
		{"build that is none", `# builds = ["9f`, `builds = ["9`, "64 hexadecimal digits"},
		{"local time", "from = 2026-02-01T00:00:00Z", "from = 2026-02-01T00:00:00", "time: expected one with an offset"},
		{"local end", "not_after = 2031-01-01T00:00:00Z", "not_after = 2031-01-01", "time: expected one with an offset"},
		{"unknown target", `to = ["tier:hot", "tier:warm"]`, `to = ["hot", "tier:warm"]`, `rules[2].to: expected "*", "book"`},
		{"target of no group", `"group:exchanges", "wallet:eth-hot"`, `"group:", "wallet:eth-hot"`, `found "group:"`},
		{"group *", `"group:exchanges", "wallet:eth-hot"`, `"group:*", "wallet:eth-hot"`, `found "group:*"`},
		{"target of an unknown wallet", `"wallet:eth-hot"`, `"wallet:eth-cool"`, "rules[exchanges].to"},
		{"target of a rule with calls", `wallets = ["eth-hot"]                     # cold`, `to = ["*"]
wallets = ["eth-hot"]                     # cold`, "rules[5].to: expected none in a rule with calls"},
		{"any amount and one", `amounts = ["*"]`, `amounts = ["*", "1 ETH"]`, "rules[0].amounts"},
		{"any amount that is allowed", `amounts = ["0.02 BTC", "0.5 ETH", "500 USDX"]`, `amounts = ["*"]`, "rules[small].amounts"},
		{"no floor", `above = ["0.1 ETH", "100 USDX"]`, "above = []", "rules[1].above: expected at least one entry"},
		{"value without currency", `value = { currency = "USD", `, "value = { ", "rules[1].value"},
		{"value of too many decimals", `above = "500", max`, `above = "500.1234567", max`, "rules[1].value.above"},
		{"value that ends before it begins", `above = "500", max = "100000"`, `above = "500", max = "500"`, "rules[1].value: value: expected above, max, or max higher"},
		{"empty value", `value = { currency = "USD", above = "500", max = "100000" }`, `value = { currency = "USD" }`, "rules[1].value: value"},
		{"unknown tier of a rule", `tiers = ["hot", "warm"]                   # of the wallet`, `tiers = ["tepid"]`, "rules[1].tiers"},
		{"no tier", `tiers = ["hot", "warm"]                   # of the wallet`, `tiers = []`, "rules[1].tiers: expected at least one"},
		{"unknown day", `days = ["thu"]`, `days = ["thursday"]`, "rules[1].hours[1]: days"},
		{"no day", `days = ["thu"]`, `days = []`, "rules[1].hours[1]: days"},
		{"time of no clock", `from = "22:00"`, `from = "22h"`, `rules[1].hours[1]: from: expected a time as in "09:30"`},
		{"time after midnight", `to = "24:00"`, `to = "24:01"`, `up to "24:00"`},
		{"span that begins at midnight's end", `from = "22:00"`, `from = "24:00"`, "rules[1].hours[1]: from, to"},
		{"unknown zone", `zone = "America/New_York"`, `zone = "America/Gotham"`, "rules[exchanges].hours[1].zone"},
		{"attribute by nobody", `values = ["good"], authority = "kyc-desk"`, `values = ["good"], authority = ""`, "rules[1].attributes[1].authority"},
		{"attribute without values", `values = ["good"]`, `values = []`, "rules[exchanges].attributes[standing].values"},
		{"empty expression", `when = 'total("ETH") <= amount("20 ETH") || worth("USD") < money("50000 USD")'`, `when = ""`, "rules[1].when"},
		{"expression of two assets", `amount("20 ETH")`, `amount("20 BTC")`, "rules[exchanges].when"},
		{"no delay", `delay = "1h" `, `delay = "0s" `, "rules[1].delay: expected a duration above 0"},
		{"no clearance", `clearances = ["screening", "travel-rule"]`, `clearances = []`, "rules[1].clearances"},
		{"clearance by who states prices", `clearances = ["screening", "travel-rule"]`, `clearances = ["price-desk"]`, "rules[exchanges].clearances"},
		{"hold that lets through", `then = "hold"`, `then = "allow"`, `rules[1].holds[0].then: expected one of ["hold" "deny"]`},
		{"hold without condition", `when = "requests > 20"`, `when = ""`, "rules[1].holds[1].when"},
		{"unknown unit", `unit = "count"`, `unit = "times"`, "limits[4].unit: expected one of"},
		{"count of half a withdrawal", `amount = "20"`, `amount = "0.5"`, "limits[4].amount: expected a number of withdrawals"},
		{"count in money", `amount = "20"`, `amount = "20 USD"`, "limits[4].amount"},
		{"money of no currency", `amount = "1000000 USD"`, `amount = "1000000 dollars"`, "limits[3].amount: currency"},
		{"money without currency", `amount = "1000000 USD"`, `amount = "1000000"`, "limits[3].amount"},
		{"asset of a limit in money", `unit = "money" `, "asset = \"ETH\"\nunit = \"money\" ", "limits[3].asset: expected none"},
		{"no window", `window = "withdrawal"`, `# window`, "limits[5].window: expected a duration"},
		{"window of nothing", `window = "withdrawal"`, `window = "0s"`, "duration above 0 or"},
		{"unknown dimension", `per = ["client"]`, `per = ["rule"]`, "limits[3].per: expected one of"},
		{"dimension twice", `per = ["client"]`, `per = ["client", "client"]`, "per: expected known dimensions in order, each once"},
		{"no dimension", `per = ["client"]`, `per = []`, "limits[3].per: expected at least one"},
		{"no account", `accounts = ["fund-a-part"]                # only`, `accounts = [] #`, "limits[5].accounts"},
		{"no target", `to = ["group:exchanges"] `, `to = [] `, "limits[5].to"},
		{"price of an unknown asset", `asset = "ETH"
currency`, `asset = "ETC"
currency`, "prices[1].asset"},
		{"price with too many decimals", `min = "0.95"`, `min = "0.0000000000001"`, "prices[2].min"},
		{"price without bounds", `max = "1.05"`, `# max`, "prices[2].max"},
		{"unknown profile", `profile = "sfc"`, `profile = "sec"`, "allocation[0].profile"},
		{"profile of a tier", `profile = "sfc"`, "tier = \"hot\"\nprofile = \"sfc\"", "allocation[0]: expected currency, and neither"},
		{"profile without currency", "currency = \"USD\"\ntarget_permill", "target_permill", "allocation[0]: expected currency"},
		{"band of an asset and all", "asset = \"BTC\"", "asset = \"BTC\"\ncurrency = \"USD\"", "allocation[1]: expected profile, or tier"},
		{"band without share", "max_permill = 10 ", "# max", "allocation[1]: expected profile, or tier"},
		{"unknown kind of account", `kind = "pool"`, `kind = "basket"`, "accounts[2]: kind"},
		{"unknown purpose", `purpose = "attribute"`, `purpose = "attributes"`, "authorities[1]: purpose"},
		{"attribute that is no text", `kyc = "enhanced", `, `kyc = 1, `, "kyc"},
		{"unknown scheme", `scheme = "cosign"`, `scheme = "multisig"`, `wallets[5]: scheme: expected one of`},
		{"device of no signer", `devices = [{ signer = "vault-1" }]`, `devices = [{ signer = "vault-7" }]`, "wallets[btc-vault].devices"},
		{"device with an unknown field", `devices = [{ signer = "vault-1" }]`, `devices = [{ signer = "vault-1", slot = 1 }]`, `"wallets.devices.slot"`},
		{"no device", `devices = [{ signer = "vault-1" }]`, `devices = []`, "wallets[5].devices: expected at least one"},
		{"device of scheme mpc", `key = "hot"
number = 1 `, `needed = 1
key = "hot"
number = 1 `, "expected none for scheme mpc"},
		{"short attestation key", `attestation = "03c747`, `attestation = "03`, "wallets[6].devices[0].attestation: expected a compressed public key of 33 bytes, found 31"},
		{"empty attestation key", `attestation = "03c74742528793513d5559b1282b681adcabb40eb945d98a9047379ae3d0c0c3c2"`, `attestation = ""`, "wallets[6].devices[0].attestation"},
		{"attestation key that is no point", `attestation = "03`, `attestation = "05`, "wallets[eth-vault].devices[vault-1].attestation"},
		{"attestation key left out", `, attestation = "03c74742528793513d5559b1282b681adcabb40eb945d98a9047379ae3d0c0c3c2"`, ``, "wallets[eth-vault].devices[vault-1].attestation"},
		{"empty pool", `pool = "c0ffee0000000000000000000000000000000000000000000000000000000001"`, `pool = ""`, "64 hexadecimal digits"},
		{"no pool", `pool = "c0ffee0000000000000000000000000000000000000000000000000000000001"`, ``, "wallets[btc-vault].pool"},
		{"recovery key of an SSH line", `recovery = "032f25`, `recovery = "ssh-ed25519 `, "hexadecimal digits"},
		{"short recovery key", `recovery = "032f25`, `recovery = "03`, "wallets[5].recovery: expected a compressed public key of 33 bytes, found 31"},
		{"unknown backup", `backup = "wrap"                           # none`, `backup = "paper" #`, `wallets[5].backup: expected one of ["none" "wrap"], found "paper"`},
		{"no class of keys", `backup = "wrap"                           # none`, `#`, "backup"},
		{"none needed", `needed = 2 `, `needed = 0 `, "needed"},
		{"unmarked single device", `single_device = true `, `single_device = false `, "wallets[eth-deep].single_device"},
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

func TestProfilesBecomeBandsOfEachAssetAndOfAll(t *testing.T) {
	for profile, most := range map[string]uint64{"sfc": 20, "jfsa": 50, "mas": 100, "kr": 200} {
		c, err := Build([]byte(strings.Replace(Example, `profile = "sfc"`, `profile = "`+profile+`"`, 1)), []byte(ExampleBook))
		if err != nil {
			t.Fatal(err)
		}
		g := c.Genesis
		if len(g.Allocation) != len(g.Assets)+2 {
			t.Fatalf("%s: expected a band for each of %d assets, for all, and one more, found %+v", profile, len(g.Assets), g.Allocation)
		}
		for i, a := range g.Allocation[:len(g.Assets)+1] {
			want := canon.Allocation{Tier: canon.Warm, MaxPermill: most, TargetPermill: 15, MinPermill: 5, Currency: "USD"}
			if i < len(g.Assets) {
				want.Asset, want.Currency = g.Assets[i].ID, ""
			}
			if a != want {
				t.Errorf("%s: expected %+v, found %+v", profile, want, a)
			}
		}
	}
}

func TestConditionsCompileToWhatTheySay(t *testing.T) {
	c, err := Build([]byte(Example), []byte(ExampleBook))
	if err != nil {
		t.Fatal(err)
	}
	r := c.Genesis.Rules[1]
	if got := fmt.Sprintln(r.To, r.Value.Currency, r.Value.Above, r.Value.Max, r.Tiers, r.Delay, r.Clearances, r.Before); got !=
		"[group:exchanges wallet:eth-hot] USD 500000000 100000000000 [1 2] 3600 [screening travel-rule] 1893456000\n" {
		t.Errorf("found %s", got)
	}
	if got := fmt.Sprint(r.Hours, r.Attributes, r.Holds); got != "[{[1 2 3 4 5] 540 1020 Asia/Hong_Kong} {[4] 1320 120 America/New_York}] "+
		"[{kyc [enhanced full] } {standing [good] kyc-desk}] [{new_destination && !known_ip false} {requests > 20 true}]" {
		t.Errorf("found %s", got)
	}
	if r := c.Genesis.Rules[0]; !r.AnyAmount || len(r.Amounts) != 0 || r.To[0].Kind != canon.TargetAny || r.Hours[0].To != 1440 {
		t.Errorf("expected a denial of any amount to anybody, found %+v", r)
	}
	worth, often, places := c.Genesis.Limits[3], c.Genesis.Limits[4], c.Genesis.Limits[5]
	if worth.Unit != canon.UnitMoney || worth.Currency != "USD" || worth.Amount.String() != "1000000000000" || worth.Asset != "" {
		t.Errorf("expected a limit of a million dollars, found %+v", worth)
	}
	if often.Unit != canon.UnitCount || often.Amount.String() != "20" || often.Asset != c.Genesis.Assets[1].ID {
		t.Errorf("expected a limit of 20 withdrawals of ether, found %+v", often)
	}
	if places.Window != 0 || fmt.Sprint(places.Accounts, places.Tiers, places.To) != "[fund-a-part] [1 2] [group:exchanges]" {
		t.Errorf("expected a limit of each withdrawal, found %+v", places)
	}
	if p := c.Genesis.Prices[2]; p.Min.String() != "950000000000" || p.Max.String() != "1050000000000" || p.MaxAge != 86400 {
		t.Errorf("expected prices from 0.95 to 1.05, found %+v", p)
	}
	if a := c.Genesis.Clients[0].Attributes; fmt.Sprint(a) != "[{kyc enhanced} {risk low}]" || !c.Genesis.Clients[2].Treasury {
		t.Errorf("expected attributes sorted by name and a desk, found %+v", c.Genesis.Clients)
	}
}

// Rules under test come from strangers' files too.
func FuzzOverlay(f *testing.F) {
	f.Add(Example, strings.ReplaceAll(Example, "[[rules]]", "[[policy.rules]]"))
	f.Add(Example, "[[policy.rules]]\nto = [\"tier:\"]\nhours = [{}]\nvalue = {}\n[[policy.limits]]\nunit = \"money\"\nper = [\"asset\"]")
	f.Add("[[prices]]\nmin = \"-1\"\n[[allocation]]\nprofile = \"kr\"", "[policy]\nrules = [{when = '\"', holds = [{}]}]")
	f.Fuzz(func(t *testing.T, from, other string) {
		g, err := Overlay([]byte(from), []byte(other))
		if err != nil {
			return
		}
		if charter.Lint(*g) != nil {
			return
		}
		if _, _, err := canon.Seal(*g); err != nil {
			t.Errorf("a charter that lint passed: expected an encoding, found %v", err)
		}
	})
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
