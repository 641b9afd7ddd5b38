package hostile

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"slices"

	"github.com/strongroom/strongroom/proto/canon"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
	"github.com/strongroom/strongroom/wallets/bitcoin"
)

// split sends one approved intent with different inputs to the two halves of the signers. Each half may ack its own, since neither knows of
// the other; but neither half is a quorum, and none acks the other's anchor.
func (r *run) split(ctx context.Context) error {
	// 2q > n+f, so that half of the signers, rounded down, is never a quorum.
	n := len(r.names) / 2
	left, right := r.names[:n], r.names[n:2*n]
	first, err := r.payment(r.coins[0])
	if err != nil {
		return err
	}
	second := first.Clone()
	if err := r.Spend(second, r.coins[1], r.rate, 0); err != nil {
		return err
	}
	if err := r.accepted(second); err != nil {
		return err
	}
	var acked []half
	for _, h := range []half{{paper: first, names: left}, {paper: second, names: right}} {
		if h.Question, err = r.Question(h.paper); err != nil {
			return err
		}
		if h.acks, err = r.acks(ctx, h.names, h.Question); err != nil {
			return err
		}
		acked = append(acked, h)
	}
	for i, h := range acked {
		other := acked[1-i]
		name := fmt.Sprintf("one intent for two halves: %v asked for the other half's inputs", h.names)
		if err := r.refuseReserve(ctx, name, "anchor", h.names, other.paper); err != nil {
			return err
		}
	}
	for i, h := range acked {
		if err := r.signHalf(ctx, fmt.Sprintf("one intent for two halves: inputs %d of 2", i+1), h, acked[1-i]); err != nil {
			return err
		}
	}
	return nil
}

// half is one half of the signers, and what it acked.
type half struct {
	Question
	paper *Paper
	names []canon.Name
	acks  []canon.Signed
}

// signHalf asks everybody to sign on the acks of one half, and on those of both.
func (r *run) signHalf(ctx context.Context, name string, h, other half) error {
	for _, try := range []struct {
		name, field string
		acks        []canon.Signed
	}{
		{fmt.Sprintf(", signed on %d acks", len(h.acks)), "certificate.acks", h.acks},
		{", signed on the acks of both halves", fmt.Sprintf("certificate.acks[%d].reservation", len(h.acks)), slices.Concat(h.acks, other.acks)},
	} {
		certificate, err := r.Certificate(h.Reservation, try.acks...)
		if err != nil {
			return err
		}
		if err := r.refuseSign(ctx, name+try.name, try.field, r.names, h.Evidence, certificate); err != nil {
			return err
		}
	}
	return nil
}

// certified takes a withdrawal through all its steps. Before it is signed, certificates are forged, and the true one is used for another
// transaction; after that, the signers that were not needed are asked for a second payment.
func (r *run) certified(ctx context.Context) error {
	p, err := r.payment(r.coins[2])
	if err != nil {
		return err
	}
	other := p.Clone()
	if err := r.Spend(other, r.coins[3%len(r.coins)], r.rate, 1); err != nil {
		return err
	}
	sameAnchor := p.Clone()
	if err := r.Spend(sameAnchor, r.coins[2], r.rate, 1); err != nil {
		return err
	}
	if err := r.accepted(other, sameAnchor); err != nil {
		return err
	}
	q, err := r.Question(p)
	if err != nil {
		return err
	}
	acks, err := r.acks(ctx, r.names, q)
	if err != nil {
		return err
	}
	if err := r.forgeries(ctx, p, other, acks); err != nil {
		return err
	}
	quorum := acks[:r.Charter.Genesis().Roster.Quorum]
	certificate, err := r.Certificate(q.Reservation, quorum...)
	if err != nil {
		return err
	}
	evidence, err := other.Evidence()
	if err != nil {
		return err
	}
	const reused = "certificate used for another transaction"
	if err := r.refuseSign(ctx, reused, "reservation.transactions", r.names, evidence, certificate); err != nil {
		return err
	}
	if err := r.signOnce(ctx, p, q, certificate); err != nil {
		return err
	}
	r.signed.evidence, r.signed.certificate = q.Evidence, certificate
	rest := r.names[r.threshold:]
	if err := r.refuseSign(ctx, reused+", after the payment was signed", "reservation.transactions", rest, evidence, certificate); err != nil {
		return err
	}
	if err := r.refuseReserve(ctx, "second payment of a withdrawal, from another coin", "anchor", rest, other); err != nil {
		return err
	}
	return r.refuseReserve(ctx, "second transaction under a version that is taken", "transactions", rest, sameAnchor)
}

// forgeries makes certificates out of true acks that are no quorum for the reservation.
func (r *run) forgeries(ctx context.Context, p, other *Paper, acks []canon.Signed) error {
	q, err := r.Question(p)
	if err != nil {
		return err
	}
	swapped, err := r.Question(other)
	if err != nil {
		return err
	}
	n := int(r.Charter.Genesis().Roster.Quorum)
	few := acks[:n-1]
	forged, err := forgeAck(acks[n-1])
	if err != nil {
		return err
	}
	for _, f := range []struct {
		name, field string
		question    Question
		acks        []canon.Signed
	}{
		{fmt.Sprintf("certificate with %d acks", len(few)), "certificate.acks", q, few},
		{"certificate with one ack twice", fmt.Sprintf("acks[%d].signer", len(few)), q, append(slices.Clone(few), few[0])},
		{"certificate with a forged ack", fmt.Sprintf("certificate.acks[%d].signature", len(few)), q, append(slices.Clone(few), forged)},
		{"certificate whose reservation names another transaction", "certificate.acks[0].reservation", swapped, acks[:n]},
	} {
		certificate, err := r.Certificate(f.question.Reservation, f.acks...)
		if err != nil {
			return err
		}
		if err := r.refuseSign(ctx, f.name, f.field, r.names, f.question.Evidence, certificate); err != nil {
			return err
		}
	}
	return nil
}

// forgeAck signs an ack with a key of nobody.
func forgeAck(ack canon.Signed) (canon.Signed, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return canon.Signed{}, err
	}
	return canon.Signed{Document: ack.Document, Scheme: canon.Ed25519, Signature: ed25519.Sign(key, canon.KindAck.Message(ack.Document))}, nil
}

// signOnce has the first signers sign what is certified, verifies it and hands it to the chain.
func (r *run) signOnce(ctx context.Context, p *Paper, q Question, certificate []byte) error {
	signers := r.names[:r.threshold]
	answers := r.sign(ctx, signers, r.threshold, q.Evidence, certificate)
	for _, name := range signers {
		if err := answers[name].err; err != nil {
			return fmt.Errorf("certified withdrawal: %s: expected a signature, found: %w", name, err)
		}
	}
	payment, err := r.complete(p, answers[signers[0]].value)
	if err != nil {
		return fmt.Errorf("certified withdrawal: %w", err)
	}
	tx, _, err := bitcoin.ParsePrevious(payment.Raw)
	if err != nil {
		return err
	}
	if err := r.config.Bitcoin.Broadcast(ctx, tx); err != nil {
		return err
	}
	payment.Signers = slices.Clone(signers)
	r.attacks = append(r.attacks, Attack{Name: "the certified transaction itself", Signed: true, Broadcast: payment})
	r.progress(fmt.Sprintf("the certified transaction itself: signed once by %v, %s", signers, payment.TxID))
	return nil
}

// complete puts the signatures into the transaction. Finalise verifies each, and the whole by the script engine.
func (r *run) complete(p *Paper, response *pb.SignResponse) (*Payment, error) {
	prevouts, err := p.prevouts()
	if err != nil {
		return nil, err
	}
	var inputs []bitcoin.SignedInput
	for i, s := range response.GetSignatures() {
		if len(s) != 65 || i >= len(response.GetPublicKeys()) || len(response.GetPublicKeys()[i]) != 33 {
			return nil, fmt.Errorf("signatures[%d]: expected 65 bytes and a key of 33, found %d bytes", i, len(s))
		}
		inputs = append(inputs, bitcoin.SignedInput{Keys: [][33]byte{[33]byte(response.GetPublicKeys()[i])}, Signatures: [][64]byte{[64]byte(s)}})
	}
	signed, err := bitcoin.Finalise(p.Bitcoin, prevouts, inputs)
	if err != nil {
		return nil, err
	}
	raw, err := bitcoin.Encode(signed)
	if err != nil {
		return nil, err
	}
	return &Payment{TxID: signed.TxHash().String(), Raw: raw, Paper: p}, nil
}
