//go:build chains

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"

	"github.com/strongroom/strongroom/hsm"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/internal/devnet"
	"github.com/strongroom/strongroom/internal/devnet/demo"
	"github.com/strongroom/strongroom/proto/canon"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
	"github.com/strongroom/strongroom/wallets/bitcoin"
	"github.com/strongroom/strongroom/wallets/chain"
	"github.com/strongroom/strongroom/wallets/keyset"
)

// TestVault has somebody who stole a token's PIN, and faults of tokens under load, at wallets for which a token must sign. The subtests follow each
// other on one devnet.
func TestVault(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	d := up(ctx, t)
	if err := demo.PrepareVault(ctx, d); err != nil {
		t.Fatal(err)
	}
	g := &guarded{vault: newVault(newWorld(t, d))}
	for range underWay { // a coin for each withdrawal, so that none waits for another
		g.deposited()
	}
	for _, test := range []struct {
		name string
		run  func(*guarded)
	}{
		{"tokens' processes are killed under load", (*guarded).killsTokens},
		{"the token's directory is away under load", (*guarded).losesToken},
		{"the token's PIN is stolen", (*guarded).stealsPIN},
		{"one holder of the MPC key approves everything", (*guarded).ignoresDevice},
	} {
		t.Run(test.name, func(t *testing.T) {
			g.vault = g.under(t)
			test.run(g)
		})
	}
}

// guarded is a devnet whose wallets need a token.
type guarded struct {
	*vault
	asked int // withdrawals that were confirmed
}

// underWay is how many withdrawals are on their way while something fails.
const underWay = 6

// asks has the client ask for a withdrawal from the wallet that MPC key and token spend together.
func (g *guarded) asks(name string, satoshi int64) asked {
	g.Helper()
	a := asked{name: name, satoshi: satoshi}
	if err := g.d.Strongroom(g.Context(), g.d.Clients[0], &a, "withdraw", "--wallet", devnet.BTCVault, "--account", "acme-main", "--to", g.d.Payee("acme", g.d.BTC),
		"--amount", fmt.Sprintf("0.%08d BTC", satoshi), "--fee-cap", "0.0005 BTC", "--request-id", name); err != nil {
		g.Fatal(err)
	}
	return a
}

// paidOnce asks that each withdrawal is confirmed and paid once, that the signers held one anchor for it, and that the vault's record, which is whole, has
// at least one commitment to a signature for each: none was made that is not on it.
func (g *guarded) paidOnce(all []asked) {
	g.Helper()
	for _, a := range all {
		g.confirms(a)
		g.paysOnce(a)
		g.oneAnchor(a)
	}
	g.asked += len(all)
	if found := g.recorded(canon.Name(g.d.Vault.Name))[committed]; found < g.asked {
		g.Errorf("%s: expected at least %d commitments to signatures on its record, found %d", g.d.Vault.Name, g.asked, found)
	}
}

// killsTokens: the process in which a token's module runs takes nothing down with it.
func (g *guarded) killsTokens() {
	var all []asked
	signers := append([]*devnet.Node{g.d.Vault}, g.d.Signers()...)
	for i := range underWay {
		all = append(all, g.asks(fmt.Sprintf("killed-%d", i), 1_000_000+int64(i)))
		g.killsToken(signers[i%len(signers)])
	}
	g.paidOnce(all)
	g.paidOnce([]asked{g.asks("after-the-kills", 1_100_000)})
}

// killsToken kills the process of a signer's token and waits until another has taken its place.
func (g *guarded) killsToken(n *devnet.Node) {
	g.Helper()
	var before []int
	g.until(n.Name+" has a token's process", func(context.Context) (bool, error) {
		before = n.TokenProcesses()
		return len(before) > 0, nil
	})
	for _, pid := range before {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			g.Fatal(err)
		}
	}
	g.until(n.Name+" has started another", func(context.Context) (bool, error) {
		now := n.TokenProcesses()
		return len(now) > 0 && !slices.ContainsFunc(now, func(pid int) bool { return slices.Contains(before, pid) }), nil
	})
}

// losesToken: withdrawals wait for a token that is gone, and go on when it is back.
func (g *guarded) losesToken() {
	var all []asked
	for i := range underWay / 2 {
		all = append(all, g.asks(fmt.Sprintf("before-%d", i), 1_200_000+int64(i)))
	}
	there := g.d.Vault.TokenDirectory()
	away := there + ".away"
	if err := os.Rename(there, away); err != nil {
		g.Fatal(err)
	}
	back := sync.OnceValue(func() error { return os.Rename(away, there) })
	g.Cleanup(func() { _ = back() })
	for i := range underWay / 2 {
		all = append(all, g.asks(fmt.Sprintf("while-%d", i), 1_300_000+int64(i)))
	}
	g.waitsForDevice(all[underWay/2])
	if err := back(); err != nil {
		g.Fatal(err)
	}
	g.paidOnce(all)
	g.paidOnce([]asked{g.asks("after-it-came-back", 1_400_000)})
}

// waitsForDevice waits until a withdrawal says that it waits for the vault's token, unsigned.
func (g *guarded) waitsForDevice(a asked) {
	g.Helper()
	g.until(a.name+" waits for the device", func(ctx context.Context) (bool, error) {
		w, err := g.api.GetWithdrawal(ctx, &pb.GetWithdrawalRequest{Name: "withdrawals/" + a.ID})
		if err != nil {
			return false, err
		}
		if w.GetTxid() != "" {
			return false, fmt.Errorf("expected no transaction while the token is away, found %s", w.GetTxid())
		}
		return slices.ContainsFunc(w.GetRefusals(), func(r *pb.Refusal) bool { return r.GetRule() == withdrawal.RuleDevice }), nil
	})
}

// stealsPIN: whoever has the vault's token and its PIN has one of two keys, or the word that others ask for beside everything else.
func (g *guarded) stealsPIN() {
	if err := g.d.WithToken(g.Context(), g.d.Vault, func(token hsm.Token) error {
		g.spendsHalf(token)
		g.attestsAlone(token)
		return nil
	}); err != nil {
		g.Fatal(err)
	}
}

// spot returns what the client's first address in a wallet is made of.
func (g *guarded) spot(name canon.Name) keyset.Spot {
	g.Helper()
	wallet, _ := g.build.Charter.Wallet(name)
	on, _ := g.build.Charter.Chain(wallet.Chain)
	account, _ := g.build.Charter.Account("acme-main")
	set := keyset.Set{Organisation: g.build.Charter.Organisation(), Chain: on, Wallet: wallet, Group: g.keys[wallet.Key]}
	if len(wallet.Pool) > 0 {
		set.Pool = must(g.build.Pool(canon.Digest(wallet.Pool)))(g.T)
	}
	return must(set.At(account, 0, 0))(g.T)
}

// deposited pays to the vault and returns the coin.
func (g *guarded) deposited() bitcoin.Coin {
	g.Helper()
	spot := g.spot(devnet.BTCVault)
	address, _ := g.d.Deposit(devnet.BTCVault, "acme-main")
	const satoshi = 40_000_000
	id := must(g.d.Bitcoin.Fund(g.Context(), address, satoshi))(g.T)
	must(g.d.Bitcoin.Mine(g.Context(), 1))(g.T)
	paid := must(g.d.Bitcoin.Node().Transaction(g.Context(), id))(g.T)
	at := slices.IndexFunc(paid.Tx.TxOut, func(o *wire.TxOut) bool { return bytes.Equal(o.PkScript, spot.Address) })
	if at < 0 {
		g.Fatalf("expected a payment to %x, found none", spot.Address)
	}
	return bitcoin.Coin{Outpoint: wire.OutPoint{Hash: chainhash.Hash(id), Index: uint32(at)}, Value: satoshi, Script: spot.Address, Witness: spot.Witness, Needed: 2,
		Previous: must(bitcoin.WithoutWitness(chain.RawTx(paid.Tx)))(g.T), Account: "acme-main"}
}

// spendsHalf signs a transaction to a thief by the token's key. The chain wants another signature, and nobody else makes one.
func (g *guarded) spendsHalf(token hsm.Token) {
	g.Helper()
	spot := g.spot(devnet.BTCVault)
	coin := g.deposited()
	theft := wire.NewMsgTx(2)
	theft.AddTxIn(&wire.TxIn{PreviousOutPoint: coin.Outpoint, Sequence: bitcoin.Sequence})
	theft.AddTxOut(wire.NewTxOut(coin.Value-10_000, append([]byte{0, 20}, bytes.Repeat([]byte{0x66}, 20)...)))
	prevouts := []*wire.TxOut{wire.NewTxOut(coin.Value, coin.Script)}
	digest := must(bitcoin.Digests(theft, prevouts, [][]byte{spot.Witness}))(g.T)[0]
	key := must(token.ECDSA(g.Context(), keyset.Label(devnet.BTCVault, "acme-main", 0, 0), hsm.KeyClass{}))(g.T)
	if key.Public() != spot.Devices[0].Public {
		g.Fatalf("expected the key of the address, %x, found %x", spot.Devices[0].Public, key.Public())
	}
	half := must(key.Sign(g.Context(), digest, nil))(g.T)
	own := must(btcec.NewPrivateKey())(g.T)
	signature := der(half)
	by := append(ecdsa.Sign(own, digest[:]).Serialize(), 1)
	for name, stack := range map[string]wire.TxWitness{
		"the token's signature alone":          {nil, signature, spot.Witness},
		"the token's signature twice":          {nil, signature, signature, spot.Witness},
		"beside the thief's own":               {nil, signature, by, spot.Witness},
		"behind the thief's own":               {nil, by, signature, spot.Witness},
		"with nothing in the place of another": {nil, signature, nil, spot.Witness},
	} {
		signed := theft.Copy()
		signed.TxIn[0].Witness = stack
		if err := bitcoin.Verify(signed, prevouts); err == nil {
			g.Errorf("%s: expected the script engine to refuse it, found consent", name)
		}
		var rejected *chain.Rejected
		if err := g.d.Bitcoin.Node().Broadcast(g.Context(), signed); !errors.As(err, &rejected) {
			g.Errorf("%s: expected the node to refuse it, found %v", name, err)
		}
	}
	g.unapprovedSpends(coin)
}

// der encodes r ‖ s with SIGHASH_ALL.
func der(signature [64]byte) []byte {
	var r, s btcec.ModNScalar
	r.SetByteSlice(signature[:32])
	s.SetByteSlice(signature[32:])
	return append(ecdsa.NewSignature(&r, &s).Serialize(), 1)
}

// unapprovedSpends: the holders of the MPC key want what they always want, and have the second key.
func (g *guarded) unapprovedSpends(coin bitcoin.Coin) {
	g.Helper()
	b := g.cosigning()
	p := must(b.Paper(g.d.BTC))(g.T)
	if err := b.Spend(p, coin, 5000, 0); err != nil {
		g.Fatal(err)
	}
	p.Approvals = nil
	g.refusesToReserve("from the vault, approved by nobody", p, "approvals", "evidence.approvals")
	q := must(b.Question(p))(g.T)
	g.refusesToSign("from the vault, certified by nobody", q.Evidence, must(b.Certificate(q.Reservation))(g.T), "certificate", "certificate.acks")
}

// attestsAlone: the token's word is no approval and no certificate.
func (g *guarded) attestsAlone(token hsm.Token) {
	g.Helper()
	b := g.cosigning()
	p := must(b.Paper(g.d.ETH))(g.T)
	fees := must(g.d.EVM.Node().Fees(g.Context()))(g.T)
	if err := b.Transfer(p, 0, fees); err != nil {
		g.Fatal(err)
	}
	p.Approvals = nil
	g.refusesToReserve("from the vault on EVM, approved by nobody", p, "approvals", "evidence.approvals")
	q := must(b.Question(p))(g.T)
	transaction := must(p.Transaction())(g.T)
	document, digest, err := canon.Seal(canon.Attestation{Organisation: b.Charter.Organisation(), Signer: canon.Name(g.d.Vault.Name), Wallet: devnet.ETHVault,
		Reservation: q.Rid, Transaction: canon.TransactionDigest(transaction), Charter: b.Charter.Digest()})
	if err != nil {
		g.Fatal(err)
	}
	key := must(token.ECDSA(g.Context(), keyset.AttestationLabel(devnet.ETHVault), hsm.KeyClass{}))(g.T)
	signature := must(key.Sign(g.Context(), digest, nil))(g.T)
	attested := onWire(canon.Signed{Document: document, Scheme: canon.ECDSA, Signature: signature[:]})
	nothing := g.unsigned(g.names...)
	for _, pair := range [][]canon.Name{g.names[:2], g.names[2:]} {
		for _, name := range pair {
			_, err := g.signers[name].Sign(g.Context(), &pb.SignRequest{Evidence: q.Evidence, Certificate: must(b.Certificate(q.Reservation))(g.T),
				Participants: texts(pair), Attempt: 1, Attestations: []*pb.Signed{attested}})
			g.refused("attested by whoever stole the PIN, certified by nobody", map[canon.Name]error{name: err}, "certificate", "certificate.acks")
		}
	}
	nothing()
}

// ignoresDevice: approved and certified, and signed by an evil holder without the word of the device; an honest one wants it. So fewer evil ones than
// sign together cannot do without the device.
func (g *guarded) ignoresDevice() {
	with := g.cosigning()
	p := must(with.Paper(g.d.ETH))(g.T)
	if err := with.Transfer(p, 0, must(g.d.EVM.Node().Fees(g.Context()))(g.T)); err != nil {
		g.Fatal(err)
	}
	b := g.betrayed()
	nothing := g.unsigned(b.honest...)
	evidence, certificate := b.certified(p)
	b.begins("certified, attested by no device", evidence, certificate, "attestation", "attestations")
	nothing()
}
