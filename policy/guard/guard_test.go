package guard

import (
	"bytes"
	"encoding/hex"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/wire"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/wallets/bitcoin"
	"github.com/strongroom/strongroom/wallets/ethereum"
)

// refused asks for a refusal that names the field.
func refused(t *testing.T, err error, field string) {
	t.Helper()
	r := refusal.Of(err)
	if r == nil {
		t.Fatalf("expected a refusal of %s, found %v", field, err)
	}
	for _, f := range r.Failures {
		if f.Rule == "" || f.Field == "" || f.Expected == "" || f.Found == "" {
			t.Errorf("expected rule, field, expected and found, found %+v", f)
		}
		if strings.Contains(f.Field, field) {
			return
		}
	}
	t.Errorf("expected a refusal of %s, found %v", field, err)
}

func TestBitcoinWithdrawalIsSignable(t *testing.T) {
	w := newWorld(t)
	p := w.bitcoinPaper()
	s, err := Check(w.encode(p), w.view())
	if err != nil {
		t.Fatal(err)
	}
	want, err := bitcoin.Digests(p.tx, []*wire.TxOut{p.previous[0].TxOut[1], p.previous[1].TxOut[1]}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, in := range s.Signing() {
		got, err := in.Digest.Bytes()
		if err != nil || got != want[i] || in.Public != w.child(1, 1, 1, 0, uint64(i)).Public {
			t.Errorf("input %d: expected digest %x under the child key, found %x (%v)", i, want[i], got, err)
		}
	}
	if len(s.Signing()) != 2 || len(s.Anchors()) != 2 || s.Anchor().Number != 1 {
		t.Errorf("expected two inputs, the first as anchor, found %+v", s.Anchors())
	}
	if len(s.Approvers()) != 2 || s.Withdrawal() != p.request.WithdrawalID() {
		t.Errorf("expected two approvers, found %v", s.Approvers())
	}
	if c := s.Charges(); len(c) != 1 || c[0].Amount.Int().Int64() != 100_020_000 {
		t.Errorf("expected amount and fee cap as charge, found %+v", c)
	}
	if s.NotAfter() != canon.TimeOf(start)+1200 {
		t.Errorf("expected the end of the approvals, found %s", s.NotAfter().At())
	}
}

func TestEVMWithdrawalsAreSignable(t *testing.T) {
	for _, asset := range []canon.AssetID{eth, usd} {
		w := newWorld(t)
		p := w.evmPaper(asset)
		evidence := w.encode(p)
		s, err := Check(evidence, w.view())
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.Signing()[0].Digest.Bytes()
		if err != nil || got != ethereum.Digest(p.evidence.Transaction) {
			t.Errorf("%s: expected the payload's digest, found %x (%v)", asset, got, err)
		}
		sender := ethereum.AddressOf(w.child(60, 2, 1, 0, 0).Public)
		if a := s.Anchor(); !bytes.Equal(a.Account, sender[:]) || a.Number != 7 {
			t.Errorf("%s: expected sender and nonce as anchor, found %+v", asset, a)
		}
	}
}

// tampering is what a hostile coordinator does to a withdrawal, and the field that the refusal must name.
type tampering struct {
	name  string
	field string
	do    func(w *world, p *paper)
}

func runTampering(t *testing.T, newPaper func(w *world) *paper, cases []tampering) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			p := newPaper(w)
			c.do(w, p)
			_, err := Check(w.encode(p), w.view())
			refused(t, err, c.field)
		})
	}
}

func TestTamperedBitcoinTransactionIsRefused(t *testing.T) {
	runTampering(t, (*world).bitcoinPaper, []tampering{
		{"destination", "outputs[0].address", func(_ *world, p *paper) { p.tx.TxOut[0].PkScript = stranger }},
		{"amount up", "outputs[0].amount", func(_ *world, p *paper) { p.tx.TxOut[0].Value++; p.tx.TxOut[1].Value-- }},
		{"amount down", "outputs[0].amount", func(_ *world, p *paper) { p.tx.TxOut[0].Value-- }},
		{"payment left out", "outputs[0]", func(_ *world, p *paper) {
			p.tx.TxOut = p.tx.TxOut[1:]
			p.evidence.Change[0].Position = 0
		}},
		{"outputs in another order", "outputs[0]", func(_ *world, p *paper) { p.tx.TxOut[0], p.tx.TxOut[1] = p.tx.TxOut[1], p.tx.TxOut[0] }},
		{"one more output", "outputs[2]", func(_ *world, p *paper) {
			p.tx.TxOut[1].Value -= 1000
			p.tx.AddTxOut(wire.NewTxOut(1000, stranger))
		}},
		{"change to a stranger", "outputs[1].script", func(_ *world, p *paper) { p.tx.TxOut[1].PkScript = stranger }},
		{"change to another account", "outputs[1].script", func(w *world, p *paper) {
			p.tx.TxOut[1].PkScript = bitcoin.ScriptP2WPKH(w.child(1, 1, 2, 1, 5).Public)
		}},
		{"change said to be another account's", "evidence.change[0].account", func(w *world, p *paper) {
			p.tx.TxOut[1].PkScript = bitcoin.ScriptP2WPKH(w.child(1, 1, 2, 1, 5).Public)
			p.evidence.Change[0].Account = "acme-two"
		}},
		{"change on the receive branch", "evidence.change[0].branch", func(w *world, p *paper) {
			p.tx.TxOut[1].PkScript = bitcoin.ScriptP2WPKH(w.child(1, 1, 1, 0, 5).Public)
			p.evidence.Change[0].Branch = 0
		}},
		{"change beyond the gap", "evidence.change[0].index", func(w *world, p *paper) {
			p.tx.TxOut[1].PkScript = bitcoin.ScriptP2WPKH(w.child(1, 1, 1, 1, 105).Public)
			p.evidence.Change[0].Index = 105
		}},
		{"change twice", "evidence.change", func(_ *world, p *paper) { p.evidence.Change = append(p.evidence.Change, p.evidence.Change[0]) }},
		{"change position beyond", "evidence.change[0].position", func(_ *world, p *paper) { p.evidence.Change[0].Position = 9 }},
		{"fee above the cap", "transaction.fee", func(_ *world, p *paper) { p.tx.TxOut[1].Value -= 10_001 }},
		{"outputs above inputs", "transaction.fee", func(_ *world, p *paper) { p.tx.TxOut[1].Value += 20_000 }},
		{"input of a stranger", "inputs[0].script", func(_ *world, p *paper) { p.tx.TxIn[0].PreviousOutPoint.Index = 0 }},
		{"input of another account", "evidence.inputs[0].account", func(_ *world, p *paper) { p.evidence.Inputs[0].Account = "acme-two" }},
		{"input path", "inputs[1].script", func(_ *world, p *paper) { p.evidence.Inputs[1].Index = 3 }},
		{"input path missing", "evidence.inputs", func(_ *world, p *paper) { p.evidence.Inputs = p.evidence.Inputs[:1] }},
		{"input paths swapped", "evidence.inputs[0].position", func(_ *world, p *paper) {
			p.evidence.Inputs[0], p.evidence.Inputs[1] = p.evidence.Inputs[1], p.evidence.Inputs[0]
		}},
		{"previous transaction missing", "evidence.previous of input 1", func(_ *world, p *paper) { p.previous = p.previous[:1] }},
		{"previous transaction forged", "evidence.previous", func(_ *world, p *paper) { p.previous[1].TxOut[1].Value = 9_000_000_000 }},
		{"previous transaction unused", "evidence.previous[2]", func(_ *world, p *paper) {
			extra := p.previous[0].Copy()
			extra.TxOut[0].Value++
			p.previous = append(p.previous, extra)
		}},
		{"previous transaction twice", "evidence.previous[2]", func(_ *world, p *paper) { p.previous = append(p.previous, p.previous[0]) }},
		{"outpoint beyond the outputs", "evidence.previous of input 0", func(_ *world, p *paper) { p.tx.TxIn[0].PreviousOutPoint.Index = 7 }},
		{"lock time", "evidence.transaction", func(_ *world, p *paper) { p.tx.LockTime = 5 }},
		{"sequence", "evidence.transaction", func(_ *world, p *paper) { p.tx.TxIn[0].Sequence = 0xffffffff }},
		{"version", "evidence.transaction", func(_ *world, p *paper) { p.tx.Version = 1 }},
		{"garbage", "evidence.transaction", func(_ *world, p *paper) { p.onEnd = func(e *canon.Evidence) { e.Transaction = []byte{1, 2, 3} } }},
		{"trailing byte", "evidence.transaction", func(_ *world, p *paper) {
			p.onEnd = func(e *canon.Evidence) { e.Transaction = append(e.Transaction, 0) }
		}},
	})
}

func TestTamperedEVMTransactionIsRefused(t *testing.T) {
	native := func(w *world) *paper { return w.evmPaper(eth) }
	runTampering(t, native, []tampering{
		{"destination", "outputs[0].address", func(_ *world, p *paper) { p.evm.To = [20]byte{1} }},
		{"amount", "outputs[0].amount", func(_ *world, p *paper) { p.evm.Amount = new(big.Int).Add(p.evm.Amount, big.NewInt(1)) }},
		{"token instead of coin", "outputs[0].asset", func(_ *world, p *paper) { p.evm.Token = &token }},
		{"chain id", "transaction.chain_id", func(_ *world, p *paper) { p.evm.ChainID = 1 }},
		{"fee above the cap", "transaction.fee", func(_ *world, p *paper) { p.evm.Gas = 90_000 }},
		{"nonce before the wallet's first", "transaction.nonce", func(_ *world, p *paper) { p.evm.Nonce = 2 }},
		{"sender of another account", "evidence.inputs[0].account", func(_ *world, p *paper) { p.evidence.Inputs[0].Account = "acme-two" }},
		{"sender at another index", "evidence.inputs[0]", func(_ *world, p *paper) { p.evidence.Inputs[0].Index = 1 }},
		{"no sender", "evidence.inputs", func(_ *world, p *paper) { p.evidence.Inputs = nil }},
		{"change", "evidence.change", func(_ *world, p *paper) { p.evidence.Change = []canon.OwnPath{{Account: "acme-one", Branch: 1}} }},
		{"garbage", "evidence.transaction", func(_ *world, p *paper) { p.onEnd = func(e *canon.Evidence) { e.Transaction[0] = 1 } }},
		{"unlimited approval of tokens", "evidence.transaction", func(_ *world, p *paper) {
			p.evm.Token = &token
			p.onEnd = func(e *canon.Evidence) {
				e.Transaction = bytes.Replace(e.Transaction, []byte{0xa9, 0x05, 0x9c, 0xbb}, []byte{0x09, 0x5e, 0xa7, 0xb3}, 1)
			}
		}},
	})
	tokens := func(w *world) *paper { return w.evmPaper(usd) }
	runTampering(t, tokens, []tampering{
		{"token destination", "outputs[0].address", func(_ *world, p *paper) { p.evm.To = [20]byte{1} }},
		{"token amount", "outputs[0].amount", func(_ *world, p *paper) { p.evm.Amount = big.NewInt(100_000_001) }},
		{"other token", "outputs[0].asset", func(_ *world, p *paper) { p.evm.Token = &[20]byte{19: 0xab} }},
		{"coin instead of token", "outputs[0].asset", func(_ *world, p *paper) { p.evm.Token = nil }},
	})
}

func TestTamperedPapersAreRefused(t *testing.T) {
	other := canon.Digest{0xee}
	runTampering(t, (*world).bitcoinPaper, []tampering{
		{"request of a stranger", "requester", func(_ *world, p *paper) {
			p.client, p.request.Requester = edKey("mallory"), edPublic("mallory")
		}},
		{"request with another's signature", "signature", func(_ *world, p *paper) { p.client = edKey("mallory") }},
		{"request changed after signing", "signature", func(_ *world, p *paper) {
			p.onRequest = func(r *canon.Request) { r.FeeCap = canon.AmountOf(19_999) }
		}},
		{"request of another client's account", "account", func(_ *world, p *paper) { p.request.Account = "globex-one" }},
		{"request of another organisation", "organisation", func(_ *world, p *paper) { p.request.Organisation = other }},
		{"request from an unknown wallet", "wallet", func(_ *world, p *paper) { p.request.Wallet = "nowhere" }},
		{"request on the wrong chain", "chain", func(_ *world, p *paper) { p.request.Wallet = "evm-hot" }},
		{"request not yet valid", "request.not_before", func(_ *world, p *paper) { p.request.NotBefore = canon.TimeOf(start) + 31 }},
		{"request expired", "request.not_after", func(_ *world, p *paper) { p.request.NotAfter = canon.TimeOf(start) - 1 }},
		{"address of another client", "outputs[0].address", func(_ *world, p *paper) {
			p.request.Outputs[0].Address, p.tx.TxOut[0].PkScript = stranger, stranger
		}},
		{"address proof of another", "evidence.addresses", func(w *world, p *paper) {
			proof, _ := w.book.Prove(btcChain, stranger, "globex")
			p.onEnd = func(e *canon.Evidence) { e.Addresses = []canon.BookProof{proof} }
		}},
		{"address proof forged", "path", func(_ *world, p *paper) {
			p.onEnd = func(e *canon.Evidence) { e.Addresses[0].Path[0][0] ^= 1 }
		}},
		{"address proof missing", "outputs[0].address", func(_ *world, p *paper) {
			p.onEnd = func(e *canon.Evidence) { e.Addresses = nil }
		}},
		{"amount beyond every rule", "amount", func(_ *world, p *paper) { p.request.Outputs[0].Amount = canon.AmountOf(400_000_001) }},
		{"rule that asks nobody", "intent.rule", func(_ *world, p *paper) {
			p.onIntent = func(i *canon.Intent) { i.Rule, i.Quorum = "small", canon.Quorum{} }
		}},
		{"quorum of one", "intent.quorum", func(_ *world, p *paper) {
			p.onIntent = func(i *canon.Intent) { i.Quorum.AnyOf[0][0].Count = 1 }
		}},
		{"fee cap above the request's", "intent.fee_cap", func(_ *world, p *paper) {
			p.onIntent = func(i *canon.Intent) { i.FeeCap = canon.AmountOf(20_001) }
		}},
		{"fee cap above the rule's", "intent.fee_cap", func(_ *world, p *paper) { p.request.FeeCap = canon.AmountOf(50_001) }},
		{"withdrawal id", "intent.withdrawal", func(_ *world, p *paper) { p.onIntent = func(i *canon.Intent) { i.Withdrawal = other } }},
		{"intent of another organisation", "intent.organisation", func(_ *world, p *paper) {
			p.onIntent = func(i *canon.Intent) { i.Organisation = other }
		}},
		{"intent under another charter", "intent.charter", func(_ *world, p *paper) { p.onIntent = func(i *canon.Intent) { i.Charter = other } }},
		{"intent beyond the request", "intent.not_after", func(_ *world, p *paper) {
			p.onIntent = func(i *canon.Intent) { i.NotAfter = p.request.NotAfter + 1 }
		}},
		{"intent beyond the rule's expiry", "intent.not_after", func(_ *world, p *paper) { p.request.NotAfter = canon.TimeOf(start) + 3631 }},
		{"intent expired", "intent.not_after", func(_ *world, p *paper) {
			p.onIntent = func(i *canon.Intent) { i.NotAfter = canon.TimeOf(start) - 1 }
		}},
		{"exact intent for another transaction", "evidence.transaction", func(_ *world, p *paper) {
			p.onIntent = func(i *canon.Intent) {
				i.Mode, i.Transactions, i.Inputs, i.Change = canon.Exact, []canon.Digest{other}, p.evidence.Inputs, p.evidence.Change
			}
		}},
		{"evidence of another organisation", "evidence.organisation", func(_ *world, p *paper) {
			p.onEnd = func(e *canon.Evidence) { e.Organisation = other }
		}},
	})
}

func TestQuorumIsCounted(t *testing.T) {
	runTampering(t, (*world).bitcoinPaper, []tampering{
		{"one officer", "evidence.approvals", func(_ *world, p *paper) { p.approve = p.approve[:1] }},
		{"one officer twice", "evidence.approvals", func(_ *world, p *paper) { p.approve = []canon.Name{"alice", "alice"} }},
		{"expired approvals", "evidence.approvals", func(w *world, p *paper) {
			p.decide = func(a *canon.Approval) { a.NotAfter = canon.TimeOf(start) - 1 }
		}},
		{"approval of another intent", "approval", func(_ *world, p *paper) { p.decide = func(a *canon.Approval) { a.Digest = canon.Digest{7} } }},
		{"approval in another's name", "approval", func(_ *world, p *paper) {
			p.decide = func(a *canon.Approval) {
				if a.Officer == "bob" {
					a.Officer = "carol"
				}
			}
		}},
		{"approval of another kind of object", "approval", func(_ *world, p *paper) {
			p.decide = func(a *canon.Approval) { a.Object = canon.ObjectAmendment }
		}},
		{"rejection among the approvals", "evidence", func(_ *world, p *paper) {
			p.approve = []canon.Name{"alice", "bob", "carol"}
			p.decide = func(a *canon.Approval) {
				if a.Officer == "carol" {
					a.Decision = canon.Reject
				}
			}
		}},
		{"withdrawn approval", "evidence.approvals", func(_ *world, p *paper) {
			p.approve = []canon.Name{"alice", "bob", "bob"}
			n := 0
			p.decide = func(a *canon.Approval) {
				if n++; n == 3 {
					a.Decision = canon.Withdraw
				}
			}
		}},
	})
}

func TestRejectionThatTheSignerWasToldStops(t *testing.T) {
	for _, paperOf := range []func(*world) *paper{(*world).bitcoinPaper, func(w *world) *paper { return w.evmPaper(usd) }} {
		w := newWorld(t)
		p := paperOf(w)
		evidence := w.encode(p)
		if _, err := Check(evidence, w.view()); err != nil {
			t.Fatal(err)
		}
		w.told = []canon.Signed{w.rejection("carol", canon.KindIntent.Digest(p.evidence.Intent))}
		_, err := Check(evidence, w.view())
		refused(t, err, "evidence.statements")
	}
}

func TestTimePassesBetweenChecks(t *testing.T) {
	w := newWorld(t)
	evidence := w.encode(w.bitcoinPaper())
	w.now = start.Add(1200 * time.Second)
	if _, err := Check(evidence, w.view()); err != nil {
		t.Fatalf("expected signable in the approvals' last second, found %v", err)
	}
	w.now = start.Add(1201 * time.Second)
	_, err := Check(evidence, w.view())
	refused(t, err, "evidence.approvals")
	w.now = time.Unix(int64(w.genesis.NotAfter)+1, 0)
	_, err = Check(evidence, w.view())
	refused(t, err, "validity")
}

func TestSignerWithoutTheKeyRefuses(t *testing.T) {
	w := newWorld(t)
	evidence := w.encode(w.bitcoinPaper())
	w.group.Epoch = 2
	_, err := Check(evidence, w.view())
	refused(t, err, "wallet.key")
	v := w.view()
	v.Key = func(canon.Name) (GroupKey, bool) { return GroupKey{}, false }
	_, err = Check(evidence, v)
	refused(t, err, "wallet.key")
}

func TestExactIntentIsSignable(t *testing.T) {
	w := newWorld(t)
	p := w.bitcoinPaper()
	raw, err := bitcoin.Encode(p.tx)
	if err != nil {
		t.Fatal(err)
	}
	p.onIntent = func(i *canon.Intent) {
		i.Mode, i.Transactions = canon.Exact, []canon.Digest{{1}, canon.TransactionDigest(raw)}
		i.Inputs, i.Change = p.evidence.Inputs, p.evidence.Change
	}
	if _, err := Check(w.encode(p), w.view()); err != nil {
		t.Fatal(err)
	}
	p = w.bitcoinPaper()
	p.onIntent = func(i *canon.Intent) {
		i.Mode, i.Transactions, i.Inputs = canon.Exact, []canon.Digest{canon.TransactionDigest(raw)}, p.evidence.Inputs
	}
	_, err = Check(w.encode(p), w.view())
	refused(t, err, "evidence.change")
}

func TestEveryFieldOfAReservationIsCompared(t *testing.T) {
	now := canon.TimeOf(start)
	cases := map[string]func(r *canon.Reservation){
		"organisation":   func(r *canon.Reservation) { r.Organisation[0]++ },
		"withdrawal":     func(r *canon.Reservation) { r.Withdrawal[0]++ },
		"intent":         func(r *canon.Reservation) { r.Intent[0]++ },
		"sort":           func(r *canon.Reservation) { r.Sort = canon.Collect },
		"transactions":   func(r *canon.Reservation) { r.Transactions = append(r.Transactions, canon.Digest{1}) },
		"wallet":         func(r *canon.Reservation) { r.Wallet = "evm-hot" },
		"asset":          func(r *canon.Reservation) { r.Asset = eth },
		"charges":        func(r *canon.Reservation) { r.Charges = nil },
		"charges[0]":     func(r *canon.Reservation) { r.Charges = []canon.Charge{{Limit: "btc-day", Amount: canon.AmountOf(1)}} },
		"anchor":         func(r *canon.Reservation) { r.Anchor = r.Inputs[1] },
		"anchor_number":  func(r *canon.Reservation) { r.AnchorNumber = 2 },
		"inputs":         func(r *canon.Reservation) { r.Inputs = r.Inputs[:1] },
		"stamp":          func(r *canon.Reservation) { r.Stamp, r.Until = now+31, now+300 },
		"until":          func(r *canon.Reservation) { r.Stamp, r.Until = now-20, now-1 },
		"charter_number": func(r *canon.Reservation) { r.CharterNumber = 2 },
		"charter":        func(r *canon.Reservation) { r.Charter[0]++ },
		"key":            func(r *canon.Reservation) { r.Key = "other" },
		"key_epoch":      func(r *canon.Reservation) { r.KeyEpoch = 2 },
	}
	w := newWorld(t)
	s, err := Check(w.encode(w.bitcoinPaper()), w.view())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.CheckReservation(w.reservation(s), w.view()); err != nil {
		t.Fatal(err)
	}
	for field, change := range cases {
		r := w.reservation(s)
		change(&r)
		refused(t, s.CheckReservation(r, w.view()), "reservation."+field)
	}
	long := w.reservation(s)
	long.Until = long.Stamp + 601
	refused(t, s.CheckReservation(long, w.view()), "reservation.until")
	late := w.reservation(s)
	late.Stamp, late.Until = now+800, now+1201
	v := w.view()
	v.Now = start.Add(800 * time.Second)
	refused(t, s.CheckReservation(late, v), "reservation.until")
}

func TestCertificateNeedsAQuorumOfTheRoster(t *testing.T) {
	w := newWorld(t)
	s, err := Check(w.encode(w.bitcoinPaper()), w.view())
	if err != nil {
		t.Fatal(err)
	}
	r := w.reservation(s)
	got, rid, members, err := CheckCertificate(w.certificate(r, nil, "node-1", "node-3", "node-4"), w.view())
	if err != nil || len(members) != 3 || got.Withdrawal != r.Withdrawal {
		t.Fatalf("expected three members, found %v (%v)", members, err)
	}
	if _, want, _ := canon.Seal(r); rid != want {
		t.Errorf("expected rid %s, found %s", want, rid)
	}
	bad := map[string]struct {
		field string
		cert  []byte
	}{
		"two":           {"certificate.acks", w.certificate(r, nil, "node-1", "node-2")},
		"one twice":     {"certificate.acks[2].signer", w.certificate(r, nil, "node-1", "node-2", "node-2")},
		"a stranger":    {"certificate.acks[2].signer", w.certificate(r, nil, "node-1", "node-2", "node-9")},
		"other's key":   {"certificate.acks[0].signature", w.certificate(r, func(a *canon.Ack) { a.Signer = "node-3" }, "node-1", "node-2", "node-3")},
		"other rid":     {"certificate.acks[0].reservation", w.certificate(r, func(a *canon.Ack) { a.Reservation[0]++ }, "node-1", "node-2", "node-3")},
		"other org":     {"certificate.acks[0].organisation", w.certificate(r, func(a *canon.Ack) { a.Organisation[0]++ }, "node-1", "node-2", "node-3")},
		"garbage":       {"certificate", []byte{0x80}},
		"one too many":  {"certificate.acks[3].signer", w.certificate(r, nil, "node-1", "node-2", "node-3", "node-9")},
		"no acks given": {"certificate.acks", w.certificate(r, nil)},
	}
	for name, c := range bad {
		_, _, _, err := CheckCertificate(c.cert, w.view())
		if err == nil {
			t.Errorf("%s: expected a refusal", name)
			continue
		}
		refused(t, err, c.field)
	}
}

func TestOnlyTheGuardMintsDigests(t *testing.T) {
	if _, err := (Digest{}).Bytes(); err != ErrUnminted {
		t.Errorf("expected %v, found %v", ErrUnminted, err)
	}
	a, err := TestMessage([32]byte{1}, "a").Bytes()
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := TestMessage([32]byte{1}, "b").Bytes(); a == b || hex.EncodeToString(a[:]) == strings.Repeat("00", 32) {
		t.Error("expected distinct test messages")
	}
}

// Whatever bytes a coordinator sends, the guard answers; and what it accepts is what an honest withdrawal says.
func FuzzCheck(f *testing.F) {
	w := newWorld(f)
	f.Add(w.encode(w.bitcoinPaper()))
	f.Add(w.encode(w.evmPaper(eth)))
	f.Add(w.encode(w.callPaper()))
	f.Add([]byte{0xa0})
	d := deviceWorld(f)
	f.Add(d.encode(d.devicePaper("btc-cosign")))
	f.Add(d.encode(d.devicePaper("btc-tokens")))
	f.Add(d.encode(d.attestedPaper()))
	f.Fuzz(func(t *testing.T, evidence []byte) {
		if _, err := Check(evidence, d.view()); err != nil && refusal.Of(err) == nil {
			t.Fatalf("expected a refusal, found %v", err)
		}
		s, err := Check(evidence, w.view())
		if (s == nil) == (err == nil) {
			t.Fatalf("expected signable or refused, found %v and %v", s, err)
		}
		if err != nil && refusal.Of(err) == nil {
			t.Fatalf("expected a refusal, found %v", err)
		}
	})
}

// A coordinator that encodes the intent anew, for the same request, must not shake off a rejection of the withdrawal.
func TestRejectionOfTheWithdrawalStopsEveryIntentForIt(t *testing.T) {
	w := newWorld(t)
	p := w.evmPaper(usd)
	w.told = []canon.Signed{w.rejection("carol", p.request.WithdrawalID())}
	for _, seconds := range []canon.Time{0, 1} {
		p := w.evmPaper(usd)
		p.onIntent = func(i *canon.Intent) { i.NotAfter -= seconds }
		_, err := Check(w.encode(p), w.view())
		refused(t, err, "evidence.statements")
	}
}

func TestExactIntentWithoutChangeIsSignable(t *testing.T) {
	w := newWorld(t)
	p := w.evmPaper(eth)
	payload, err := ethereum.Build(ethereum.BuildParams{ChainID: p.evm.ChainID, Nonce: p.evm.Nonce, Tip: p.evm.Tip, FeeCap: p.evm.FeeCap, Gas: p.evm.Gas,
		To: p.evm.To, Value: p.evm.Amount})
	if err != nil {
		t.Fatal(err)
	}
	p.onIntent = func(i *canon.Intent) {
		i.Mode, i.Transactions, i.Inputs = canon.Exact, []canon.Digest{canon.TransactionDigest(payload)}, p.evidence.Inputs
	}
	if _, err := Check(w.encode(p), w.view()); err != nil {
		t.Fatal(err)
	}
}

func TestWhatNoSessionCanSignIsRefused(t *testing.T) {
	w := newWorld(t)
	p := w.bitcoinPaper()
	for i := range MaxInputs - 1 {
		p.tx.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Hash: [32]byte{9}, Index: uint32(i)}, Sequence: 0xfffffffd})
	}
	_, err := Check(w.encode(p), w.view())
	refused(t, err, "transaction.inputs")
}

// An input out of reach, backed by an invented previous transaction, would move the window for change.
func TestInputBeyondTheGapIsRefused(t *testing.T) {
	w := newWorld(t)
	p := w.bitcoinPaper()
	p.previous[0].TxOut[1].PkScript = bitcoin.ScriptP2WPKH(w.child(1, 1, 1, 1, 1<<31-1).Public)
	p.tx.TxIn[0].PreviousOutPoint.Hash = p.previous[0].TxHash()
	p.evidence.Inputs[0].Branch, p.evidence.Inputs[0].Index = 1, 1<<31-1
	_, err := Check(w.encode(p), w.view())
	refused(t, err, "evidence.inputs[0].index")
}

// Proofs beyond the payments would be work for nothing.
func TestSurplusProofsAreRefusedUnread(t *testing.T) {
	w := newWorld(t)
	p := w.bitcoinPaper()
	p.onEnd = func(e *canon.Evidence) {
		for range 9_000 {
			e.Addresses = append(e.Addresses, canon.BookProof{Entry: []byte{0}})
		}
	}
	_, err := Check(w.encode(p), w.view())
	refused(t, err, "evidence.addresses")
	if n := len(refusal.Of(err).Failures); n != 1 {
		t.Errorf("expected one failure, found %d", n)
	}
}
