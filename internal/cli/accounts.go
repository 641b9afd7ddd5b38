package cli

import (
	"context"
	"errors"
	"fmt"
	"math/big"

	"github.com/strongroom/strongroom/proto/canon"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
	"github.com/strongroom/strongroom/wallets"
)

// ErrUnbalanced is wrapped when the book does not agree with what the wallets hold.
var ErrUnbalanced = errors.New("not balanced")

// AccountBalances prints what accounts are owed, of one account if there is a name.
func (s *Session) AccountBalances(ctx context.Context, account string) error {
	c, err := s.coordinator()
	if err != nil {
		return err
	}
	got, err := call(ctx, c.ListAccountBalances, &pb.ListAccountBalancesRequest{Account: account})
	if err != nil {
		return err
	}
	v := AccountsView{Accounts: []AccountView{}}
	for _, b := range got.GetBalances() {
		owed, err := s.bookAmount(b.GetAsset(), b.GetOwed())
		if err != nil {
			return err
		}
		aside, err := s.bookAmount(b.GetAsset(), b.GetSetAside())
		if err != nil {
			return err
		}
		v.Accounts = append(v.Accounts, AccountView{Account: b.GetAccount(), Client: b.GetClient(), Owed: owed, SetAside: aside})
	}
	return s.Print(v)
}

// bookAmount reads base units of an asset that the coordinator names.
func (s *Session) bookAmount(asset, text string) (AmountView, error) {
	n, err := baseUnits(text)
	if err != nil {
		return AmountView{}, err
	}
	return amountView(s.Charter, canon.AssetID(asset), n), nil
}

// PostingFilter says which postings to print.
type PostingFilter struct {
	Account string // empty for all
	Asset   string // symbol or CAIP-19 id; empty for all
}

// AccountPostings prints what the book has, the oldest first.
func (s *Session) AccountPostings(ctx context.Context, f PostingFilter) error {
	c, err := s.coordinator()
	if err != nil {
		return err
	}
	request := &pb.ListPostingsRequest{Account: f.Account, PageSize: 1000}
	if f.Asset != "" {
		asset, err := s.assetCalled(f.Asset)
		if err != nil {
			return err
		}
		request.Asset = string(asset)
	}
	all, err := pages(func(token string) ([]*pb.Posting, string, error) {
		request.PageToken = token
		r, err := call(ctx, c.ListPostings, request)
		return r.GetPostings(), r.GetNextPageToken(), err
	})
	if err != nil {
		return err
	}
	v := PostingsView{Postings: []PostingView{}}
	for _, p := range all {
		shown, err := s.posting(p)
		if err != nil {
			return err
		}
		v.Postings = append(v.Postings, shown)
	}
	return s.Print(v)
}

func (s *Session) posting(p *pb.Posting) (PostingView, error) {
	amount, err := s.bookAmount(p.GetAsset(), p.GetAmount())
	return PostingView{Entry: p.GetEntry(), Time: wireTime(p.GetTime()), Kind: p.GetKind(), Debit: p.GetDebit(), Credit: p.GetCredit(), Amount: amount,
		TxID: p.GetTxid(), Withdrawal: p.GetWithdrawal(), Text: p.GetText()}, err
}

// assetCalled returns the one asset of the charter with that symbol or id.
func (s *Session) assetCalled(name string) (canon.AssetID, error) {
	var found []canon.AssetID
	for _, a := range s.Charter.Genesis().Assets {
		if string(a.Symbol) == name || string(a.ID) == name {
			found = append(found, a.ID)
		}
	}
	if len(found) != 1 {
		return "", fmt.Errorf("asset: expected one of the charter, found %q for %d of them", name, len(found))
	}
	return found[0], nil
}

// Reconcile prints the book of each wallet and asset beside what the wallet holds, with the difference worked out here. One that is not zero is
// ErrUnbalanced.
func (s *Session) Reconcile(ctx context.Context) error {
	c, err := s.coordinator()
	if err != nil {
		return err
	}
	got, err := call(ctx, c.Reconcile, &pb.ReconcileRequest{})
	if err != nil {
		return err
	}
	v := ReconcileView{Balanced: got.GetBalanced(), Lines: []ReconcileLineView{}}
	for _, l := range got.GetLines() {
		line, err := s.reconcileLine(l)
		if err != nil {
			return err
		}
		v.Balanced = v.Balanced && line.Difference.BaseUnits == "0"
		v.Lines = append(v.Lines, line)
	}
	if err := s.Print(v); err != nil {
		return err
	}
	if !v.Balanced {
		return fmt.Errorf("book: %w", ErrUnbalanced)
	}
	return nil
}

func (s *Session) reconcileLine(l *pb.ReconcileLine) (ReconcileLineView, error) {
	out := ReconcileLineView{Wallet: l.GetWallet()}
	difference := new(big.Int)
	for _, f := range []struct {
		to   *AmountView
		text string
		sign int64
	}{{&out.Held, l.GetHeld(), 1}, {&out.Owed, l.GetOwed(), -1}, {&out.InFlight, l.GetInFlight(), -1}, {&out.Suspense, l.GetSuspense(), -1}} {
		n, err := baseUnits(f.text)
		if err != nil {
			return out, err
		}
		*f.to = amountView(s.Charter, canon.AssetID(l.GetAsset()), n)
		difference.Add(difference, new(big.Int).Mul(n.Int(), big.NewInt(f.sign)))
	}
	if stated, ok := new(big.Int).SetString(l.GetDifference(), 10); !ok || stated.Cmp(difference) != 0 {
		return out, fmt.Errorf("coordinator: difference of wallet %q: expected %s, as its amounts give, found %.80q", l.GetWallet(), difference, l.GetDifference())
	}
	size, err := canon.NewAmount(new(big.Int).Abs(difference))
	if err != nil {
		return out, fmt.Errorf("coordinator: %w", err)
	}
	out.Difference = amountView(s.Charter, canon.AssetID(l.GetAsset()), size)
	if difference.Sign() != 0 {
		sign := map[int]string{1: "+", -1: "-"}[difference.Sign()]
		out.Difference.Amount, out.Difference.BaseUnits = sign+out.Difference.Amount, difference.String()
	}
	return out, nil
}

// Attribution says whose a deposit is that nobody's address received.
type Attribution struct {
	Entry     uint64
	Account   string
	Amount    string // decimal base units; empty: all that is left of the deposit
	RequestID string // empty: a random one
}

// Attribute has a deposit attributed. The same request id does it once.
func (s *Session) Attribute(ctx context.Context, a Attribution) error {
	if a.RequestID == "" {
		var err error
		if a.RequestID, err = randomID(); err != nil {
			return err
		}
	}
	if _, ok := s.Charter.Account(canon.Name(a.Account)); !ok {
		return fmt.Errorf("account: expected one of the charter, found %q", a.Account)
	}
	if a.Amount != "" {
		if _, err := wallets.ParseAmount(a.Amount, canon.Asset{}); err != nil {
			return fmt.Errorf("amount: %w", err)
		}
	}
	c, err := s.coordinator()
	if err != nil {
		return err
	}
	got, err := call(ctx, c.AttributeDeposit, &pb.AttributeDepositRequest{Entry: a.Entry, Account: a.Account, Amount: a.Amount, RequestId: a.RequestID})
	if err != nil {
		s.Note("If no answer came, ask again with --request-id %s: it is then done once.", a.RequestID)
		return err
	}
	v, err := s.posting(got.GetPosting())
	if err != nil {
		return err
	}
	return s.Print(v)
}
