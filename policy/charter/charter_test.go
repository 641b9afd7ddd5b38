package charter_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

func TestOpenRefusesAnythingButThePinnedGenesis(t *testing.T) {
	b, id, err := canon.Seal(chartertest.Genesis())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := charter.Open(b, id); err != nil {
		t.Fatal(err)
	}
	other := id
	other[0] ^= 1
	if _, err := charter.Open(b, other); refusal.Of(err) == nil {
		t.Errorf("other digest: expected a refusal, found %v", err)
	}
	if _, err := charter.Open(nil, canon.Digest{}); refusal.Of(err) == nil {
		t.Errorf("nothing: expected a refusal, found %v", err)
	}
	junk := append(b[:len(b):len(b)], 0)
	if _, err := charter.Open(junk, canon.KindGenesis.Digest(junk)); err == nil {
		t.Error("trailing byte: expected an error, found none")
	}
}

func TestOpenRefusesWhatLintRefuses(t *testing.T) {
	g := chartertest.Genesis()
	g.Roster.Quorum = 2
	b, id, err := canon.Seal(g)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := charter.Open(b, id); refusal.Of(err) == nil {
		t.Errorf("expected a refusal, found %v", err)
	}
}

func TestLookupsFindEveryEntryAndNothingElse(t *testing.T) {
	g := chartertest.Genesis()
	c := chartertest.Open(t, g)
	found := map[string]bool{}
	note := func(what string, ok bool) { found[what] = ok }
	check := func(what string, want, got any, ok bool) {
		t.Helper()
		note(what, ok)
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
	signer, ok := c.Signer("node-2")
	check("signer", g.Signers[1], signer, ok)
	signer, ok = c.SignerByKey(chartertest.Public("node-2"))
	check("signer by key", g.Signers[1], signer, ok)
	officer, ok := c.OfficerByKey(chartertest.SSH("alice-token"))
	check("officer by key", g.Officers[0], officer, ok)
	officer, ok = c.OfficerByDevice(chartertest.Public("alice-device"))
	check("officer by device", g.Officers[0], officer, ok)
	client, ok := c.ClientByKey(chartertest.Public("beta-2"))
	check("client by key", g.Clients[1], client, ok)
	client, ok = c.ClientByDevice(chartertest.Public("acme-device"))
	check("client by device", g.Clients[0], client, ok)
	coordinator, ok := c.CoordinatorByKey(chartertest.Public("coordinator"))
	check("coordinator", g.Coordinator[0], coordinator, ok)
	native, ok := c.NativeAsset(chartertest.EVM)
	check("native asset", g.Assets[1], native, ok)
	wallet, ok := c.Wallet("eth-hot")
	check("wallet", g.Wallets[2], wallet, ok)
	for what, ok := range found {
		if !ok {
			t.Errorf("%s: expected true, found false", what)
		}
	}
	if _, ok := c.Signer(""); ok {
		t.Error("signer without name: expected false, found true")
	}
	if _, ok := c.SignerByKey(chartertest.Public("alice-device")); ok {
		t.Error("signer by an officer's device: expected false, found true")
	}
	if _, ok := c.OfficerByKey(nil); ok {
		t.Error("officer by no key: expected false, found true")
	}
	if _, ok := c.ClientByKey(chartertest.Public("acme-device")); ok {
		t.Error("client by a device: expected false, found true")
	}
	if n := c.RosterSize(); n != 4 {
		t.Errorf("roster: expected 4, found %d", n)
	}
}

func TestCheckTimeHoldsTheCharterToItsValidity(t *testing.T) {
	c := chartertest.Open(t, chartertest.Genesis())
	for now, want := range map[canon.Time]bool{999: false, 1000: true, 2_000_000_000: true, 2_000_000_001: false} {
		if got := c.CheckTime(now) == nil; got != want {
			t.Errorf("time %d: expected %v, found %v", now, want, got)
		}
	}
}

// officerKey is the key of Genesis's first officer with another public part and class.
func officerKey(public []byte, class canon.KeyClass) func(*canon.Genesis) {
	return func(g *canon.Genesis) { g.Officers[0].Keys[0] = canon.OfficerKey{Public: public, Class: class} }
}

type mutation struct {
	name   string
	change func(*canon.Genesis)
	rule   string // of the failure
	field  string // what its field contains
}

var mutations = []mutation{
	{"two signers of one name", func(g *canon.Genesis) { g.Signers[1].Name = "node-1" }, "names", "signers"},
	{"signer named any", func(g *canon.Genesis) { g.Signers[1].Name = canon.Any }, "names", "signers"},
	{"operator any", func(g *canon.Genesis) { g.Signers[1].Operator = canon.Any }, "names", "operator"},
	{"two rules of one name", func(g *canon.Genesis) { g.Rules[0].Name = "small" }, "names", "rules"},
	{"reserved rule name", func(g *canon.Genesis) { g.Rules[0].Name = "default-deny" }, "names", "default-deny"},
	{"two chains of one id", func(g *canon.Genesis) { g.Chains = append(g.Chains, g.Chains[0]) }, "names", "chains"},
	{"group member any", func(g *canon.Genesis) { g.Groups[0].Members[0] = canon.Any }, "names", "members"},
	{"group member twice", func(g *canon.Genesis) { g.Groups[0].Members[0] = "bob" }, "names", "members"},
	{"group member unknown", func(g *canon.Genesis) { g.Groups[0].Members[0] = "eve" }, "references", "members"},
	{"2q is n+f", func(g *canon.Genesis) { g.Roster = canon.Roster{Quorum: 3, Faults: 2} }, "roster", "quorum"},
	{"q above n", func(g *canon.Genesis) { g.Roster.Quorum = 5 }, "roster", "quorum"},
	{"q beyond all bounds", func(g *canon.Genesis) { g.Roster.Quorum = 1 << 63 }, "roster", "quorum"},
	{"f above n", func(g *canon.Genesis) { g.Roster.Faults = 1 << 63 }, "roster", "faults"},
	{"signer without ledger counts in n", func(g *canon.Genesis) { g.Signers[0].Ledger, g.Signers[1].Ledger = false, false }, "roster", "quorum"},
	{"t is f", func(g *canon.Genesis) { g.Keys[0].Threshold = 1 }, "threshold", "threshold"},
	{"t above q", func(g *canon.Genesis) { g.Keys[0].Threshold = 4 }, "threshold", "threshold"},
	{"t above holders", func(g *canon.Genesis) { g.Keys[0].Threshold, g.Keys[0].Holders = 3, g.Keys[0].Holders[:2] }, "threshold", "threshold"},
	{"epoch 0", func(g *canon.Genesis) { g.Keys[0].Epoch = 0 }, "epoch", "epoch"},
	{"holder twice", func(g *canon.Genesis) { g.Keys[0].Holders[0] = "node-2" }, "names", "holders"},
	{"holder unknown", func(g *canon.Genesis) { g.Keys[0].Holders[0] = "node-9" }, "references", "holders"},
	{"holder without ledger", func(g *canon.Genesis) { g.Signers[0].Ledger = false }, "holders", "holders"},
	{"one operator with t shares", func(g *canon.Genesis) { g.Signers[1].Operator = g.Signers[0].Operator }, "operators", "holders"},
	{"officer's key is a client's", func(g *canon.Genesis) { g.Clients[0].Keys[0] = chartertest.Public("alice") }, "keys", "clients[acme]"},
	{"two officers with one key", func(g *canon.Genesis) { g.Officers[1].Keys[0].Public = chartertest.SSH("alice") }, "keys", "officers[bob]"},
	{"officer's key is his device's", func(g *canon.Genesis) { g.Officers[0].Devices[0] = chartertest.Public("alice") }, "keys", "devices"},
	{"two signers with one identity", func(g *canon.Genesis) { g.Signers[1].Identity = chartertest.Public("node-1") }, "keys", "identity"},
	{"coordinator with a signer's key", func(g *canon.Genesis) { g.Coordinator[0].TLS = chartertest.Public("node-1") }, "keys", "coordinator"},
	{"authority with a client's key", func(g *canon.Genesis) { g.Authorities[0].Key = chartertest.Public("acme") }, "keys", "authorities"},
	{"recovery key of an officer", func(g *canon.Genesis) { g.Recovery[0] = chartertest.SSH("bob") }, "keys", "recovery"},
	{"recovery key of no form", func(g *canon.Genesis) { g.Recovery[0] = []byte("key") }, "keys", "recovery"},
	{"client's key zero", func(g *canon.Genesis) { g.Clients[0].Keys[0] = canon.PublicKey{} }, "keys", "clients[acme]"},
	{"officer without key", func(g *canon.Genesis) { g.Officers[1].Keys = nil }, "keys", "officers[bob]"},
	{"client without key", func(g *canon.Genesis) { g.Clients[0].Keys = nil }, "keys", "clients[acme]"},
	{"officer's key of no form", officerKey(make([]byte, 40), canon.ClassFile), "keys", "officers[alice].keys[0]"},
	{"plain key as presence", officerKey(chartertest.SSH("other"), canon.ClassPresence), "keys", "class"},
	{"quorum of one person", func(g *canon.Genesis) { g.Rules[2].Quorum.AnyOf[0][0].Count = 1 }, "quorum", "rules[large]"},
	{"quorum of nobody", func(g *canon.Genesis) { g.Rules[2].Quorum.AnyOf[0] = nil }, "quorum", "rules[large]"},
	{"quorum without alternative", func(g *canon.Genesis) { g.Amendment.AnyOf = nil }, "quorum", "amendment"},
	{"book quorum of too many", func(g *canon.Genesis) { g.Book.Quorum.AnyOf = [][]canon.Part{{{Group: "officers", Count: 4}}} }, "quorum", "book.quorum"},
	{"quorum of an unknown group", func(g *canon.Genesis) { g.Rules[2].Quorum.AnyOf[0][0].Group = "nobody" }, "references", "rules[large].quorum"},
	{"quorum with a group twice", func(g *canon.Genesis) { g.Rules[2].Quorum.AnyOf[1][1].Group = "officers" }, "names", "rules[large].quorum"},
	{"quorum that classes make unreachable", func(g *canon.Genesis) { g.Groups[0].Weakest = canon.ClassToken; g.Amendment.AnyOf[0][0].Count = 3 }, "quorum", "amendment"},
	{"parts that need one person twice", func(g *canon.Genesis) {
		g.Amendment.AnyOf = [][]canon.Part{{{Group: "officers", Count: 3}, {Group: "security", Count: 2}}}
	}, "quorum", "amendment"},
	{"approve without quorum", func(g *canon.Genesis) { g.Rules[2].Quorum.AnyOf = nil }, "quorum", "rules[large]"},
	{"allow with quorum", func(g *canon.Genesis) { g.Rules[1].Quorum = g.Amendment }, "quorum", "rules[small]"},
	{"rule without limit in an asset", func(g *canon.Genesis) { g.Rules[1].Limits = []canon.Name{"btc-day", "eth-day"} }, "limits", "rules[small]"},
	{"rule with a limit that has not all clients", func(g *canon.Genesis) { g.Limits[0].Clients = []canon.Name{"acme"} }, "limits", "rules[small]"},
	{"rule with a limit that has not all wallets", func(g *canon.Genesis) { g.Limits[0].Wallets = []canon.Name{"btc-house"} }, "limits", "rules[small]"},
	{"rule with an unknown limit", func(g *canon.Genesis) { g.Rules[1].Limits[0] = "none" }, "references", "rules[small].limits"},
	{"rule without fee cap", func(g *canon.Genesis) { g.Rules[1].FeeCaps = g.Rules[1].FeeCaps[:1] }, "fee-caps", "rules[small]"},
	{"fee cap in a token", func(g *canon.Genesis) { g.Rules[1].FeeCaps[0].Asset = chartertest.USD }, "fee-caps", "rules[small]"},
	{"expiry 0", func(g *canon.Genesis) { g.Rules[1].Expiry = 0 }, "duration", "expiry"},
	{"signing 0", func(g *canon.Genesis) { g.Rules[1].Signing = 0 }, "duration", "signing"},
	{"signing above expiry", func(g *canon.Genesis) { g.Rules[1].Signing = g.Rules[1].Expiry + 1 }, "duration", "signing"},
	{"rule for no client", func(g *canon.Genesis) { g.Rules[1].Clients = nil }, "scope", "clients"},
	{"rule for any and more", func(g *canon.Genesis) { g.Rules[1].Clients = []canon.Name{canon.Any, "acme"} }, "names", "clients"},
	{"rule for an unknown wallet", func(g *canon.Genesis) { g.Rules[1].Wallets = []canon.Name{"none"} }, "references", "wallets"},
	{"rule for no asset", func(g *canon.Genesis) { g.Rules[0].Amounts = nil }, "scope", "amounts"},
	{"rule for an unknown asset", func(g *canon.Genesis) { g.Rules[0].Amounts[0].Asset = canon.AssetID(chartertest.EVM + "/slip44:1") }, "references", "amounts"},
	{"rule up to nothing", func(g *canon.Genesis) { g.Rules[1].Amounts[0].Amount = nil }, "amounts", "rules[small]"},
	{"limit of nothing", func(g *canon.Genesis) { g.Limits[0].Amount = nil }, "limits", "limits[btc-day].amount"},
	{"limit beyond all bounds", func(g *canon.Genesis) { g.Limits[0].Amount = append([]byte{0x80}, make([]byte, 31)...) }, "limits", "limits[btc-day].amount"},
	{"rule with a limit for each withdrawal alone", func(g *canon.Genesis) { g.Limits[0].Window = 0 }, "limits", "rules[small].limits"},
	{"limit with an endless window", func(g *canon.Genesis) { g.Limits[0].Window = 1 << 40 }, "duration", "limits[btc-day].window"},
	{"limit in an unknown asset", func(g *canon.Genesis) { g.Limits[0].Asset = canon.AssetID(chartertest.EVM + "/slip44:1") }, "references", "limits[btc-day].asset"},
	{"limit for nobody", func(g *canon.Genesis) { g.Limits[0].Clients = nil }, "scope", "limits[btc-day]"},
	{"clock skew 0", func(g *canon.Genesis) { g.Delays.ClockSkew = 0 }, "duration", "clock_skew"},
	{"loosening 0", func(g *canon.Genesis) { g.Delays.Loosening = 0 }, "duration", "loosening"},
	{"never valid", func(g *canon.Genesis) { g.NotAfter = g.NotBefore }, "validity", "not_after"},
	{"no salt", func(g *canon.Genesis) { g.Salt = canon.Digest{} }, "salt", "salt"},
	{"chain of another kind", func(g *canon.Genesis) { g.Chains[1].Kind, g.Chains[1].HRP = canon.Bitcoin, "bc" }, "chains", "kind"},
	{"chain without coin", func(g *canon.Genesis) { g.Assets[0].ID = canon.AssetID(chartertest.EVM + "/slip44:7") }, "chains", string(chartertest.Bitcoin)},
	{"Bitcoin with two coins", func(g *canon.Genesis) {
		g.Assets = append(g.Assets, canon.Asset{ID: canon.AssetID(chartertest.Bitcoin + "/slip44:0"), Symbol: "XBT", Decimals: 8})
	}, "chains", string(chartertest.Bitcoin)},
	{"coin type of another coin", func(g *canon.Genesis) { g.Chains[1].CoinType = 61 }, "chains", "coin_type"},
	{"Bitcoin with other decimals", func(g *canon.Genesis) { g.Assets[0].Decimals = 7 }, "assets", "decimals"},
	{"ether with other decimals", func(g *canon.Genesis) { g.Assets[1].Decimals = 17 }, "assets", "decimals"},
	{"two assets of one symbol", func(g *canon.Genesis) { g.Assets[2].Symbol = "eth" }, "assets", "symbol"},
	{"asset on an unknown chain", func(g *canon.Genesis) { g.Assets[2].ID = "eip155:5/erc20:" + chartertest.USD[len(chartertest.USD)-42:] }, "references", "assets"},
	{"allocation twice", func(g *canon.Genesis) { g.Allocation = append(g.Allocation, g.Allocation[0]) }, "allocation", "allocation"},
	{"account of an unknown client", func(g *canon.Genesis) { g.Accounts[0].Client = "eve" }, "references", "accounts[acme-main].client"},
	{"two accounts of one client with one number", func(g *canon.Genesis) { g.Accounts[1].Number = 0 }, "accounts", "accounts[acme-savings].number"},
	{"two accounts of one wallet with one number", func(g *canon.Genesis) { g.Accounts[2].Number = 0 }, "wallets", "wallets[btc-hot].accounts"},
	{"house and client in one wallet", func(g *canon.Genesis) { g.Wallets[1].Accounts = []canon.Name{"house-main", "beta-main"} }, "wallets", "wallets[btc-house].accounts"},
	{"wallet without account", func(g *canon.Genesis) { g.Wallets[1].Accounts = nil }, "wallets", "wallets[btc-house].accounts"},
	{"wallet with an unknown account", func(g *canon.Genesis) { g.Wallets[1].Accounts = []canon.Name{"none"} }, "references", "wallets[btc-house].accounts"},
	{"two wallets with one number", func(g *canon.Genesis) { g.Wallets[1].Number = 0 }, "wallets", "wallets[btc-house].number"},
	{"wallet on an unknown chain", func(g *canon.Genesis) { g.Wallets[0].Chain = "eip155:5" }, "references", "wallets[btc-hot].chain"},
	{"wallet under an unknown key", func(g *canon.Genesis) { g.Wallets[0].Key = "none" }, "references", "wallets[btc-hot].key"},
	{"wallet under a key of another algorithm", func(g *canon.Genesis) { g.Keys[0].Algorithm = canon.EdDSA25519 }, "wallets", "wallets[btc-hot].key"},
	{"wallet of no scheme", func(g *canon.Genesis) { g.Wallets[0].Scheme = canon.SchemeCosign + 1 }, "form", "genesis"},
	{"start nonce on Bitcoin", func(g *canon.Genesis) { g.Wallets[0].StartNonce = 1 }, "wallets", "wallets[btc-hot].start_nonce"},
	{"book serial 0", func(g *canon.Genesis) { g.Book.Serial = 0 }, "book", "book.serial"},
	{"book beyond all bounds", func(g *canon.Genesis) { g.Book.Size = 1 << 62 }, "book", "book.size"},
	{"book without root", func(g *canon.Genesis) { g.Book.Root = canon.Digest{} }, "book", "book.root"},
	{"empty book with another root", func(g *canon.Genesis) { g.Book.Size = 0 }, "book", "book.root"},
	{"officer named as recovery keys are", func(g *canon.Genesis) { g.Officers[0].Name = "recovery" }, "names", "officers[recovery]"},
	{"one recovery key", func(g *canon.Genesis) { g.RecoveryCount, g.Delays.Recovery = 1, 86400 }, "quorum", "recovery_count"},
	{"more recovery keys than there are", func(g *canon.Genesis) { g.RecoveryCount, g.Delays.Recovery = 2, 86400 }, "quorum", "recovery_count"},
	{"recovery without delay", func(g *canon.Genesis) { g.RecoveryCount = 2 }, "duration", "delays.recovery"},
	{"recovery faster than officers", func(g *canon.Genesis) { g.RecoveryCount, g.Delays.Recovery = 2, 86399 }, "duration", "delays.recovery"},
	{"delay of a recovery that there is not", func(g *canon.Genesis) { g.Delays.Recovery = 86400 }, "duration", "delays.recovery"},
	{"lift of nothing", func(g *canon.Genesis) { g.Lifted = []canon.Digest{{}} }, "lifted", "lifted[0]"},
	{"lift twice", func(g *canon.Genesis) { g.Lifted = []canon.Digest{{1}, {1}} }, "lifted", "lifted[1]"},
	{"what canon refuses", func(g *canon.Genesis) { g.Label = "a\u202eb" }, "form", "genesis"},
}

func TestLintNamesTheRuleThatOneChangeBreaks(t *testing.T) {
	if err := charter.Lint(chartertest.Genesis()); err != nil {
		t.Fatalf("unchanged: %v", err)
	}
	for _, m := range mutations {
		t.Run(m.name, func(t *testing.T) {
			g := chartertest.Genesis()
			m.change(&g)
			r := refusal.Of(charter.Lint(g))
			if r == nil {
				t.Fatal("expected a refusal, found none")
			}
			for _, f := range r.Failures {
				if f.Rule == m.rule && strings.Contains(f.Field, m.field) {
					return
				}
			}
			t.Errorf("expected rule %s, field with %s; found %v", m.rule, m.field, r)
		})
	}
}

func TestLintNamesAllBrokenRulesAtOnce(t *testing.T) {
	g := chartertest.Genesis()
	g.Roster.Quorum, g.Delays.Unfreeze, g.Wallets[0].Key = 2, 0, "none"
	r := refusal.Of(charter.Lint(g))
	if r == nil || len(r.Failures) < 3 {
		t.Fatalf("expected at least 3 failures, found %v", r)
	}
}

func TestLintTakesAnEmptyGenesisWithoutPanic(t *testing.T) {
	if charter.Lint(canon.Genesis{}) == nil {
		t.Error("expected a refusal, found none")
	}
}

func TestLintAcceptsRecoveryKeysAndLifts(t *testing.T) {
	g := chartertest.Genesis()
	g.Recovery = append(g.Recovery, chartertest.SSH("recovery-2"))
	g.RecoveryCount, g.Delays.Recovery, g.Lifted = 2, 86400, []canon.Digest{{1}, {2}}
	if err := charter.Lint(g); err != nil {
		t.Error(err)
	}
}

func TestSucceedKeepsTheOrganisationAndCountsUp(t *testing.T) {
	c := chartertest.Open(t, chartertest.Genesis())
	if c.Number() != 1 || c.Digest() != c.Organisation() {
		t.Errorf("genesis: expected number 1 and the organisation's id, found %d, %s", c.Number(), c.Digest())
	}
	succeed := func(change func(*canon.Genesis)) (*charter.Charter, error) {
		g := chartertest.Genesis()
		change(&g)
		b, err := canon.Encode(g)
		if err != nil {
			t.Fatal(err)
		}
		return c.Succeed(b, canon.Digest{7})
	}
	next, err := succeed(func(g *canon.Genesis) { g.Limits[0].Window = 60 })
	if err != nil {
		t.Fatal(err)
	}
	limit, _ := next.Limit("btc-day")
	if next.Number() != 2 || next.Digest() != (canon.Digest{7}) || next.Organisation() != c.Organisation() || limit.Window != 60 {
		t.Errorf("expected number 2 with another window, found %d, %s, %d", next.Number(), next.Digest(), limit.Window)
	}
	if _, err := succeed(func(g *canon.Genesis) { g.Salt[1]++ }); refusal.Of(err) == nil {
		t.Errorf("another salt: expected a refusal, found %v", err)
	}
	if _, err := succeed(func(g *canon.Genesis) { g.Roster.Quorum = 2 }); refusal.Of(err) == nil {
		t.Errorf("what Lint refuses: expected a refusal, found %v", err)
	}
	for name, change := range map[string]func(*canon.Book){
		"serial": func(b *canon.Book) { b.Serial++ },
		"size":   func(b *canon.Book) { b.Size++ },
		"root":   func(b *canon.Book) { b.Root[0] ^= 1 },
	} {
		_, err := succeed(func(g *canon.Genesis) { change(&g.Book) })
		r := refusal.Of(err)
		if r == nil || r.Failures[0].Rule != "book" || r.Failures[0].Field != "state.book" || !strings.Contains(r.Failures[0].Expected, "versions of the book") {
			t.Errorf("%s of the book: expected a refusal by book of state.book, found %v", name, err)
		}
	}
	if _, err := succeed(func(g *canon.Genesis) { g.Book.Quorum.AnyOf[0][0].Count = 3 }); err != nil {
		t.Errorf("quorum of the book: %v", err)
	}
	for name, change := range map[string]func(k *canon.Key){
		"threshold": func(k *canon.Key) { k.Threshold++ },
		"holders":   func(k *canon.Key) { k.Holders = k.Holders[:len(k.Holders)-1] },
		"epoch":     func(k *canon.Key) { k.Epoch-- },
	} {
		g := *c.Genesis()
		g.Keys = slices.Clone(g.Keys)
		g.Keys[0].Holders = slices.Clone(g.Keys[0].Holders)
		change(&g.Keys[0])
		b, err := canon.Encode(g)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Succeed(b, canon.Digest{7}); err == nil {
			t.Errorf("%s of a key changed within its epoch: expected a refusal", name)
		}
	}
	if _, err := c.Succeed([]byte{0xa0}, canon.Digest{7}); err == nil {
		t.Error("no charter: expected an error, found none")
	}
}

func TestLintAcceptsLimitsThatCoverARuleOnlyTogether(t *testing.T) {
	g := chartertest.Genesis()
	g.Limits[0].Clients = []canon.Name{"beta", "house"} // acme has btc-acme
	if err := charter.Lint(g); err != nil {
		t.Error(err)
	}
}

// What is recorded under a limit's name would count as something else.
func TestSucceedRefusesALimitThatCountsSomethingElse(t *testing.T) {
	base := withConditions(withCalls())
	c := chartertest.Open(t, base)
	for name, tt := range map[string]struct {
		change func(*canon.Genesis)
		refuse bool
	}{
		"another asset":      {func(g *canon.Genesis) { g.Limits[atOnce].Asset = chartertest.ETH }, true},
		"another unit":       {func(g *canon.Genesis) { g.Limits[atOnce].Unit = canon.UnitCount }, true},
		"another currency":   {func(g *canon.Genesis) { g.Limits[moneyDay+3].Currency = "EUR" }, true},
		"counted together":   {func(g *canon.Genesis) { g.Limits[moneyDay].Per = nil }, true},
		"counted more apart": {func(g *canon.Genesis) { g.Limits[atOnce].Per = []canon.Dimension{canon.PerWallet} }, true},
		"another amount":     {func(g *canon.Genesis) { g.Limits[atOnce].Amount = canon.AmountOf(1) }, false},
		"other scopes":       {func(g *canon.Genesis) { g.Limits[often].Accounts, g.Limits[often].To = nil, nil }, false},
		"another name":       {func(g *canon.Genesis) { g.Limits[moneyDay+3].Name, g.Limits[moneyDay+3].Currency = "new", "EUR" }, false},
	} {
		g := withConditions(withCalls())
		g.Prices = append(g.Prices, g.Prices...)
		for i := range g.Prices[3:] {
			g.Prices[3+i].Currency = "EUR"
		}
		idle := g.Limits[moneyDay]
		idle.Name = "idle"
		g.Limits = append(g.Limits, idle)
		before := seal(t, g)
		now, err := c.Succeed(before, canon.Digest{7})
		if err != nil {
			t.Fatal(err)
		}
		tt.change(&g)
		_, err = now.Succeed(seal(t, g), canon.Digest{8})
		if r := refusal.Of(err); tt.refuse && (r == nil || r.Failures[0].Rule != "limits" || !strings.HasPrefix(r.Failures[0].Field, "state.limits[")) {
			t.Errorf("%s: expected a refusal by limits, found %v", name, err)
		} else if !tt.refuse && err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func seal(t *testing.T, g canon.Genesis) []byte {
	t.Helper()
	b, err := canon.Encode(g)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
