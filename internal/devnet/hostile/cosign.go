package hostile

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"

	"github.com/strongroom/strongroom/proto/canon"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// guarded attacks wallets of scheme cosign: it asks the device for what it must not sign, and the holders of the MPC key for what the device did not
// attest. It is left out where the charter has no such wallet, or no address of a device was given.
func (r *run) guarded(ctx context.Context) error {
	with := r.Builder
	with.Scheme = canon.SchemeCosign
	g := &guarded{run: r, b: &with}
	for _, chain := range []string{r.config.Bitcoin.Chain(), r.config.EVM.Chain()} {
		wallet, _, err := with.source(canon.ChainID(chain))
		if err != nil || len(wallet.Devices) == 0 || r.signers[wallet.Devices[0].Signer] == nil {
			return nil
		}
		g.device = wallet.Devices[0].Signer
	}
	if err := g.gather(ctx); err != nil {
		return err
	}
	if err := g.bitcoin(ctx); err != nil {
		return err
	}
	return g.evm(ctx)
}

// guarded are the attacks on wallets that a device guards.
type guarded struct {
	*run
	b      *Builder // makes papers of these wallets
	device canon.Name
}

// gather asks everybody for what the charter's allocation rests on.
func (g *guarded) gather(ctx context.Context) (err error) {
	if len(g.Charter.Genesis().Allocation) == 0 {
		return nil
	}
	if g.config.Prices != nil {
		if g.b.Prices, err = g.config.Prices(ctx); err != nil {
			return err
		}
	}
	enough := g.names[:g.Charter.Genesis().Roster.Faults+1]
	for _, chain := range g.Charter.Genesis().Chains {
		answers := ask(ctx, enough, shortCall, func(ctx context.Context, name canon.Name) (*pb.StateBalancesResponse, error) {
			return g.signers[name].StateBalances(ctx, &pb.StateBalancesRequest{Chain: string(chain.ID)})
		})
		for _, name := range enough {
			if err := answers[name].err; err != nil {
				return fmt.Errorf("balances on %s: %s: %w", chain.ID, name, err)
			}
			s := answers[name].value.GetBalances()
			g.b.Balances = append(g.b.Balances, canon.Signed{Document: s.GetDocument(), Scheme: canon.Scheme(s.GetScheme()), Signature: s.GetSignature()})
		}
	}
	return nil
}

// certify has the signers certify a paper.
func (g *guarded) certify(ctx context.Context, p *Paper) (q Question, acks []canon.Signed, certificate []byte, err error) {
	if _, err = g.b.Check(p); err != nil {
		return q, nil, nil, fmt.Errorf("paper on %s: expected the guard to accept it, found: %w", p.Request.Wallet, err)
	}
	if q, err = g.b.Question(p); err != nil {
		return q, nil, nil, err
	}
	if acks, err = g.acks(ctx, g.names, q); err != nil {
		return q, nil, nil, err
	}
	certificate, err = g.b.Certificate(q.Reservation, acks[:g.Charter.Genesis().Roster.Quorum]...)
	return q, acks, certificate, err
}

// bitcoin asks the device for signatures that would be the second of two.
func (g *guarded) bitcoin(ctx context.Context) error {
	coin, ok := g.Charter.NativeAsset(canon.ChainID(g.config.Bitcoin.Chain()))
	if !ok {
		return errors.New("chain: expected a coin in the charter, found none")
	}
	p, err := g.b.Paper(coin.ID)
	if err != nil {
		return err
	}
	coins, err := g.b.coins(ctx, g.config.Bitcoin, p.enough(), g.config.Avoid)
	if err != nil {
		return err
	}
	if len(coins) == 0 {
		return fmt.Errorf("coins: expected one of at least %d satoshis in wallet %s, found none", p.enough(), p.Request.Wallet)
	}
	if err := g.b.Spend(p, coins[0], g.rate, 0); err != nil {
		return err
	}
	other := p.Clone()
	if err := g.b.Spend(other, coins[0], g.rate, 1); err != nil {
		return err
	}
	evidence, err := other.Evidence()
	if err != nil {
		return err
	}
	q, acks, certificate, err := g.certify(ctx, p)
	if err != nil {
		return err
	}
	few, err := g.b.Certificate(q.Reservation, acks[:g.Charter.Genesis().Roster.Quorum-1]...)
	if err != nil {
		return err
	}
	for _, try := range []struct {
		name, field           string
		evidence, certificate []byte
	}{
		{"device asked to sign without a certificate", "certificate", q.Evidence, nil},
		{fmt.Sprintf("device asked to sign on %d acks", g.Charter.Genesis().Roster.Quorum-1), "certificate.acks", q.Evidence, few},
		{"device asked to sign another transaction than the certified one", "reservation.transactions", evidence, certificate},
		{"device asked to sign for a wallet that is not its own", "wallet.devices", g.signed.evidence, g.signed.certificate},
	} {
		if err := g.refuseCosign(ctx, try.name, try.field, try.evidence, try.certificate); err != nil {
			return err
		}
	}
	return nil
}

func (g *guarded) refuseCosign(ctx context.Context, name, field string, evidence, certificate []byte) error {
	refused, err := refusals(name, field, g.cosign(ctx, g.device, evidence, certificate))
	if err != nil {
		return err
	}
	g.done(name, refused)
	return nil
}

// evm asks every holder of the MPC key by itself: as long as each refuses, fewer bad ones than sign together cannot do without the device.
func (g *guarded) evm(ctx context.Context) error {
	p, another, err := g.transfers(ctx)
	if err != nil {
		return err
	}
	given, forged, err := g.attested(ctx, another)
	if err != nil {
		return err
	}
	q, _, certificate, err := g.certify(ctx, p)
	if err != nil {
		return err
	}
	right, err := g.attestation(ctx, q, certificate)
	if err != nil {
		return err
	}
	var a canon.Attestation
	if err := canon.Decode(right.Document, &a); err != nil {
		return err
	}
	inFor := func(signer canon.Name) (canon.Signed, error) {
		b := a
		b.Signer = signer
		return forged(b)
	}
	byStranger, err := inFor(a.Signer)
	if err != nil {
		return err
	}
	byHolder, err := inFor(g.names[0])
	if err != nil {
		return err
	}
	for _, try := range []struct {
		name, field  string
		attestations []canon.Signed
	}{
		{"MPC key asked to sign what no device attests", "attestations", nil},
		{"MPC key asked to sign with the attestation of another transaction", "attestations[0].transaction", []canon.Signed{given}},
		{"MPC key asked to sign with an attestation by another key", "attestations[0].signature", []canon.Signed{byStranger}},
		{"MPC key asked to sign with the attestation of a signer that is no device", "attestations[0].signer", []canon.Signed{byHolder}},
		{"MPC key asked to sign with a true attestation beside another's", "attestations", []canon.Signed{right, given}},
	} {
		answers := g.signAttested(ctx, g.names, g.threshold, q, certificate, try.attestations...)
		refused, err := refusals(try.name, try.field, answers)
		if err != nil {
			return err
		}
		g.done(try.name, refused)
	}
	return nil
}

// transfers returns two withdrawals of the EVM chain's coin with nonces that follow each other.
func (g *guarded) transfers(ctx context.Context) (first, second *Paper, err error) {
	id := canon.ChainID(g.config.EVM.Chain())
	coin, ok := g.Charter.NativeAsset(id)
	if !ok {
		return nil, nil, fmt.Errorf("assets: expected a coin on %s, found none", id)
	}
	_, _, sender, err := g.b.sender(id)
	if err != nil {
		return nil, nil, err
	}
	nonce, err := g.config.EVM.NonceAt(ctx, sender)
	if err != nil {
		return nil, nil, err
	}
	fees, err := g.config.EVM.Fees(ctx)
	if err != nil {
		return nil, nil, err
	}
	var out [2]*Paper
	for i := range out {
		if out[i], err = g.b.Paper(coin.ID); err != nil {
			return nil, nil, err
		}
		if err := g.b.Transfer(out[i], nonce+uint64(i), fees); err != nil {
			return nil, nil, err
		}
	}
	return out[1], out[0], nil // the lower nonce is reserved first
}

// attested has the device attest a withdrawal, honestly, and returns that word and a way to forge another.
func (g *guarded) attested(ctx context.Context, p *Paper) (canon.Signed, func(canon.Attestation) (canon.Signed, error), error) {
	q, _, certificate, err := g.certify(ctx, p)
	if err != nil {
		return canon.Signed{}, nil, err
	}
	given, err := g.attestation(ctx, q, certificate)
	if err != nil {
		return canon.Signed{}, nil, err
	}
	key, err := btcec.NewPrivateKey()
	if err != nil {
		return canon.Signed{}, nil, err
	}
	return given, func(a canon.Attestation) (canon.Signed, error) {
		document, digest, err := canon.Seal(a)
		return canon.Signed{Document: document, Scheme: canon.ECDSA, Signature: slices.Clone(ecdsa.SignCompact(key, digest[:], true)[1:])}, err
	}, nil
}

// attestation asks the device for its word on a withdrawal that is certified.
func (g *guarded) attestation(ctx context.Context, q Question, certificate []byte) (canon.Signed, error) {
	a := g.cosign(ctx, g.device, q.Evidence, certificate)[g.device]
	if a.err != nil {
		return canon.Signed{}, fmt.Errorf("certified withdrawal: %s: expected an attestation, found: %w", g.device, a.err)
	}
	s := a.value.GetAttestation()
	return canon.Signed{Document: s.GetDocument(), Scheme: canon.Scheme(s.GetScheme()), Signature: s.GetSignature()}, nil
}
