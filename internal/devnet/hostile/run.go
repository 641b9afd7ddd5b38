package hostile

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
	"github.com/strongroom/strongroom/wallets/bitcoin"
)

// neededCoins is how many coins Run takes: two for the intent that is split, one for the one that is signed.
const neededCoins = 3

// run is one run of all attacks.
type run struct {
	*Coordinator
	progress  func(string)
	coins     []bitcoin.Coin
	rate      int64
	threshold int
	attacks   []Attack
	// signed is what certified had signed, from a wallet of the MPC key alone.
	signed struct{ evidence, certificate []byte }
}

// Run carries out every attack, in order, and returns what came of them. It needs three coins of the client's account, deep enough and
// each of a little more than what a rule without officers allows; the last two attacks leave the signers holding them for good. A line goes to
// progress for every attack. The error is a *NotRefusedError when a signer did not stand up to an attack; then the attacks before are
// returned as well.
func (c *Coordinator) Run(ctx context.Context, progress func(string)) ([]Attack, error) {
	r := &run{Coordinator: c, progress: progress}
	papers, err := r.prepare(ctx)
	if err != nil {
		return nil, fmt.Errorf("hostile coordinator: %w", err)
	}
	for _, step := range []func() error{
		func() error { return r.alterations(ctx, papers) },
		func() error { return r.rejected(ctx) },
		func() error { return r.split(ctx) },
		func() error { return r.certified(ctx) },
		func() error { return r.guarded(ctx) },
	} {
		if err := step(); err != nil {
			return r.attacks, fmt.Errorf("hostile coordinator: %w", err)
		}
	}
	return r.attacks, nil
}

// prepare finds coins and fees and makes the papers from which alterations start. The guard must accept each.
func (r *run) prepare(ctx context.Context) (Papers, error) {
	var p Papers
	coin, ok := r.Charter.NativeAsset(canon.ChainID(r.config.Bitcoin.Chain()))
	if !ok {
		return p, fmt.Errorf("chain: expected one of the charter, found %s", r.config.Bitcoin.Chain())
	}
	var err error
	if p.Bitcoin, err = r.Paper(coin.ID); err != nil {
		return p, err
	}
	if r.coins, err = r.Builder.coins(ctx, r.config.Bitcoin, p.Bitcoin.enough(), r.config.Avoid); err != nil {
		return p, err
	}
	if len(r.coins) < neededCoins {
		return p, fmt.Errorf("coins: expected %d of at least %d satoshis each in account %s, found %d", neededCoins, p.Bitcoin.enough(), p.Bitcoin.Request.Account, len(r.coins))
	}
	if r.rate, err = r.config.Bitcoin.FeeRate(ctx, 6); err != nil {
		return p, err
	}
	if err := r.Spend(p.Bitcoin, r.coins[0], r.rate, 0); err != nil {
		return p, err
	}
	if p.Coin, p.Token, err = r.transfers(ctx); err != nil {
		return p, err
	}
	if p.Call, err = r.Call(p.Token); err != nil {
		return p, err
	}
	if p.Stated, err = r.Stated(p.Coin); err != nil {
		return p, err
	}
	if p.Moved, err = r.Moved(p.Stated); err != nil {
		return p, err
	}
	wallet, _ := r.Charter.Wallet(p.Bitcoin.Request.Wallet)
	key, _ := r.Charter.Key(wallet.Key)
	r.threshold = int(key.Threshold)
	for _, optional := range []*Paper{p.Call, p.Stated, p.Moved} {
		if optional == nil {
			continue
		}
		if err := r.accepted(optional); err != nil {
			return p, err
		}
	}
	return p, r.accepted(p.Bitcoin, p.Coin, p.Token)
}

// transfers makes the papers for the EVM chain's coin and for its first token.
func (r *run) transfers(ctx context.Context) (coin, token *Paper, err error) {
	id := canon.ChainID(r.config.EVM.Chain())
	native, ok := r.Charter.NativeAsset(id)
	assets := r.Charter.Genesis().Assets
	i := slices.IndexFunc(assets, func(a canon.Asset) bool { _, is := a.ID.Contract(); return is && a.ID.Chain() == id })
	if !ok || i < 0 {
		return nil, nil, fmt.Errorf("assets: expected a coin and a token on %s, found fewer", id)
	}
	_, _, sender, err := r.sender(id)
	if err != nil {
		return nil, nil, err
	}
	nonce, err := r.config.EVM.NonceAt(ctx, sender)
	if err != nil {
		return nil, nil, err
	}
	fees, err := r.config.EVM.Fees(ctx)
	if err != nil {
		return nil, nil, err
	}
	var out [2]*Paper
	for i, asset := range []canon.AssetID{native.ID, assets[i].ID} {
		if out[i], err = r.Paper(asset); err != nil {
			return nil, nil, err
		}
		if err := r.Transfer(out[i], nonce, fees); err != nil {
			return nil, nil, err
		}
	}
	return out[0], out[1], nil
}

// accepted makes sure that nothing but the alteration will be the reason of a refusal.
func (r *run) accepted(papers ...*Paper) error {
	for _, p := range papers {
		if _, err := r.Check(p); err != nil {
			return fmt.Errorf("unaltered paper of request %s on %s: expected the guard to accept it, found: %w", p.Request.RequestID, p.Request.Chain, err)
		}
	}
	return nil
}

// done notes an attack that every signer refused.
func (r *run) done(name string, refused map[canon.Name]refusal.Failure) {
	r.attacks = append(r.attacks, Attack{Name: name, Refusals: refused})
	names := slices.Sorted(maps.Keys(refused))
	r.progress(fmt.Sprintf("%s: refused by %d signers: %s", name, len(names), refused[names[0]]))
}

// refuseReserve asks signers for acks and wants refusals of the field.
func (r *run) refuseReserve(ctx context.Context, name, field string, names []canon.Name, p *Paper) error {
	return r.refuseCase(ctx, names, Case{Name: name, Field: field, Paper: p})
}

// refuseCase does so for a case, whose refusals may have to name something.
func (r *run) refuseCase(ctx context.Context, names []canon.Name, c Case) error {
	q, err := r.Question(c.Paper)
	if err != nil {
		return fmt.Errorf("%s: %w", c.Name, err)
	}
	answers := r.reserve(ctx, names, q)
	refused, err := refusals(c.Name, c.Field, answers)
	if err != nil {
		return err
	}
	for name, answer := range answers {
		if !c.named(answer.err) {
			return &NotRefusedError{c.Name, name, c.Field + ", named " + c.Names, answer.err}
		}
	}
	r.done(c.Name, refused)
	return nil
}

// refuseSign asks signers for signatures and wants refusals of the field.
func (r *run) refuseSign(ctx context.Context, name, field string, names []canon.Name, evidence, certificate []byte) error {
	refused, err := refusals(name, field, r.sign(ctx, names, r.threshold, evidence, certificate))
	if err != nil {
		return err
	}
	r.done(name, refused)
	return nil
}

// alterations sends every altered paper to every signer.
func (r *run) alterations(ctx context.Context, papers Papers) error {
	cases, err := r.Cases(papers)
	if err != nil {
		return err
	}
	for _, c := range cases {
		if err := r.refuseCase(ctx, r.names, c); err != nil {
			return err
		}
	}
	return nil
}

// rejected has an officer tell the signers that he rejects an intent which enough others approved, and then asks for it, silent about
// the rejection.
func (r *run) rejected(ctx context.Context) error {
	p, err := r.payment(r.coins[0])
	if err != nil {
		return err
	}
	digest, err := p.IntentDigest()
	if err != nil {
		return err
	}
	officers := slices.Sorted(maps.Keys(r.config.Devices))
	officer := officers[len(officers)-1]
	statement, err := r.Rejection(officer, digest)
	if err != nil {
		return err
	}
	if err := r.tell(ctx, officer, statement); err != nil {
		return err
	}
	return r.refuseReserve(ctx, "intent that an officer rejected, told to the signers directly", "evidence.statements", r.names, p)
}

// payment returns a paper for a new request, paid out of one coin.
func (r *run) payment(coin bitcoin.Coin) (*Paper, error) {
	native, ok := r.Charter.NativeAsset(canon.ChainID(r.config.Bitcoin.Chain()))
	if !ok {
		return nil, errors.New("chain: expected a coin in the charter, found none")
	}
	p, err := r.Paper(native.ID)
	if err != nil {
		return nil, err
	}
	if err := r.Spend(p, coin, r.rate, 0); err != nil {
		return nil, err
	}
	return p, r.accepted(p)
}

// tell brings an officer's statement to every signer, from the officer's own device.
func (r *run) tell(ctx context.Context, officer canon.Name, statement canon.Signed) error {
	clients := map[canon.Name]pb.OfficerServiceClient{}
	for _, name := range r.names {
		conn, err := r.dial(name, r.config.Devices[officer])
		if err != nil {
			return err
		}
		clients[name] = pb.NewOfficerServiceClient(conn)
	}
	request := &pb.SubmitSignerStatementRequest{Statement: &pb.Signed{
		Document: statement.Document, Scheme: uint32(statement.Scheme), Signature: statement.Signature,
	}}
	answers := ask(ctx, r.names, shortCall, func(ctx context.Context, name canon.Name) (*pb.SubmitSignerStatementResponse, error) {
		return clients[name].SubmitSignerStatement(ctx, request)
	})
	for _, name := range r.names {
		if err := answers[name].err; err != nil {
			return fmt.Errorf("rejection by %s: %s: expected it to be recorded, found: %w", officer, name, err)
		}
	}
	return nil
}
