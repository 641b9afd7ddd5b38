package policy_test

import (
	"bytes"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/strongroom/strongroom/policy"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/wallets/ethereum"
	"pgregory.net/rapid"
)

var (
	tokenContract = mustContract(chartertest.USD)
	pool          = bytes.Repeat([]byte{0x77}, 20)
	spender       = bytes.Repeat([]byte{0x88}, 20)
)

func mustContract(id canon.AssetID) []byte {
	c, ok := id.Contract()
	if !ok {
		panic("no token: " + id)
	}
	return c[:]
}

func word(b []byte) []byte   { return append(make([]byte, 32-len(b)), b...) }
func number(n uint64) []byte { return word(canon.AmountOf(n)) }

// callGenesis lets 2 officers approve three calls: an approval of up to 500 USD to one spender, a deposit of ether into a pool, and a stake with
// one argument of each check.
func callGenesis() canon.Genesis {
	g := chartertest.Genesis()
	largest := func(n uint64, pays ...canon.AssetID) canon.ArgumentRule {
		return canon.ArgumentRule{Allow: canon.ArgumentAtMost, Max: canon.AmountOf(n), Pays: pays}
	}
	g.Calls = []canon.CallRule{
		{Name: "approve-desk", Chain: chartertest.EVM, Contract: tokenContract, Signature: "approve(address,uint256)",
			Arguments: []canon.ArgumentRule{{Allow: canon.ArgumentEqual, Values: [][]byte{word(spender)}}, largest(500_000_000, chartertest.USD)}},
		{Name: "deposit", Chain: chartertest.EVM, Contract: pool, Signature: "deposit()", Payable: true},
		{Name: "stake", Chain: chartertest.EVM, Contract: pool, Signature: "stake(uint64,address,address,bytes4,uint256,bool)",
			Arguments: []canon.ArgumentRule{largest(10), {Allow: canon.ArgumentSelf}, {Allow: canon.ArgumentBook},
				{Allow: canon.ArgumentEqual, Values: [][]byte{append([]byte{1, 2, 3, 4}, make([]byte, 28)...), make([]byte, 32)}},
				largest(2_000_000_000, chartertest.USD), {Allow: canon.ArgumentAny}}},
	}
	large := g.Rules[2]
	large.To = nil
	large.Name, large.Calls, large.Accounts, large.Wallets = "calls", []canon.Name{"approve-desk", "stake", "deposit"}, []canon.Name{"acme-main"}, []canon.Name{"eth-hot"}
	large.Amounts = []canon.AssetAmount{{Asset: chartertest.ETH, Amount: canon.AmountOf(3e18)}, {Asset: chartertest.USD, Amount: canon.AmountOf(1_000_000_000)}}
	g.Rules = append(g.Rules, large)
	return g
}

func callRequest(contract []byte, value uint64, signature string, words ...[]byte) *canon.Request {
	f, err := ethereum.ParseSignature(signature)
	if err != nil {
		panic(err)
	}
	r := request(chartertest.ETH)
	r.Call = &canon.Call{To: contract, Value: canon.AmountOf(value), Data: slices.Concat(append([][]byte{f.Selector[:]}, words...)...)}
	return r
}

func approveRequest(n uint64) *canon.Request {
	return callRequest(tokenContract, 0, "approve(address,uint256)", word(spender), number(n))
}

func stakeWords() [][]byte {
	return [][]byte{number(7), word(bytes.Repeat([]byte{1}, 20)), word(bytes.Repeat([]byte{2}, 20)), make([]byte, 32), number(1_000_000), number(1)}
}

const stakeSignature = "stake(uint64,address,address,bytes4,uint256,bool)"

func TestCallsThatTheCharterListsAreApprovedByRule(t *testing.T) {
	c := chartertest.Open(t, callGenesis())
	for name, tt := range map[string]struct {
		r    *canon.Request
		call canon.Name
		paid []canon.AssetAmount
	}{
		"approve":         {approveRequest(500_000_000), "approve-desk", []canon.AssetAmount{{Asset: chartertest.USD, Amount: canon.AmountOf(500_000_000)}}},
		"approve nothing": {approveRequest(0), "approve-desk", nil},
		"deposit":         {callRequest(pool, 2e18, "deposit()"), "deposit", []canon.AssetAmount{{Asset: chartertest.ETH, Amount: canon.AmountOf(2e18)}}},
		"deposit nothing": {callRequest(pool, 0, "deposit()"), "deposit", nil},
		"stake":           {callRequest(pool, 0, stakeSignature, stakeWords()...), "stake", []canon.AssetAmount{{Asset: chartertest.USD, Amount: canon.AmountOf(1_000_000)}}},
	} {
		v := policy.Decide(c, policy.FactsOf(tt.r))
		if v.Action != canon.ActionApprove || v.Rule.Name != "calls" || v.Explanation != nil {
			t.Errorf("%s: expected approval by rule calls of %s, found %+v", name, tt.call, v)
			continue
		}
		m, err := policy.CallOf(c, tt.r)
		if err != nil || m.Rule.Name != tt.call || !bytes.Equal(m.Call.Data(), tt.r.Call.Data) {
			t.Errorf("%s: expected entry %s, found %+v, %v", name, tt.call, m, err)
			continue
		}
		same := func(a, b canon.AssetAmount) bool { return a.Asset == b.Asset && bytes.Equal(a.Amount, b.Amount) }
		if !slices.EqualFunc(m.Paid, tt.paid, same) {
			t.Errorf("%s: expected %v paid, found %v", name, tt.paid, m.Paid)
		}
	}
	m, err := policy.CallOf(c, callRequest(pool, 0, stakeSignature, stakeWords()...))
	if err != nil {
		t.Fatal(err)
	}
	own, known := policy.Argument{Field: "call.arguments[1]", Address: [20]byte(bytes.Repeat([]byte{1}, 20))}, policy.Argument{Field: "call.arguments[2]", Address: [20]byte(bytes.Repeat([]byte{2}, 20))}
	if !slices.Equal(m.Self, []policy.Argument{own}) || !slices.Equal(m.Book, []policy.Argument{known}) {
		t.Errorf("expected %v and %v, found %v and %v", own, known, m.Self, m.Book)
	}
}

// denial asks for a denial with a failure of rule and field whose text has all parts.
func denial(t *testing.T, name string, v policy.Verdict, rule, field string, parts ...string) {
	t.Helper()
	why := refusal.Of(v.Explanation)
	if v.Action != canon.ActionDeny || why == nil {
		t.Errorf("%s: expected a denial, found %+v", name, v)
		return
	}
	if !slices.ContainsFunc(why.Failures, func(f refusal.Failure) bool {
		missing := func(p string) bool { return !strings.Contains(f.Expected+" found "+f.Found, p) }
		return f.Rule == rule && f.Field == field && !slices.ContainsFunc(parts, missing)
	}) {
		t.Errorf("%s: expected a failure of %s at %s with %q, found %v", name, rule, field, parts, why)
	}
}

func TestCallsThatTheCharterDoesNotListAreDeniedByName(t *testing.T) {
	c := chartertest.Open(t, callGenesis())
	most := slices.Repeat([]byte{0xff}, 32)
	brink := append(make([]byte, 20), slices.Repeat([]byte{0xff}, 12)...) // 2^96-1
	odd := approveRequest(1)
	odd.Call.Data = odd.Call.Data[:67]
	many := callRequest(pool, 0, "deposit()")
	many.Call.Data = append(many.Call.Data, make([]byte, 17*32)...)
	bitcoin := approveRequest(1)
	bitcoin.Chain = chartertest.Bitcoin
	empty := approveRequest(1)
	empty.Call.Data = nil
	for name, tt := range map[string]struct {
		r     *canon.Request
		field string
		parts []string
	}{
		"proxy upgrade":      {callRequest(pool, 0, "upgradeTo(address)", word(spender)), "call.data", []string{"upgradeTo(address)"}},
		"token transfer":     {callRequest(tokenContract, 0, "transfer(address,uint256)", word(spender), number(1)), "call.data", []string{"transfer(address,uint256)", "payment"}},
		"transferFrom":       {callRequest(tokenContract, 0, "transferFrom(address,address,uint256)", word(pool), word(spender), number(1)), "call.data", []string{"transferFrom"}},
		"operator":           {callRequest(tokenContract, 0, "setApprovalForAll(address,bool)", word(spender), number(1)), "call.data", []string{"setApprovalForAll(address,bool)"}},
		"unlimited":          {callRequest(tokenContract, 0, "approve(address,uint256)", word(spender), most), "call.arguments[1]", []string{"below 2^96-1", "unlimited approval"}},
		"unlimited, 96 bits": {callRequest(tokenContract, 0, "approve(address,uint256)", word(spender), brink), "call.arguments[1]", []string{"unlimited approval"}},
		"unknown function":   {callRequest(pool, 0, "withdraw(uint256)", number(1)), "call.data", []string{"unknown function, 0x2e1a7d4d"}},
		"approve of another": {callRequest(pool, 0, "approve(address,uint256)", word(spender), number(1)), "call.data", []string{"approve(address,uint256)", "0x7777"}},
		"stake elsewhere":    {callRequest(tokenContract, 0, stakeSignature, stakeWords()...), "call.data", []string{stakeSignature}},
		"a word too many":    {callRequest(pool, 0, "deposit()", number(1)), "call.data", []string{"deposit()", "0 arguments of deposit()"}},
		"odd length":         {odd, "call.data", []string{"67 bytes"}},
		"17 words":           {many, "call.data", []string{"up to 16 words"}},
		"no data":            {empty, "call.data", []string{"0 bytes"}},
		"on bitcoin":         {bitcoin, "call", []string{"EVM"}},
		"value, not payable": {callRequest(tokenContract, 1, "approve(address,uint256)", word(spender), number(1)), "call.value", []string{"approve-desk"}},
		"other spender":      {callRequest(tokenContract, 0, "approve(address,uint256)", word(pool), number(1)), "call.arguments[0]", []string{"one of 0x8888", "0x7777", "approve-desk"}},
		"above the maximum":  {approveRequest(500_000_001), "call.arguments[1]", []string{"0 to 500000000", "500000001"}},
	} {
		denial(t, name, policy.Decide(c, policy.FactsOf(tt.r)), charter.RuleContractCall, tt.field, tt.parts...)
		if m, err := policy.CallOf(c, tt.r); m != nil || refusal.Of(err) == nil {
			t.Errorf("%s: expected a refusal, found %+v, %v", name, m, err)
		}
	}
}

func TestEveryArgumentIsCheckedByItself(t *testing.T) {
	c := chartertest.Open(t, callGenesis())
	dirty := word(spender)
	dirty[0] = 1
	for _, tt := range []struct {
		at    int
		word  []byte
		field string
	}{
		{0, number(11), "call.arguments[0]"},
		{0, word(power64().Bytes()), "call.arguments[0]"}, // no uint64
		{1, dirty, "call.arguments[1]"},
		{2, dirty, "call.arguments[2]"},
		{3, append([]byte{1, 2, 3, 5}, make([]byte, 28)...), "call.arguments[3]"},
		{3, append([]byte{1, 2, 3, 4, 1}, make([]byte, 27)...), "call.arguments[3]"},
		{4, number(2_000_000_001), "call.arguments[4]"},
		{5, number(2), "call.arguments[5]"},
	} {
		words := stakeWords()
		words[tt.at] = tt.word
		denial(t, tt.field, policy.Decide(c, policy.FactsOf(callRequest(pool, 0, stakeSignature, words...))), charter.RuleContractCall, tt.field)
	}
}

func power64() *big.Int { return new(big.Int).Lsh(big.NewInt(1), 64) }

// What a call pays keeps to the rule's amounts as a payment does, and payments and calls never match each other's rules.
func TestCallsCountAsPayments(t *testing.T) {
	g := callGenesis()
	c := chartertest.Open(t, g)
	words := stakeWords()
	words[4] = number(1_000_000_001)
	denial(t, "argument", policy.Decide(c, policy.FactsOf(callRequest(pool, 0, stakeSignature, words...))), "calls", "amount", "at most 1000 USD", "1000.000001 USD")
	denial(t, "coin", policy.Decide(c, policy.FactsOf(callRequest(pool, 3e18+1, "deposit()"))), "calls", "amount", "at most 3 ETH")
	savings := approveRequest(1)
	savings.Account = "acme-savings"
	denial(t, "other account", policy.Decide(c, policy.FactsOf(savings)), "calls", "account", "acme-main")
	denial(t, "payments' rule", policy.Decide(c, policy.FactsOf(savings)), "large", "call", "payments only")
	payment := request(chartertest.USD, 200_000_000_000)
	denial(t, "payment", policy.Decide(c, policy.FactsOf(payment)), "calls", "call", "one of approve-desk, stake, deposit", "a payment")
	if v := policy.Decide(c, policy.FactsOf(request(chartertest.USD, 2_000_000_000))); v.Rule == nil || v.Rule.Name != "large" {
		t.Errorf("payment: expected rule large, found %+v", v)
	}
	g.Rules[3].Calls = []canon.Name{"deposit"}
	denial(t, "not of the rule", policy.Decide(chartertest.Open(t, g), policy.FactsOf(approveRequest(1))), "calls", "call", "one of deposit")
	g.Rules[3].Calls = []canon.Name{canon.Any}
	if v := policy.Decide(chartertest.Open(t, g), policy.FactsOf(approveRequest(1))); v.Action != canon.ActionApprove {
		t.Errorf("any: expected approval, found %+v", v)
	}
}

// Payees of calls are in no group, and an expression must not take that for an answer.
func TestGroupsOfACallHaveNoAnswer(t *testing.T) {
	for _, when := range []string{`payments.all(p, !("sanctioned" in p.groups))`, `payments.exists(p, size(p.groups) == 0)`} {
		g := callGenesis()
		g.Rules[3].When = when
		v := policy.Decide(chartertest.Open(t, g), policy.FactsOf(approveRequest(1)))
		if v.Action != canon.ActionDeny || v.Rule == nil || v.Rule.Name != "calls" {
			t.Errorf("%s: expected the rules to stop at calls, found %+v", when, v)
		}
	}
}

func TestChargesCountWhatCallsPay(t *testing.T) {
	g := callGenesis()
	c := chartertest.Open(t, g)
	charges := func(r *canon.Request) map[canon.Name]string {
		out := map[canon.Name]string{}
		for _, charge := range charges(t, c, &g.Rules[3], policy.FactsOf(r), canon.AmountOf(5)) {
			out[charge.Limit] = charge.Amount.String()
		}
		return out
	}
	if got := charges(approveRequest(77)); len(got) != 2 || got["usd-day"] != "77" || got["eth-day"] != "5" {
		t.Errorf("approve: expected 77 and the fee cap, found %v", got)
	}
	if got := charges(callRequest(pool, 100, "deposit()")); len(got) != 1 || got["eth-day"] != "105" {
		t.Errorf("deposit: expected value and fee cap, found %v", got)
	}
	most := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 256), big.NewInt(1)).String()
	for name, r := range map[string]*canon.Request{"unlisted": callRequest(pool, 0, "withdraw(uint256)", number(1)), "above": approveRequest(500_000_001)} {
		if got := charges(r); got["usd-day"] != most || got["eth-day"] != most {
			t.Errorf("%s: expected what no limit has, found %v", name, got)
		}
	}
}

func TestCallsHaveCountersOfTheirContract(t *testing.T) {
	g := callGenesis()
	any := []canon.Name{canon.Any}
	g.Limits = append(g.Limits, canon.Limit{Name: "often", Unit: canon.UnitCount, Amount: canon.AmountOf(9), Window: 60, Clients: any, Wallets: any,
		Per: []canon.Dimension{canon.PerDestination}, To: []canon.Target{{Kind: canon.TargetBook, Name: "exchanges"}}},
		canon.Limit{Name: "coins", Asset: chartertest.ETH, Amount: canon.AmountOf(9), Window: 60, Clients: any, Wallets: any, Per: []canon.Dimension{canon.PerDestination, canon.PerAsset}},
		canon.Limit{Name: "paying", Unit: canon.UnitCount, Asset: chartertest.ETH, Amount: canon.AmountOf(9), Window: 60, Clients: any, Wallets: any})
	g.Rules[3].Limits = append(slices.Clone(g.Rules[3].Limits), "often", "coins", "paying")
	g.Rules[3].When = `call == "deposit" && payments.all(p, p.asset == asset("ETH")) || call == "approve-desk"`
	c := chartertest.Open(t, g)
	for name, tt := range map[string]struct {
		r    *canon.Request
		want []canon.Charge
	}{
		"a call that pays": {callRequest(pool, 100, "deposit()"), []canon.Charge{
			{Limit: "eth-day", Amount: canon.AmountOf(105)},
			{Limit: "often", Amount: canon.AmountOf(1), Counter: "destination=" + strings.Repeat("77", 20)},
			{Limit: "coins", Amount: canon.AmountOf(105), Counter: "destination=" + strings.Repeat("77", 20) + " asset=" + string(chartertest.ETH)},
			{Limit: "paying", Amount: canon.AmountOf(1)}}},
		"a call that pays nothing": {approveRequest(0), []canon.Charge{
			{Limit: "eth-day", Amount: canon.AmountOf(5)},
			{Limit: "often", Amount: canon.AmountOf(1), Counter: "destination=5fbdb2315678afecb367f032d93f642f64180aa3"},
			{Limit: "coins", Amount: canon.AmountOf(5), Counter: "destination=5fbdb2315678afecb367f032d93f642f64180aa3 asset=" + string(chartertest.ETH)}}},
	} {
		v := policy.Decide(c, policy.FactsOf(tt.r))
		if v.Action != canon.ActionApprove || v.Rule.Name != "calls" {
			t.Fatalf("%s: expected the rule of calls, found %+v", name, v)
		}
		if diff := cmp.Diff(tt.want, charges(t, c, v.Rule, policy.FactsOf(tt.r), canon.AmountOf(5))); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if v := policy.Decide(c, policy.FactsOf(callRequest(pool, 0, stakeSignature, stakeWords()...))); v.Action != canon.ActionDeny {
		t.Errorf("expected a denial of what the expression does not name, found %+v", v)
	}
}

// Whatever call data a client signs, the policy answers, and lets through only words that the charter's entry lets through.
func TestNoCallDataPassesBesideItsEntry(t *testing.T) {
	c := chartertest.Open(t, callGenesis())
	good := callRequest(pool, 0, stakeSignature, stakeWords()...)
	passed := 0
	rapid.Check(t, func(rt *rapid.T) {
		r := *good
		data := bytes.Clone(good.Call.Data)
		for range rapid.IntRange(0, 2).Draw(rt, "changes") {
			data[rapid.IntRange(0, len(data)-1).Draw(rt, "at")] ^= byte(rapid.IntRange(0, 255).Draw(rt, "by"))
		}
		r.Call = &canon.Call{To: pool, Data: data}
		v := policy.Decide(c, policy.FactsOf(&r))
		zeros := func(from, to int) bool { return bytes.Count(data[4+from:4+to], []byte{0}) == to-from }
		method := data[4+96 : 4+128]
		same := bytes.Equal(data[:4], good.Call.Data[:4]) && zeros(0, 31) && data[4+31] <= 10 && zeros(32, 44) && zeros(64, 76) &&
			(bytes.Equal(method, make([]byte, 32)) || bytes.Equal(method[:4], []byte{1, 2, 3, 4}) && zeros(100, 128)) &&
			new(big.Int).SetBytes(data[4+128:4+160]).Cmp(big.NewInt(1_000_000_000)) <= 0 && zeros(160, 191) && data[4+191] <= 1
		if same != (v.Action == canon.ActionApprove) || (v.Action == canon.ActionDeny) == (refusal.Of(v.Explanation) == nil) {
			rt.Fatalf("%x: expected allowed %v, found %+v", data, same, v)
		}
		if same {
			passed++
		}
	})
	if passed == 0 {
		t.Error("expected some to pass")
	}
}
