package coordinator

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/strongroom/strongroom/audit"
	"github.com/strongroom/strongroom/internal/coordinator/accounting"
	"github.com/strongroom/strongroom/internal/coordinator/store"
	"github.com/strongroom/strongroom/proto/canon"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// accountAPI is AccountService.
type accountAPI struct {
	strongroomv1.UnimplementedAccountServiceServer
	*Service
}

// visibleAccounts returns the accounts that the caller may see, of these the named one if there is a name. An account of another client is not
// found, as one that does not exist.
func (a *accountAPI) visibleAccounts(ctx context.Context, name string) ([]canon.Account, error) {
	c, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	only := onlyClient(c)
	out := []canon.Account{}
	for _, account := range a.charter().Genesis().Accounts {
		if (only == "" || account.Client == only) && (name == "" || string(account.Name) == name) && (only == "" || account.Kind != canon.Pool) {
			out = append(out, account)
		}
	}
	if name != "" && len(out) == 0 {
		return nil, status.Errorf(codes.NotFound, "account %.70q: not found", name)
	}
	return out, nil
}

// ListAccountBalances implements the service: for each account the assets that it is owed some of, or that are set aside for it.
func (a *accountAPI) ListAccountBalances(ctx context.Context, r *strongroomv1.ListAccountBalancesRequest) (*strongroomv1.ListAccountBalancesResponse, error) {
	accounts, err := a.visibleAccounts(ctx, r.GetAccount())
	if err != nil {
		return nil, err
	}
	ledgers, err := a.Store.Ledgers(ctx, "")
	if err != nil {
		return nil, err
	}
	var aside []store.AccountAmount
	now := a.charter()
	for _, w := range now.Genesis().Wallets {
		more, err := a.Store.Unsigned(ctx, w.Name)
		if err != nil {
			return nil, err
		}
		aside = append(aside, more...)
	}
	out := &strongroomv1.ListAccountBalancesResponse{}
	for _, account := range accounts {
		for _, asset := range now.Genesis().Assets {
			owed, waits := owedTo(ledgers, account.Name, asset.ID), sumOf(aside, account.Name, asset.ID)
			if owed.Sign() == 0 && waits.Sign() == 0 {
				continue
			}
			out.Balances = append(out.Balances, &strongroomv1.AccountBalance{Account: string(account.Name), Client: string(account.Client),
				Asset: string(asset.ID), Owed: owed.String(), SetAside: waits.String()})
		}
	}
	return out, nil
}

// owedTo sums up what the book owes an account in all wallets.
func owedTo(ledgers []store.LedgerBalance, account canon.Name, asset canon.AssetID) *big.Int {
	sum := new(big.Int)
	for _, l := range ledgers {
		if l.Side == accounting.Owed && l.Account == account && l.Asset == asset {
			sum.Add(sum, l.Amount)
		}
	}
	return sum
}

// ListPostings implements the service, oldest first. Who sees all sees also what is nobody's yet.
func (a *accountAPI) ListPostings(ctx context.Context, r *strongroomv1.ListPostingsRequest) (*strongroomv1.ListPostingsResponse, error) {
	c, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	q := store.PostingQuery{Asset: canon.AssetID(r.GetAsset()), Page: r.GetPageToken()}
	if q.Size, err = pageSize(r.GetPageSize()); err != nil {
		return nil, err
	}
	if r.GetAccount() != "" || onlyClient(c) != "" {
		accounts, err := a.visibleAccounts(ctx, r.GetAccount())
		if err != nil {
			return nil, err
		}
		q.Accounts = []canon.Name{}
		for _, account := range accounts {
			q.Accounts = append(q.Accounts, account.Name)
		}
	}
	page, next, err := a.Store.Postings(ctx, q)
	if err != nil {
		return nil, coded(err)
	}
	out := &strongroomv1.ListPostingsResponse{NextPageToken: next}
	for _, p := range page {
		out.Postings = append(out.Postings, toPosting(p.Entry, p.Posting))
	}
	return out, nil
}

func toPosting(e accounting.Entry, p accounting.Posting) *strongroomv1.Posting {
	out := &strongroomv1.Posting{Entry: e.Number, Time: timestamppb.New(e.Time), Kind: string(e.Kind), Debit: e.Ledger(p.Debit).String(),
		Credit: e.Ledger(p.Credit).String(), Asset: string(e.Asset), Amount: p.Amount.String(), Txid: e.TxID, Text: e.Text}
	if e.Withdrawal != nil {
		out.Withdrawal = withdrawalPrefix + e.Withdrawal.String()
	}
	return out
}

// Reconcile implements the service.
func (a *accountAPI) Reconcile(ctx context.Context, _ *strongroomv1.ReconcileRequest) (*strongroomv1.ReconcileResponse, error) {
	lines, err := a.reconcile(ctx)
	if err != nil {
		return nil, status.Error(codes.Unavailable, clean(err.Error()))
	}
	out := &strongroomv1.ReconcileResponse{Balanced: true}
	for _, l := range lines {
		out.Lines = append(out.Lines, &strongroomv1.ReconcileLine{Wallet: string(l.wallet), Asset: string(l.asset), Owed: l.owed.String(), Held: l.held.String(),
			InFlight: l.flight.String(), Suspense: l.suspense.String(), Difference: l.difference().String()})
		out.Balanced = out.Balanced && l.balanced()
	}
	return out, nil
}

// AttributeDeposit implements the service. The same request id gives the posting of then.
func (a *accountAPI) AttributeDeposit(ctx context.Context, r *strongroomv1.AttributeDepositRequest) (*strongroomv1.AttributeDepositResponse, error) {
	c, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	if !requestIDForm.MatchString(r.GetRequestId()) {
		return nil, status.Error(codes.InvalidArgument, "request_id: expected 1 to 64 of letters, digits, dot, underscore, colon, hyphen")
	}
	amount, err := partOf(r.GetAmount())
	if err != nil {
		return nil, err
	}
	deposit, err := a.Store.Entry(ctx, r.GetEntry())
	if err != nil {
		return nil, coded(err)
	}
	if err := a.mayReceive(deposit.Wallet, canon.Name(r.GetAccount())); err != nil {
		return nil, err
	}
	e, err := a.Store.Attribute(ctx, store.Attribution{Entry: r.GetEntry(), Account: canon.Name(r.GetAccount()), Amount: amount, RequestID: r.GetRequestId(),
		Actor: audit.ActorOf("operator", c.Name), Time: a.Now()})
	var attributed *store.AttributedError
	if errors.As(err, &attributed) {
		return nil, status.Error(codes.AlreadyExists, err.Error())
	}
	var part *store.PartError
	if errors.As(err, &part) {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	if err != nil {
		return nil, coded(err)
	}
	a.Log.Info("deposit attributed", "entry", r.GetEntry(), "account", r.GetAccount(), "operator", string(c.Name))
	return &strongroomv1.AttributeDepositResponse{Posting: toPosting(e, e.Postings[0])}, nil
}

// partOf reads how much of a deposit to attribute; none for all that is left.
func partOf(text string) (canon.Amount, error) {
	if text == "" {
		return nil, nil
	}
	n, ok := new(big.Int).SetString(text[:min(len(text), 100)], 10)
	if ok && n.Sign() > 0 && n.String() == text {
		if amount, err := canon.NewAmount(n); err == nil {
			return amount, nil
		}
	}
	return nil, status.Errorf(codes.InvalidArgument, "amount: expected base units above 0 in decimal, or none, found %.80q", text)
}

// mayReceive refuses accounts whose assets do not lie in the pool of that wallet. A wallet's accounts are all of clients or all of the house.
func (a *accountAPI) mayReceive(wallet, account canon.Name) error {
	now := a.charter()
	w, ok := now.Wallet(wallet)
	found, known := now.Account(account)
	if !ok || !known || !slices.Contains(w.Accounts, account) || found.Kind != canon.Omnibus {
		return status.Error(codes.InvalidArgument, fmt.Sprintf("account: expected an omnibus account in wallet %s, found %.70q", wallet, account))
	}
	return nil
}
