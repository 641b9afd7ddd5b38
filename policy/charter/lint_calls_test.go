package charter_test

import (
	"bytes"
	"math/big"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// Contracts of calls: a vault that takes USD, a pool.
var (
	vault = bytes.Repeat([]byte{0x22}, 20)
	pool  = bytes.Repeat([]byte{0x33}, 20)
)

// word returns the 32-byte word of an address.
func word(address []byte) []byte { return append(make([]byte, 12), address...) }

// calls returns what lets USD go into a vault, ether into a pool, and out again.
func calls() []canon.CallRule {
	return []canon.CallRule{
		{Name: "approve", Label: "Let the vault take USD", Chain: chartertest.EVM, Contract: usd(), Signature: charter.ApproveSignature, Arguments: []canon.ArgumentRule{
			{Allow: canon.ArgumentEqual, Values: [][]byte{word(vault), word(pool)}},
			{Allow: canon.ArgumentAtMost, Max: canon.AmountOf(5_000_000), Pays: []canon.AssetID{chartertest.USD}},
		}},
		{Name: "deposit", Chain: chartertest.EVM, Contract: vault, Signature: "deposit(uint256,address)", Arguments: []canon.ArgumentRule{
			{Allow: canon.ArgumentAtMost, Max: canon.AmountOf(5_000_000)}, {Allow: canon.ArgumentSelf},
		}},
		{Name: "stake", Chain: chartertest.EVM, Contract: pool, Signature: "stake(address,bool)", Payable: true, Arguments: []canon.ArgumentRule{
			{Allow: canon.ArgumentBook}, {Allow: canon.ArgumentAny},
		}},
	}
}

// withCalls is chartertest's genesis with calls and a rule for some of them.
func withCalls() canon.Genesis {
	g := chartertest.Genesis()
	g.Calls = calls()
	contracts := chartertest.Genesis().Rules[2]
	contracts.Name, contracts.Calls, contracts.To = "contracts", []canon.Name{"approve", "deposit"}, nil
	g.Rules = append(g.Rules, contracts)
	return g
}

func TestLintAcceptsCallsConfirmedFreezesAndBuilds(t *testing.T) {
	for name, change := range map[string]func(*canon.Genesis){
		"as they are":            func(*canon.Genesis) {},
		"everything optional":    func(g *canon.Genesis) { *g = full() },
		"all calls":              func(g *canon.Genesis) { g.Rules[3].Calls = []canon.Name{canon.Any} },
		"calls that pay nothing": func(g *canon.Genesis) { g.Rules[3].Amounts = nil },
		"calls that are denied":  func(g *canon.Genesis) { g.Rules[0].Calls, g.Rules[0].To = []canon.Name{canon.Any}, nil },
		"cold wallet among all": func(g *canon.Genesis) {
			vault := g.Keys[0]
			vault.ID = "vault"
			g.Keys = append(g.Keys, vault)
			g.Wallets[2].Tier, g.Wallets[2].Key = canon.Cold, "vault"
			g.Rules[3].Wallets = []canon.Name{canon.Any}
		},
		"largest bounded allowance":   func(g *canon.Genesis) { g.Calls[0].Arguments[1].Max = power(96, -2) },
		"approval of another's token": func(g *canon.Genesis) { g.Calls[0].Contract, g.Calls[0].Arguments[1].Pays = pool, nil },
		"burning of what is no token": func(g *canon.Genesis) { *g = called("burn(uint8)", pool) },
		"number of a token by name":   func(g *canon.Genesis) { *g = tokenCalled("rebase(uint256,bool)", named()) },
		"number of a token that pays": func(g *canon.Genesis) { *g = tokenCalled("rebase(uint256,bool)", most(chartertest.USD)) },
		"no arguments":                func(g *canon.Genesis) { *g = called("claim()", pool) },
		"one function of two contracts": func(g *canon.Genesis) {
			r := g.Calls[2]
			r.Name, r.Contract = "stake-too", vault
			g.Calls = append(g.Calls, r)
		},
	} {
		g := withCalls()
		change(&g)
		if err := charter.Lint(g); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// power returns 2^n + d.
func power(n uint, d int64) canon.Amount {
	v := new(big.Int).Lsh(big.NewInt(1), n)
	return canon.Amount(v.Add(v, big.NewInt(d)).Bytes())
}

// called is withCalls with another function in the place of stake, any arguments let through but addresses, which must be in the book.
func called(signature string, contract []byte) canon.Genesis {
	g := withCalls()
	r := canon.CallRule{Name: "stake", Chain: chartertest.EVM, Contract: contract, Signature: signature}
	if _, types, _ := strings.Cut(strings.TrimSuffix(signature, ")"), "("); types != "" {
		for _, kind := range strings.Split(types, ",") {
			r.Arguments = append(r.Arguments, canon.ArgumentRule{Allow: map[bool]canon.ArgumentCheck{true: canon.ArgumentBook, false: canon.ArgumentAny}[kind == "address"]})
		}
	}
	g.Calls[2] = r
	return g
}

// tokenCalled is called on the contract of USD, with a rule for the first argument.
func tokenCalled(signature string, first canon.ArgumentRule) canon.Genesis {
	g := called(signature, usd())
	g.Calls[2].Arguments[0] = first
	return g
}

func named() canon.ArgumentRule {
	return canon.ArgumentRule{Allow: canon.ArgumentEqual, Values: [][]byte{make([]byte, 32)}}
}

func most(pays ...canon.AssetID) canon.ArgumentRule {
	return canon.ArgumentRule{Allow: canon.ArgumentAtMost, Max: canon.AmountOf(9), Pays: pays}
}

var callMutations = []mutation{
	{"freeze confirmed and lifted", func(g *canon.Genesis) { g.Lifted, g.Confirmed = []canon.Digest{{1}}, []canon.Digest{{2}, {1}} }, "confirmed", "confirmed[1]"},
	{"freeze confirmed twice", func(g *canon.Genesis) { g.Confirmed = []canon.Digest{{2}, {2}} }, "confirmed", "confirmed[1]"},
	{"nothing confirmed", func(g *canon.Genesis) { g.Confirmed = []canon.Digest{{}} }, "confirmed", "confirmed[0]"},
	{"build twice", func(g *canon.Genesis) { g.Builds = []canon.Digest{{2}, {2}} }, "builds", "builds[1]"},
	{"build of nothing", func(g *canon.Genesis) { g.Builds = []canon.Digest{{2}, {}} }, "builds", "builds[1]"},
	{"two calls of one name", func(g *canon.Genesis) { g.Calls[1].Name = "stake" }, "names", "calls"},
	{"call named any", func(g *canon.Genesis) { g.Calls[1].Name = canon.Any }, "names", "calls"},
	{"call on an unknown chain", func(g *canon.Genesis) { g.Calls[1].Chain = "eip155:5" }, "references", "calls[deposit].chain"},
	{"call on Bitcoin", func(g *canon.Genesis) { g.Calls[1].Chain = chartertest.Bitcoin }, "call", "calls[deposit].chain"},
	{"call of no contract", func(g *canon.Genesis) { g.Calls[1].Contract = make([]byte, 20) }, "call", "calls[deposit].contract"},
	{"call of a short address", func(g *canon.Genesis) { g.Calls[1].Contract = vault[:19] }, "call", "calls[deposit].contract"},
	{"two entries for one function", func(g *canon.Genesis) {
		r := g.Calls[1]
		r.Name = "deposit-too"
		g.Calls = append(g.Calls, r)
	}, "call", "calls[deposit-too].signature"},
	{"no signature", func(g *canon.Genesis) { g.Calls[1].Signature = "deposit" }, "call", "calls[deposit].signature"},
	{"short form of a type", func(g *canon.Genesis) { g.Calls[1].Signature = "deposit(uint,address)" }, "call", "calls[deposit].signature"},
	{"size that no type has", func(g *canon.Genesis) { g.Calls[1].Signature = "deposit(uint7,address)" }, "call", "calls[deposit].signature"},
	{"size above all", func(g *canon.Genesis) { g.Calls[1].Signature = "deposit(uint264,address)" }, "call", "calls[deposit].signature"},
	{"bytes33", func(g *canon.Genesis) { g.Calls[1].Signature = "deposit(bytes33,address)" }, "call", "calls[deposit].signature"},
	{"dynamic type", func(g *canon.Genesis) { g.Calls[1].Signature = "deposit(bytes,address)" }, "call", "calls[deposit].signature"},
	{"array", func(g *canon.Genesis) { g.Calls[1].Signature = "deposit(uint256[2],address)" }, "call", "calls[deposit].signature"},
	{"tuple", func(g *canon.Genesis) { g.Calls[1].Signature = "deposit((uint256,address))" }, "call", "calls[deposit].signature"},
	{"argument without rule", func(g *canon.Genesis) { drop(&g.Calls[1].Arguments, 1) }, "call", "calls[deposit].arguments"},
	{"rule without argument", func(g *canon.Genesis) { g.Calls[1].Signature = "deposit(uint256)" }, "call", "calls[deposit].arguments"},
	{"unknown check", func(g *canon.Genesis) { g.Calls[1].Arguments[0] = canon.ArgumentRule{Allow: 6} }, "form", "genesis"},
	{"own address that is a number", func(g *canon.Genesis) { g.Calls[1].Signature = "deposit(uint256,uint160)" }, "call", "calls[deposit].arguments[1].allow"},
	{"known address that is bytes", func(g *canon.Genesis) { g.Calls[2].Signature = "stake(bytes20,bool)" }, "call", "calls[stake].arguments[0].allow"},
	{"maximum of a number with sign", func(g *canon.Genesis) { g.Calls[1].Signature = "deposit(int256,address)" }, "call", "calls[deposit].arguments[0].allow"},
	{"maximum of an address", func(g *canon.Genesis) { g.Calls[1].Signature = "deposit(address,address)" }, "call", "calls[deposit].arguments[0].allow"},
	{"maximum beyond its type", func(g *canon.Genesis) { g.Calls[1].Signature = "deposit(uint8,address)" }, "call", "calls[deposit].arguments[0].max"},
	{"no maximum", func(g *canon.Genesis) { g.Calls[1].Arguments[0].Max = nil }, "call", "calls[deposit].arguments[0].max"},
	{"no values", func(g *canon.Genesis) { g.Calls[0].Arguments[0].Values = nil }, "call", "calls[approve].arguments[0].values"},
	{"value twice", func(g *canon.Genesis) { g.Calls[0].Arguments[0].Values[1] = word(vault) }, "call", "calls[approve].arguments[0].values"},
	{"value that is no address", func(g *canon.Genesis) { g.Calls[0].Arguments[0].Values[1][0] = 1 }, "call", "calls[approve].arguments[0].values"},
	{"value that is no word", func(g *canon.Genesis) { g.Calls[0].Arguments[0].Values[1] = vault }, "call", "calls[approve].arguments[0].values"},
	{"payment of an unknown asset", func(g *canon.Genesis) { g.Calls[1].Arguments[0].Pays = []canon.AssetID{chartertest.USD + "0"} }, "references", "calls[deposit].arguments[0].pays"},
	{"payment on another chain", func(g *canon.Genesis) { g.Calls[1].Arguments[0].Pays = []canon.AssetID{chartertest.BTC} }, "call", "calls[deposit].arguments[0].pays"},
	{"any spender", func(g *canon.Genesis) { g.Calls[0].Arguments[0] = canon.ArgumentRule{Allow: canon.ArgumentAny} }, "call", "calls[approve].arguments[0]"},
	{"spender in the book", func(g *canon.Genesis) { g.Calls[0].Arguments[0] = canon.ArgumentRule{Allow: canon.ArgumentBook} }, "call", "calls[approve].arguments[0]"},
	{"any allowance", func(g *canon.Genesis) { g.Calls[0].Arguments[1] = canon.ArgumentRule{Allow: canon.ArgumentAny} }, "call", "calls[approve].arguments[1]"},
	{"unlimited allowance of 96 bits", func(g *canon.Genesis) { g.Calls[0].Arguments[1].Max = power(96, -1) }, "call", "calls[approve].arguments[1]"},
	{"unlimited allowance", func(g *canon.Genesis) { g.Calls[0].Arguments[1].Max = power(256, -1) }, "call", "calls[approve].arguments[1]"},
	{"allowance of one value", func(g *canon.Genesis) {
		g.Calls[0].Arguments[1] = canon.ArgumentRule{Allow: canon.ArgumentEqual, Values: [][]byte{bytes.Repeat([]byte{0xff}, 32)}}
	}, "call", "calls[approve].arguments[1]"},
	{"allowance that counts as nothing", func(g *canon.Genesis) { g.Calls[0].Arguments[1].Pays = nil }, "call", "calls[approve].arguments[1].pays"},
	{"allowance that counts as another asset", func(g *canon.Genesis) { g.Calls[0].Arguments[1].Pays[0] = chartertest.ETH }, "call", "calls[approve].arguments[1].pays"},
	{"any address", func(g *canon.Genesis) { g.Calls[2].Arguments[0] = canon.ArgumentRule{Allow: canon.ArgumentAny} }, "call", "calls[stake].arguments[0].allow"},
	{"any number of a token", func(g *canon.Genesis) { *g = called("rebase(uint256)", usd()) }, "call", "calls[stake].arguments[0]"},
	{"any number with sign of a token", func(g *canon.Genesis) { *g = called("rebase(int256)", usd()) }, "call", "calls[stake].arguments[0]"},
	{"number of a token that counts as nothing", func(g *canon.Genesis) { *g = tokenCalled("rebase(uint256)", most()) }, "call", "calls[stake].arguments[0]"},
	{"number of a token that counts as another", func(g *canon.Genesis) { *g = tokenCalled("rebase(uint256)", most(chartertest.ETH)) }, "call", "calls[stake].arguments[0]"},
	{"number of a token that counts twice", func(g *canon.Genesis) { *g = tokenCalled("rebase(uint256)", most(chartertest.USD, chartertest.ETH)) }, "call", "calls[stake].arguments[0]"},
	{"burning of a token", func(g *canon.Genesis) { *g = called("burn(uint256)", usd()) }, "call", "calls[stake].signature"},
	{"rule with an unknown call", func(g *canon.Genesis) { g.Rules[3].Calls[0] = "none" }, "references", "rules[contracts].calls"},
	{"rule with calls and targets", func(g *canon.Genesis) { g.Rules[3].To = []canon.Target{{Kind: canon.TargetBook}} }, "scope", "rules[contracts].to"},
	{"rule with a call twice", func(g *canon.Genesis) { g.Rules[3].Calls[0] = "deposit" }, "names", "rules[contracts].calls"},
	{"rule with all calls and one", func(g *canon.Genesis) { g.Rules[3].Calls[0] = canon.Any }, "names", "rules[contracts].calls"},
	{"rule that lets calls through alone", func(g *canon.Genesis) { g.Rules[1].Calls = []canon.Name{"stake"} }, "call", "rules[small].action"},
	{"rule with calls of a cold wallet", func(g *canon.Genesis) { g.Wallets[2].Tier = canon.Cold }, "call", "rules[contracts].wallets"},
	{"rule with calls without a fee cap", func(g *canon.Genesis) { g.Rules[3].Amounts, g.Rules[3].FeeCaps = nil, nil }, "fee-caps", "rules[contracts].fee_caps"},
	{"rule with calls without a limit of fees", func(g *canon.Genesis) { g.Rules[3].Amounts, g.Rules[3].Limits = nil, nil }, "limits", "rules[contracts].limits"},
	{"rule of nothing", func(g *canon.Genesis) { g.Rules[3].Amounts, g.Rules[3].Calls = nil, nil }, "scope", "rules[contracts].amounts"},
}

func usd() []byte {
	c, _ := chartertest.USD.Contract()
	return c[:]
}

func TestLintNamesTheRuleThatOneCallBreaks(t *testing.T) {
	for _, m := range callMutations {
		t.Run(m.name, func(t *testing.T) {
			g := withCalls()
			m.change(&g)
			r := refusal.Of(charter.Lint(g))
			if r == nil {
				t.Fatal("expected a refusal, found none")
			}
			for _, f := range r.Failures {
				if f.Rule == m.rule && f.Field == m.field {
					return
				}
			}
			t.Errorf("expected rule %s, field %s; found %v", m.rule, m.field, r)
		})
	}
}
