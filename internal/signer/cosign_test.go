package signer_test

import (
	"context"
	"math"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/ethereum/go-ethereum/common"

	"github.com/strongroom/strongroom/hsm"
	"github.com/strongroom/strongroom/internal/signer"
	"github.com/strongroom/strongroom/internal/signer/holdings"
	"github.com/strongroom/strongroom/mpc"
	"github.com/strongroom/strongroom/proto/canon"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
	"github.com/strongroom/strongroom/wallets/bitcoin"
	"github.com/strongroom/strongroom/wallets/ethereum"
	"github.com/strongroom/strongroom/wallets/keyset"
)

// One set of tokens, and with it one organisation, serves all: dealing a key takes longer than most of these.
func TestTokens(t *testing.T) {
	v := newVaults(t)
	t.Run("sign together with the MPC key, and alone", v.signForReal)
	t.Run("sign nothing that is not certified and in order", v.refuse)
	t.Run("attest what the MPC nodes demand", v.attest)
	t.Run("sign nothing for cold wallets", v.cold)
	t.Run("wait for pools", v.wait)
	t.Run("fail and come back", v.fail)
	t.Run("serve many at once", v.many)
	t.Run("are gone", v.gone)
}

// With the real protocol and real tokens: what comes out passes the script engine, or has the wallet's address as its sender.
func (v *vaults) signForReal(t *testing.T) {
	w := v.world(t, setUp{}, nil)
	w.run("cosign on Bitcoin", func(t *testing.T) {
		p := w.spend("btc-cosign", "a", 0, 3) // the pool's keys are used in turn
		device, err := w.cosign("vault-1", p, 1)
		check(t, err)
		mpc, errs := signBoth(t, w, &strongroomv1.SignRequest{Evidence: p.evidence, Certificate: p.certificate, Participants: []string{"node-2", "node-4"}, Attempt: 1})
		check(t, errs["node-2"])
		inputs := make([]bitcoin.SignedInput, 2)
		for i, index := range []uint64{0, 3} {
			spot := w.spot("btc-cosign", 0, index)
			inputs[i] = bitcoin.SignedInput{Witness: spot.Witness,
				Keys:       [][33]byte{[33]byte(mpc["node-2"].GetPublicKeys()[i]), [33]byte(device.GetPublicKeys()[i])},
				Signatures: [][64]byte{[64]byte(mpc["node-2"].GetSignatures()[i][:64]), [64]byte(device.GetSignatures()[i])}}
			if spot.Devices[0].Public != inputs[i].Keys[1] || spot.Child.Public != inputs[i].Keys[0] {
				t.Errorf("input %d: expected the keys of the address, found %x", i, inputs[i].Keys)
			}
		}
		_, err = bitcoin.Finalise(p.tx, p.prevouts, inputs)
		check(t, err)
		if device.GetAttestation() != nil {
			t.Error("expected no attestation on Bitcoin, found one")
		}
		if n := w.made("vault-1", "btc-cosign"); n != 2 {
			t.Errorf("expected 2 signatures committed to, found %d", n)
		}
	})
	w.run("cosign on an EVM chain", func(t *testing.T) {
		p := w.spend("evm-cosign", "b", 7)
		device, err := w.cosign("vault-2", p, 1)
		check(t, err)
		if len(device.GetSignatures())+len(device.GetPublicKeys()) != 0 {
			t.Error("expected nothing but an attestation, found signatures")
		}
		given := attestation(t, w, p, device)
		responses, errs := signBoth(t, w, &strongroomv1.SignRequest{Evidence: p.evidence, Certificate: p.certificate, Participants: []string{"node-1", "node-3"},
			Attempt: 1, Attestations: []*strongroomv1.Signed{wire(given)}})
		check(t, errs["node-1"])
		var e canon.Evidence
		check(t, canon.Decode(p.evidence, &e))
		child := w.spot("evm-cosign", 0, 0).Child
		raw, err := ethereum.Finalise(e.Transaction, [65]byte(responses["node-1"].GetSignatures()[0]), child.Public)
		check(t, err)
		_, err = ethereum.VerifySigned(raw, ethereum.AddressOf(child.Public))
		check(t, err)
	})
	w.run("two of three tokens", func(t *testing.T) {
		p := w.spend("btc-vault", "c", 1)
		in := bitcoin.SignedInput{Witness: w.spot("btc-vault", 0, 1).Witness}
		for _, name := range []canon.Name{"vault-1", "vault-3"} {
			r, err := w.cosign(name, p, 1)
			check(t, err)
			in.Keys, in.Signatures = append(in.Keys, [33]byte(r.GetPublicKeys()[0])), append(in.Signatures, [64]byte(r.GetSignatures()[0]))
		}
		_, err := bitcoin.Finalise(p.tx, p.prevouts, []bitcoin.SignedInput{in})
		check(t, err)
		_, err = w.front("node-1").Sign(t.Context(), &strongroomv1.SignRequest{Evidence: p.evidence, Certificate: p.certificate, Participants: []string{"node-1", "node-2"}, Attempt: 1})
		refused(t, err, "device", "wallet.scheme")
	})
	w.run("status", func(t *testing.T) {
		st, err := w.front("vault-1").GetSignerStatus(t.Context(), &strongroomv1.GetSignerStatusRequest{})
		check(t, err)
		var found []string
		for _, d := range st.GetDevices() {
			found = append(found, d.GetWallet())
			if d.GetError() != "" || d.GetGeneration() != 1 {
				t.Errorf("%s: expected a healthy token that was opened once, found %v", d.GetWallet(), d)
			}
		}
		if want := []string{"btc-cosign", "evm-cosign", "btc-vault"}; !slices.Equal(found, want) || st.GetStatus().GetError() != "" || !st.GetParametersReady() {
			t.Errorf("expected the tokens of %v and nothing to make, found %v, %q, %t", want, found, st.GetStatus().GetError(), st.GetParametersReady())
		}
	})
}

// address asks a signer for its word on an address.
func (w *world) address(name canon.Name, wallet string, branch, index uint64) (a canon.Address, err error) {
	w.t.Helper()
	r, err := w.front(name).AttestAddress(w.t.Context(), &strongroomv1.AttestAddressRequest{Wallet: wallet, Account: "acme-one", Branch: branch, Index: index})
	if err == nil {
		check(w.t, canon.Decode(r.GetAttestation().GetDocument(), &a))
	}
	return a, err
}

func (v *vaults) refuse(t *testing.T) {
	node := &purse{wei: map[common.Address]int64{}, last: start}
	w := v.world(t, setUp{engine: same(reaches), config: func(c *signer.Config) {
		if c.Self == "vault-1" {
			c.EVM = map[canon.ChainID]signer.EVMSource{evmChain: {Dial: func(context.Context) (holdings.EVMNode, error) { return node, nil }}}
		}
	}}, nil)
	w.run("addresses", func(t *testing.T) { w.addressesOfTokens(t) })
	w.run("balances", func(t *testing.T) {
		w.signers["vault-1"].heard.wait("public key learned from every holder", 1)
		node.wei[common.Address(w.spot("evm-cosign", 0, 0).Address)] = 700
		r, err := w.front("vault-1").StateBalances(t.Context(), &strongroomv1.StateBalancesRequest{Chain: string(evmChain)})
		check(t, err)
		var b canon.Balances
		check(t, canon.Decode(r.GetBalances().GetDocument(), &b))
		if len(b.Holdings) != 1 || b.Holdings[0].Wallet != "evm-cosign" || b.Holdings[0].Amount.Int().Cmp(big.NewInt(700)) != 0 {
			t.Errorf("expected 700 of evm-cosign, found %v", b.Holdings)
		}
	})
	p := w.spend("btc-cosign", "a", 0)
	w.run("what the certificate does not cover", func(t *testing.T) { w.uncovered(t, p) })
	w.run("an ack", func(t *testing.T) {
		_, err := w.front("vault-1").Reserve(t.Context(), &strongroomv1.ReserveRequest{Evidence: p.evidence, Reservation: p.reservation})
		refused(t, err, "roster", "signer")
	})
	w.run("an attempt again", func(t *testing.T) {
		for attempt := range uint64(2) {
			_, err := w.cosign("vault-1", p, attempt+1)
			check(t, err)
			_, err = w.cosign("vault-1", p, attempt+1)
			refused(t, err, "attempt", "attempt")
		}
		if n := w.made("vault-1", "btc-cosign"); n != 2 {
			t.Errorf("expected 2 signatures committed to, found %d", n)
		}
	})
	late := w.spend("btc-cosign", "b", 1)
	w.advance(301 * time.Second)
	w.run("after the end", func(t *testing.T) {
		_, err := w.cosign("vault-1", late, 1)
		refused(t, err, "expiry", "reservation.until")
	})
	frozen := w.spend("btc-vault", "c", 0)
	w.run("during a freeze", func(t *testing.T) {
		check(t, w.state("vault-2", "alice", canon.StateFreeze, w.charter.Organisation()))
		_, err := w.cosign("vault-2", frozen, 1)
		refused(t, err, "freeze", "organisation")
		if n := w.made("vault-1", "btc-cosign") + w.made("vault-2", "btc-vault"); n != 2 {
			t.Errorf("expected no further signature committed to, found %d", n)
		}
	})
}

func (w *world) addressesOfTokens(t *testing.T) {
	for _, c := range []struct {
		wallet canon.Name
		index  uint64
		by     []canon.Name
	}{
		{"btc-cosign", 0, []canon.Name{"node-1", "node-4", "vault-1", "vault-2"}}, // vault-2 is a device of other wallets
		{"btc-cosign", 3, []canon.Name{"node-2", "vault-1"}},                      // beyond the pool
		{"evm-cosign", 0, []canon.Name{"node-1", "vault-1", "vault-2", "vault-3"}},
		{"btc-vault", 1, []canon.Name{"node-3", "vault-1", "vault-2", "vault-3"}},
		{"btc-hot", 0, []canon.Name{"node-1", "vault-1"}}, // where a move may go to
	} {
		want := w.spot(c.wallet, 0, c.index).Address
		named, _ := w.charter.Wallet(c.wallet)
		for _, name := range c.by {
			a, err := w.address(name, string(c.wallet), 0, c.index)
			check(t, err)
			if string(a.Address) != string(want) || a.Key != named.Key || (a.KeyEpoch == 0) != (named.Key == "") {
				t.Errorf("%s of %s: expected %x under key %q, found %x under %q epoch %d", c.wallet, name, want, named.Key, a.Address, a.Key, a.KeyEpoch)
			}
		}
	}
	_, err := w.address("node-1", "btc-vault", 0, 2)
	refused(t, err, "pool", "index")
	_, err = w.address("vault-1", "btc-vault", 1, 1)
	refused(t, err, "pool", "index")
	for branch, want := range map[holdings.Branch]uint64{
		{Wallet: "btc-vault", Holder: "acme-one"}: 2, {Wallet: "btc-vault", Holder: "acme-one", Number: 1}: 1, {Wallet: "btc-vault", Holder: "acme-two"}: 0,
		{Wallet: "btc-cosign", Holder: "acme-one"}: math.MaxUint64, {Wallet: "evm-cosign", Holder: "acme-one"}: math.MaxUint64, {Wallet: "btc-hot", Holder: "acme-one"}: math.MaxUint64,
	} {
		if n, err := w.signers["node-1"].AddressesOf(branch.Wallet, branch.Holder, branch.Number); n != want || err != nil {
			t.Errorf("%v: expected %d addresses, found %d, %v", branch, want, n, err)
		}
	}
	if string(w.spot("btc-cosign", 0, 1).Address) == string(w.spot("btc-cosign", 0, 3).Address) {
		t.Error("expected two addresses with one key of the token, found one")
	}
}

func (w *world) uncovered(t *testing.T, p *spending) {
	var c canon.Certificate
	check(t, canon.Decode(p.certificate, &c))
	c.Acks = c.Acks[:2]
	short, err := canon.Encode(c)
	check(t, err)
	hot := &spending{evidence: w.evidence(payment{id: "hot", nonce: 3})}
	hot.certificate = w.certify(hot.evidence, w.reservation(hot.evidence), "node-1", "node-2", "node-3")
	other := w.spend("btc-cosign", "other", 2)
	var e canon.Evidence
	check(t, canon.Decode(p.evidence, &e))
	e.Transaction[len(e.Transaction)-5] ^= 1 // the end of the last script
	tampered, err := canon.Encode(e)
	check(t, err)
	for name, c := range map[string]struct {
		to          canon.Name
		ask         *spending
		attempt     uint64
		rule, field string
	}{
		"nothing":           {"vault-1", &spending{}, 1, "encoding", "certificate"},
		"two acks":          {"vault-1", &spending{evidence: p.evidence, certificate: short}, 1, "certificate", "certificate.acks"},
		"other evidence":    {"vault-1", &spending{evidence: other.evidence, certificate: p.certificate}, 1, "reservation", "reservation.withdrawal"},
		"tampered evidence": {"vault-1", &spending{evidence: tampered, certificate: p.certificate}, 1, "change", "outputs[1].script"},
		"no token's wallet": {"vault-1", hot, 1, "device", "wallet.devices"},
		"another's wallet":  {"vault-2", p, 1, "device", "wallet.devices"},
		"at a node":         {"node-1", p, 1, "device", "wallet.devices"},
		"attempt 0":         {"vault-1", p, 0, "attempt", "attempt"},
	} {
		_, err := w.cosign(c.to, c.ask, c.attempt)
		t.Run(name, func(t *testing.T) { refused(t, err, c.rule, c.field) })
	}
	_, err = w.front("vault-1").Sign(t.Context(), &strongroomv1.SignRequest{Evidence: p.evidence, Certificate: p.certificate, Participants: []string{"node-1", "vault-1"}, Attempt: 1})
	refused(t, err, "participants", "participants[1]")
}

// attest is about what counts as an attestation at the nodes that hold the MPC key.
func (v *vaults) attest(t *testing.T) {
	var meanwhile func()
	w := v.world(t, setUp{engine: same(engine{sign: func(ctx context.Context, c mpc.SignConfig) ([]mpc.Signature, error) {
		if meanwhile != nil {
			meanwhile()
		}
		return reaches.sign(ctx, c)
	}})}, nil)
	p, other := w.spend("evm-cosign", "a", 7), w.spend("evm-cosign", "b", 8)
	given := map[canon.Name]canon.Signed{}
	for _, name := range []canon.Name{"vault-1", "vault-2"} {
		r, err := w.cosign(name, p, 1)
		check(t, err)
		given[name] = attestation(t, w, p, r)
	}
	of, err := w.cosign("vault-1", other, 1)
	check(t, err)
	foreign := attestation(t, w, other, of)
	attempt := uint64(0)
	sign := func(p *spending, all ...canon.Signed) error {
		attempt++
		r := &strongroomv1.SignRequest{Evidence: p.evidence, Certificate: p.certificate, Participants: []string{"node-1", "node-2"}, Attempt: attempt}
		for _, a := range all {
			r.Attestations = append(r.Attestations, wire(a))
		}
		_, err := w.front("node-1").Sign(t.Context(), r)
		return err
	}
	says := func(change func(*canon.Attestation)) canon.Signed {
		var a canon.Attestation
		check(t, canon.Decode(given["vault-1"].Document, &a))
		change(&a)
		return v.forge(t, a)
	}
	stranger, err := btcec.NewPrivateKey()
	check(t, err)
	scheme := given["vault-1"]
	scheme.Scheme = canon.Ed25519
	for name, c := range map[string]struct {
		all   []canon.Signed
		field string
	}{
		"none":                 {nil, "attestations"},
		"by a stranger's key":  {[]canon.Signed{signedBy(t, stranger, given["vault-1"].Document)}, "attestations[0].signature"},
		"by another's key":     {[]canon.Signed{{Document: given["vault-1"].Document, Scheme: canon.ECDSA, Signature: given["vault-2"].Signature}}, "attestations[0].signature"},
		"of another scheme":    {[]canon.Signed{scheme}, "attestations[0].scheme"},
		"for another":          {[]canon.Signed{foreign}, "attestations[0].reservation"},
		"under another":        {[]canon.Signed{says(func(a *canon.Attestation) { a.Charter[0] ^= 1 })}, "attestations[0].charter"},
		"of another's wallet":  {[]canon.Signed{says(func(a *canon.Attestation) { a.Wallet = "btc-cosign" })}, "attestations[0].wallet"},
		"of another's":         {[]canon.Signed{says(func(a *canon.Attestation) { a.Organisation[0] ^= 1 })}, "attestations[0].organisation"},
		"of no device":         {[]canon.Signed{says(func(a *canon.Attestation) { a.Signer = "vault-3" })}, "attestations[0].signer"},
		"one twice":            {[]canon.Signed{given["vault-1"], given["vault-1"]}, "attestations[1].signer"},
		"good and bad":         {[]canon.Signed{given["vault-1"], foreign}, "attestations[1].reservation"},
		"more than there are":  {[]canon.Signed{given["vault-1"], given["vault-2"], given["vault-1"]}, "attestations"},
		"of other transaction": {[]canon.Signed{says(func(a *canon.Attestation) { a.Transaction[0] ^= 1 })}, "attestations[0].transaction"},
	} {
		err := sign(p, c.all...)
		w.run(name, func(t *testing.T) { refused(t, err, "attestation", c.field) })
	}
	refused(t, sign(w.spend("btc-cosign", "c", 0), given["vault-1"]), "attestation", "attestations")
	check(t, sign(p, given["vault-1"]))
	check(t, sign(p, given["vault-2"], given["vault-1"]))
	// Everything is looked at again at the point of no return, under the charter of that moment, which an attestation names too.
	entry := w.certified(canon.StepEnact, w.amend(limit("eth-day", ether(9))), "bob", "carol")
	meanwhile = func() { check(t, w.bring("node-1", "device bob", entry)) }
	refused(t, sign(p, given["vault-1"]), "reservation", "reservation.charter")
	meanwhile = nil
	for _, n := range w.signers {
		n.heard.wait("charter in force", 1)
	}
	w.adopt("node-1")
	p = w.spend("evm-cosign", "d", 9)
	r, err := w.cosign("vault-1", p, 1)
	check(t, err)
	check(t, sign(p, attestation(t, w, p, r)))
}

// forge has vault-1's real attestation key sign what its signer never would.
func (v *vaults) forge(t *testing.T, a canon.Attestation) canon.Signed {
	t.Helper()
	document, digest, err := canon.Seal(a)
	check(t, err)
	key, err := v.tokens["vault-1"].ECDSA(t.Context(), keyset.AttestationLabel("evm-cosign"), hsm.KeyClass{})
	check(t, err)
	signature, err := key.Sign(t.Context(), digest, nil)
	check(t, err)
	return canon.Signed{Document: document, Scheme: canon.ECDSA, Signature: signature[:]}
}
