package coordinator

import (
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"math/big"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/strongroom/strongroom/internal/coordinator/store"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/rpc"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// walletAPI is WalletService.
type walletAPI struct {
	strongroomv1.UnimplementedWalletServiceServer
	*Service
}

var (
	tiers   = map[canon.Tier]string{canon.Hot: "hot", canon.Warm: "warm", canon.Cold: "cold"}
	schemes = map[canon.WalletScheme]string{canon.SchemeMPC: "mpc", canon.SchemeHSM: "hsm", canon.SchemeCosign: "cosign"}
	backups = map[canon.Backup]string{canon.BackupNone: "none", canon.BackupWrap: "wrap"}
)

// ListWallets implements the service. A wallet whose balances cannot be looked up now is listed without them.
func (a *walletAPI) ListWallets(ctx context.Context, _ *strongroomv1.ListWalletsRequest) (*strongroomv1.ListWalletsResponse, error) {
	c, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	out := &strongroomv1.ListWalletsResponse{}
	now := a.charter()
	for _, w := range now.Genesis().Wallets {
		accounts := ownAccounts(now, w, a.ownerSeen(c))
		if len(accounts) == 0 {
			continue
		}
		shown := toWallet(w)
		for _, account := range accounts {
			shown.Accounts = append(shown.Accounts, string(account))
		}
		if shown.Balances, err = a.walletBalances(ctx, now, w, accounts); err != nil {
			a.Log.Warn("balances wait", "wallet", string(w.Name), "error", err.Error())
		}
		out.Wallets = append(out.Wallets, shown)
	}
	return out, nil
}

// toWallet shows what the charter says of a wallet, without its accounts.
func toWallet(w canon.Wallet) *strongroomv1.Wallet {
	out := &strongroomv1.Wallet{Name: "wallets/" + string(w.Name), Chain: string(w.Chain), Tier: tiers[w.Tier], Scheme: schemes[w.Scheme],
		Needed: w.Needed, Pool: hex.EncodeToString(w.Pool), Recovery: hex.EncodeToString(w.Recovery), Backup: backups[w.Backup], SingleDevice: w.SingleDevice}
	for _, name := range deviceSigners(w) {
		out.Devices = append(out.Devices, string(name))
	}
	return out
}

// ownerSeen returns the client whose wallets a caller sees, empty for all: a treasury desk sees those of every client, since it moves assets between them.
func (s *Service) ownerSeen(c rpc.Caller) canon.Name {
	name := onlyClient(c)
	if desk, ok := s.charter().Client(name); ok && desk.Treasury {
		return ""
	}
	return name
}

// ownAccounts returns the wallet's accounts of a client, or all for the empty name.
func ownAccounts(c *charter.Charter, w canon.Wallet, client canon.Name) []canon.Name {
	var out []canon.Name
	for _, name := range w.Accounts {
		if account, ok := c.Account(name); ok && (client == "" || account.Client == client) {
			out = append(out, name)
		}
	}
	return out
}

func (s *Service) walletBalances(ctx context.Context, c *charter.Charter, w canon.Wallet, accounts []canon.Name) ([]*strongroomv1.Balance, error) {
	pending, err := s.Store.Pending(ctx, w.Name)
	if err != nil {
		return nil, err
	}
	var assets []canon.AssetID
	for _, asset := range c.Genesis().Assets {
		if asset.ID.Chain() == w.Chain {
			assets = append(assets, asset.ID)
		}
	}
	var out []*strongroomv1.Balance
	for _, account := range accounts {
		if a, ok := c.Account(account); ok && a.Kind == canon.Omnibus {
			continue // what lies on the pool's addresses is not this account's alone: the double-entry book says what is (AccountService)
		}
		held, err := s.accountBalances(ctx, c, w.Name, account, assets)
		if err != nil {
			return nil, err
		}
		for i, asset := range assets {
			out = append(out, &strongroomv1.Balance{Account: string(account), Asset: string(asset), Confirmed: held[i].String(), Pending: sumOf(pending, account, asset).String()})
		}
	}
	return out, nil
}

func sumOf(amounts []store.AccountAmount, account canon.Name, asset canon.AssetID) *big.Int {
	sum := new(big.Int)
	for _, a := range amounts {
		if a.Account == account && a.Asset == asset {
			sum.Add(sum, a.Amount.Int())
		}
	}
	return sum
}

// place returns the wallet and account that parent names, if the caller may see them.
func (a *walletAPI) place(ctx context.Context, parent string) (canon.Wallet, canon.Account, error) {
	c, err := caller(ctx)
	if err != nil {
		return canon.Wallet{}, canon.Account{}, err
	}
	walletName, accountName, err := placeOf(parent)
	if err != nil {
		return canon.Wallet{}, canon.Account{}, err
	}
	now := a.charter()
	wallet, ok := now.Wallet(walletName)
	if !ok || !slices.Contains(ownAccounts(now, wallet, a.ownerSeen(c)), accountName) {
		return wallet, canon.Account{}, status.Errorf(codes.NotFound, "%s: not found", parent)
	}
	account, _ := now.Account(accountName)
	return wallet, account, nil
}

// CreateAddress implements the service.
func (a *walletAPI) CreateAddress(ctx context.Context, r *strongroomv1.CreateAddressRequest) (*strongroomv1.Address, error) {
	wallet, account, err := a.place(ctx, r.GetParent())
	if err != nil {
		return nil, err
	}
	issued, err := a.Service.CreateAddress(ctx, wallet, account, r.GetRequestId())
	if err != nil {
		return nil, coded(err)
	}
	return a.toAddress(issued), nil
}

// ListAddresses implements the service.
func (a *walletAPI) ListAddresses(ctx context.Context, r *strongroomv1.ListAddressesRequest) (*strongroomv1.ListAddressesResponse, error) {
	wallet, account, err := a.place(ctx, r.GetParent())
	if err != nil {
		return nil, err
	}
	size, err := pageSize(r.GetPageSize())
	if err != nil {
		return nil, err
	}
	page, next, err := a.Store.ListAddresses(ctx, wallet.Name, account.Name, size, r.GetPageToken())
	if err != nil {
		return nil, coded(err)
	}
	out := &strongroomv1.ListAddressesResponse{NextPageToken: next}
	for _, address := range page {
		out.Addresses = append(out.Addresses, a.toAddress(address))
	}
	return out, nil
}

// toAddress shows an address under the account that it was given to. Its path, and what signers attest, name the account whose path it is.
func (s *Service) toAddress(a store.Address) *strongroomv1.Address {
	return &strongroomv1.Address{
		Name:    fmt.Sprintf("wallets/%s/accounts/%s/addresses/%d", a.Wallet, cmp.Or(a.Owner, a.Account), a.Index),
		Address: s.addressText(a.Chain, a.Bytes), Wallet: string(a.Wallet), Account: string(a.Account), Index: a.Index,
		Attestations: toSigneds(a.Attestations),
	}
}
