package guard

import (
	"bytes"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/rlp"

	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/wallets/ethereum"
)

var (
	pool = [20]byte{0: 0x77, 19: 0x01}
	desk = [20]byte{0: 0x88, 19: 0x02}
)

const stakeSignature = "stake(uint64,address,address,bytes4,uint256,bool)"

func word(b ...byte) []byte { return append(make([]byte, 32-len(b)), b...) }

func number(n uint64) []byte { return word(canon.AmountOf(n)...) }

// calls are three functions: one whose arguments have each kind of rule, one that takes ether, and an approval of tokens.
func calls() []canon.CallRule {
	atMost := func(n uint64, pays ...canon.AssetID) canon.ArgumentRule {
		return canon.ArgumentRule{Allow: canon.ArgumentAtMost, Max: canon.AmountOf(n), Pays: pays}
	}
	return []canon.CallRule{
		{Name: "stake", Label: "stake in the pool", Chain: evmChain, Contract: pool[:], Signature: stakeSignature, Payable: true,
			Arguments: []canon.ArgumentRule{atMost(10), {Allow: canon.ArgumentSelf}, {Allow: canon.ArgumentBook},
				{Allow: canon.ArgumentEqual, Values: [][]byte{append([]byte{1, 2, 3, 4}, make([]byte, 28)...)}}, atMost(1e9, usd), {Allow: canon.ArgumentAny}}},
		{Name: "approve-desk", Label: "let the desk take tokens", Chain: evmChain, Contract: token[:], Signature: charter.ApproveSignature,
			Arguments: []canon.ArgumentRule{{Allow: canon.ArgumentEqual, Values: [][]byte{word(desk[:]...)}}, atMost(1e9, usd)}},
	}
}

// callsRule takes two officers.
func callsRule() canon.Rule {
	r := rule("calls", canon.ActionApprove, 1, 2, two())
	r.To = nil
	r.Amounts, r.FeeCaps, r.Calls = r.Amounts[1:], r.FeeCaps[1:], []canon.Name{"stake", "approve-desk"}
	return r
}

// callPaper calls stake with 1 ether, 500 of the token, the sender's own address and one of the book, under an exact intent.
func (w *world) callPaper() *paper {
	sender := ethereum.AddressOf(w.child(60, 2, 1, 0, 0).Public)
	words := [][]byte{number(7), word(sender[:]...), word(evmPayee...), append([]byte{1, 2, 3, 4}, make([]byte, 28)...), number(500_000_000), number(1)}
	return w.paperOf("evm-hot", pool, wei(1), stakeSignature, words...)
}

func (w *world) paperOf(wallet canon.Name, to [20]byte, value canon.Amount, signature string, words ...[]byte) *paper {
	f, err := ethereum.ParseSignature(signature)
	if err != nil {
		w.t.Fatal(err)
	}
	p := &paper{client: edKey("acme"), approve: []canon.Name{"alice", "bob"}}
	p.request = w.request(evmChain, wallet, canon.Output{}, canon.AmountOf(4e15))
	p.request.Outputs, p.request.Call = nil, &canon.Call{To: to[:], Value: value, Data: slices.Concat(append([][]byte{f.Selector[:]}, words...)...)}
	p.evm = ethereum.BuildParams{ChainID: 1337, Nonce: 7, Tip: big.NewInt(1e9), FeeCap: big.NewInt(2e10), Gas: 150_000, To: to, Value: value.Int(), Data: p.request.Call.Data}
	p.evidence.Inputs = []canon.OwnPath{{Account: "acme-one"}}
	p.onIntent = w.exact(p)
	return p
}

// exact makes the paper's intent one for the transaction that the paper has then.
func (w *world) exact(p *paper) func(*canon.Intent) {
	return func(i *canon.Intent) {
		w.encodeTransaction(p)
		i.Mode, i.Transactions, i.Inputs = canon.Exact, []canon.Digest{canon.TransactionDigest(p.evidence.Transaction)}, p.evidence.Inputs
		i.Change = p.evidence.Change
	}
}

// proveCall adds the proofs for addresses of the book that the call names.
func (w *world) proveCall(p *paper) {
	for entry := range w.book.All() {
		if len(entry.Address) == 20 && bytes.Contains(p.request.Call.Data, entry.Address) {
			proof, _ := w.book.Prove(entry.Chain, entry.Address, entry.Client)
			p.evidence.Addresses = append(p.evidence.Addresses, proof)
		}
	}
}

func TestContractCallIsSignable(t *testing.T) {
	w := newWorld(t)
	p := w.callPaper()
	s, err := Check(w.encode(p), w.view())
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Signing()[0].Digest.Bytes()
	if err != nil || got != ethereum.Digest(p.evidence.Transaction) {
		t.Errorf("expected the payload's digest, found %x (%v)", got, err)
	}
	if s.Asset() != eth || len(s.Approvers()) != 2 {
		t.Errorf("expected the chain's coin and two approvers, found %s and %v", s.Asset(), s.Approvers())
	}
	charged := map[canon.Name]string{}
	for _, c := range s.Charges() {
		charged[c.Limit] = c.Amount.String()
	}
	if len(charged) != 2 || charged["eth-day"] != "1004000000000000000" || charged["usd-day"] != "500000000" {
		t.Errorf("expected value with the fee cap, and the argument that pays, found %v", charged)
	}
	if err := s.CheckReservation(w.reservation(s), w.view()); err != nil {
		t.Error(err)
	}
	approval := w.paperOf("evm-hot", token, nil, charter.ApproveSignature, word(desk[:]...), number(1e9))
	if _, err := Check(w.encode(approval), w.view()); err != nil {
		t.Error(err)
	}
}

// refusedBy asks for a failure of that rule and field.
func refusedBy(t *testing.T, err error, rule, field, text string) {
	t.Helper()
	r := refusal.Of(err)
	if r == nil || !slices.ContainsFunc(r.Failures, func(f refusal.Failure) bool {
		return f.Rule == rule && f.Field == field && strings.Contains(f.Expected+" found "+f.Found, text)
	}) {
		t.Errorf("expected a refusal by %s of %s with %q, found %v", rule, field, text, err)
	}
}

// What the client, the officers and the transaction agree on is refused all the same where the charter does not allow it.
func TestCallsThatTheCharterDoesNotAllowAreRefusedByName(t *testing.T) {
	most := slices.Repeat([]byte{0xff}, 32)
	for name, c := range map[string]struct {
		to        [20]byte
		signature string
		words     [][]byte
		field     string
		text      string
	}{
		"proxy upgrade":      {pool, "upgradeTo(address)", [][]byte{word(desk[:]...)}, "call.data", "upgradeTo(address)"},
		"delegatecall":       {pool, "delegatecall(address)", [][]byte{word(desk[:]...)}, "call.data", "unknown function"},
		"operator":           {token, "setApprovalForAll(address,bool)", [][]byte{word(desk[:]...), number(1)}, "call.data", "setApprovalForAll(address,bool)"},
		"unlimited approval": {token, charter.ApproveSignature, [][]byte{word(desk[:]...), most}, "call.arguments[1]", "unlimited approval"},
		"unknown selector":   {pool, "collect(address)", [][]byte{word(desk[:]...)}, "call.data", "unknown function"},
		"listed elsewhere":   {desk, charter.ApproveSignature, [][]byte{word(desk[:]...), number(1)}, "call.data", "approve(address,uint256)"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			_, err := Check(w.encode(w.paperOf("evm-hot", c.to, nil, c.signature, c.words...)), w.view())
			refusedBy(t, err, charter.RuleContractCall, c.field, c.text)
		})
	}
}

// A token transfer is a payment: asked for as a call it is refused, whoever agrees.
func TestTransferHiddenInACallIsRefused(t *testing.T) {
	w := newWorld(t)
	p := w.callPaper()
	hidden := w.evmPaper(usd)
	w.encodeTransaction(hidden)
	parsed, err := ethereum.Parse(hidden.evidence.Transaction)
	if err != nil {
		t.Fatal(err)
	}
	p.request.Call = &canon.Call{To: token[:], Data: parsed.Data}
	p.evm = hidden.evm
	_, err = Check(w.encode(p), w.view())
	refusedBy(t, err, charter.RuleContractCall, "call.data", "transfer(address,uint256)")
}

func TestCallNeedsAnExactIntent(t *testing.T) {
	w := newWorld(t)
	p := w.callPaper()
	p.onIntent = nil
	evidence := w.encode(p)
	_, err := Check(evidence, w.view())
	refusedBy(t, err, charter.RuleContractCall, "intent.mode", "exact")
	_, err = Examine(p.evidence.Intent, w.view())
	refusedBy(t, err, charter.RuleContractCall, "intent.mode", "exact")
}

func TestColdWalletTakesPaymentsOnly(t *testing.T) {
	w := newWorld(t)
	_, err := Check(w.encode(w.paperOf("evm-cold", token, nil, charter.ApproveSignature, word(desk[:]...), number(1))), w.view())
	refusedBy(t, err, charter.RuleContractCall, "wallet.tier", "no contract calls")
	p := w.evmPaper(usd)
	p.request.Wallet = "evm-cold"
	p.onIntent = w.exact(p)
	if _, err := Check(w.encode(p), w.view()); err != nil {
		t.Errorf("token transfer: %v", err)
	}
}

func TestArgumentsMustBeTheSenderAndInTheBook(t *testing.T) {
	argument := func(at int, to []byte) func(*world, *paper) {
		return func(_ *world, p *paper) {
			data := bytes.Clone(p.request.Call.Data)
			copy(data[4+32*at:], word(to...))
			p.request.Call.Data, p.evm.Data = data, data
		}
	}
	runTampering(t, (*world).callPaper, []tampering{
		{"another's address as own", "call.arguments[1]", argument(1, evmPayee)},
		{"address of nobody", "call.arguments[2]", argument(2, desk[:])},
		{"address of another account", "call.arguments[2]", argument(2, bytes.Repeat([]byte{0xcc}, 20))},
		{"own address in place of one of the book", "call.arguments[2]", func(w *world, p *paper) {
			sender := ethereum.AddressOf(w.child(60, 2, 1, 0, 0).Public)
			argument(2, sender[:])(w, p)
		}},
		{"proof left out", "call.arguments[2]", func(_ *world, p *paper) { p.onEnd = func(e *canon.Evidence) { e.Addresses = nil } }},
	})
}

// A transaction that calls something else than was approved, in each of its parts.
func TestTransactionOfACallIsTheCall(t *testing.T) {
	changed := func(f func(*ethereum.BuildParams)) func(*world, *paper) {
		return func(_ *world, p *paper) {
			p.evm.Data = bytes.Clone(p.evm.Data)
			f(&p.evm)
		}
	}
	cases := []tampering{
		{"contract", "call.to", changed(func(b *ethereum.BuildParams) { b.To = desk })},
		{"value", "call.value", changed(func(b *ethereum.BuildParams) { b.Value = big.NewInt(1) })},
		{"selector", "call.data", changed(func(b *ethereum.BuildParams) { b.Data[0] ^= 1 })},
		{"a word less", "call.data", changed(func(b *ethereum.BuildParams) { b.Data = b.Data[:len(b.Data)-32] })},
		{"a word more", "call.data", changed(func(b *ethereum.BuildParams) { b.Data = append(b.Data, make([]byte, 32)...) })},
		{"no data", "call.data", changed(func(b *ethereum.BuildParams) { b.Data, b.Amount = nil, b.Value })},
		{"fee", "transaction.fee", changed(func(b *ethereum.BuildParams) { b.Gas = 1_000_000 })},
		{"nonce", "transaction.nonce", changed(func(b *ethereum.BuildParams) { b.Nonce = 2 })},
	}
	for i := range 6 {
		field := "call.arguments[" + string(rune('0'+i)) + "]"
		cases = append(cases, tampering{"argument " + field, field, changed(func(b *ethereum.BuildParams) { b.Data[4+32*i+31] ^= 1 })})
	}
	runTampering(t, (*world).callPaper, cases)
	// One that the officers did not see, though it calls the same, is refused too.
	runTampering(t, (*world).callPaper, []tampering{{"gas", "evidence.transaction", func(w *world, p *paper) {
		exact := p.onIntent
		p.onIntent = func(i *canon.Intent) {
			exact(i)
			p.evm.Gas++
		}
	}}})
}

// A call under a request for a payment is named.
func TestCallHiddenUnderAPaymentIsRefused(t *testing.T) {
	selector := func(b ...byte) func(*world, *paper) {
		return func(w *world, p *paper) {
			p.onEnd = func(e *canon.Evidence) {
				e.Transaction = bytes.Replace(e.Transaction, []byte{0xa9, 0x05, 0x9c, 0xbb}, b, 1)
			}
		}
	}
	runTampering(t, func(w *world) *paper { return w.evmPaper(usd) }, []tampering{
		{"approve", "evidence.transaction", selector(0x09, 0x5e, 0xa7, 0xb3)},
		{"upgrade", "evidence.transaction", selector(0x36, 0x59, 0xcf, 0xe6)},
	})
	w := newWorld(t)
	p := w.evmPaper(usd)
	selector(0x09, 0x5e, 0xa7, 0xb3)(w, p)
	_, err := Check(w.encode(p), w.view())
	refusedBy(t, err, charter.RuleContractCall, "evidence.transaction", "approve(address,uint256)")
}

// Forms of transactions that could do more than they show do not parse, and are named.
func TestOtherFormsOfTransactionsAreRefusedByName(t *testing.T) {
	w := newWorld(t)
	p := w.evmPaper(eth)
	w.encode(p)
	var items []rlp.RawValue
	if err := rlp.DecodeBytes(p.evidence.Transaction[1:], &items); err != nil {
		t.Fatal(err)
	}
	list := func(kind []byte, items ...rlp.RawValue) []byte {
		b, err := rlp.EncodeToBytes(items)
		if err != nil {
			t.Fatal(err)
		}
		return append(kind, b...)
	}
	with := func(at int, v rlp.RawValue) []rlp.RawValue {
		out := slices.Clone(items)
		out[at] = v
		return out
	}
	encode := func(v any) rlp.RawValue {
		b, err := rlp.EncodeToBytes(v)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	exec := encode(append([]byte{0x6a, 0x76, 0x12, 0x02}, make([]byte, 17*32)...)) // Safe's execTransaction with a delegatecall takes more words
	authorisation := encode([]types.SetCodeAuthorization{{Nonce: 7}})
	for name, c := range map[string]struct {
		payload []byte
		text    string
	}{
		"contract creation":    {list([]byte{2}, with(5, rlp.RawValue{0x80})...), "a contract creation"},
		"access list":          {list([]byte{2}, with(8, encode(types.AccessList{{}}))...), "an access list"},
		"type 1":               {list([]byte{1}, items...), "EIP-2930 access list"},
		"blobs":                {list([]byte{3}, append(slices.Clone(items), rlp.RawValue{1}, rlp.RawValue{0xc0})...), "EIP-4844 blobs"},
		"EIP-7702":             {list([]byte{4}, append(slices.Clone(items), authorisation)...), "EIP-7702 authorisations"},
		"legacy":               {list(nil, items[1], items[3], items[4], items[5], items[6], items[7]), "a legacy transaction"},
		"delegatecall carrier": {list([]byte{2}, with(7, exec)...), "execTransaction("},
	} {
		w := newWorld(t)
		p := w.evmPaper(eth)
		p.onEnd = func(e *canon.Evidence) { e.Transaction = c.payload }
		_, err := Check(w.encode(p), w.view())
		refused(t, err, "evidence.transaction")
		if err == nil || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: expected it named %q, found %v", name, c.text, err)
		}
	}
}
