package hostile

import (
	"fmt"

	"github.com/strongroom/strongroom/policy"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/wallets/keyset"
)

// Reservation returns what a coordinator asks signers to record for the paper. It says what the paper says, so that an altered
// paper is refused for its evidence and not for a reservation that does not belong to it.
func (b *Builder) Reservation(p *Paper) (canon.Reservation, error) {
	transaction, err := p.Transaction()
	if err != nil {
		return canon.Reservation{}, err
	}
	intent, err := p.IntentDigest()
	if err != nil {
		return canon.Reservation{}, err
	}
	rule, ok := b.Charter.Rule(p.Intent.Rule)
	if !ok {
		return canon.Reservation{}, fmt.Errorf("rule: expected one of the charter, found %s", p.Intent.Rule)
	}
	wallet, ok := b.Charter.Wallet(p.Request.Wallet)
	if !ok {
		return canon.Reservation{}, fmt.Errorf("wallet: expected one of the charter, found %s", p.Request.Wallet)
	}
	var key keyset.GroupKey // none for scheme hsm
	if wallet.Key != "" {
		if key, ok = b.Key(wallet.Key); !ok {
			return canon.Reservation{}, fmt.Errorf("key: expected the public key of %s, found none", wallet.Key)
		}
	}
	coin, _ := b.Charter.NativeAsset(p.Request.Chain)
	asset := coin.ID // of a contract call
	if len(p.Request.Outputs) > 0 {
		asset = p.Request.Outputs[0].Asset
	}
	anchors := p.anchors()
	charges, err := policy.Charges(b.Charter, &rule, policy.FactsOf(&p.Request), p.Intent.FeeCap)
	if err != nil {
		return canon.Reservation{}, err
	}
	return canon.Reservation{
		Organisation: b.Charter.Organisation(), Withdrawal: p.Intent.Withdrawal, Version: p.Version, Intent: intent, Sort: canon.Write,
		Transactions: []canon.Digest{canon.TransactionDigest(transaction)}, Wallet: wallet.Name, Asset: asset,
		Charges: charges, Anchor: anchors[0], AnchorNumber: 1, Inputs: anchors,
		Stamp: p.Stamp, Until: p.Until, CharterNumber: b.Charter.Number(), Charter: b.Charter.Digest(), Key: key.ID, KeyEpoch: key.Epoch,
	}, nil
}

// Question is what a signer is asked: evidence, and the reservation for it.
type Question struct {
	Evidence    []byte
	Reservation []byte
	Rid         canon.Digest
}

// Question encodes the paper.
func (b *Builder) Question(p *Paper) (Question, error) {
	evidence, err := p.Evidence()
	if err != nil {
		return Question{}, err
	}
	r, err := b.Reservation(p)
	if err != nil {
		return Question{}, err
	}
	encoded, rid, err := canon.Seal(r)
	return Question{Evidence: evidence, Reservation: encoded, Rid: rid}, err
}

// Certificate puts acks under a reservation, whatever they are worth.
func (b *Builder) Certificate(reservation []byte, acks ...canon.Signed) ([]byte, error) {
	return canon.Encode(canon.Certificate{Organisation: b.Charter.Organisation(), Reservation: reservation, Acks: acks})
}
