package charter

import (
	"fmt"
	"strings"

	"github.com/strongroom/strongroom/proto/canon"
)

// Decimals of the coins: 10^8 satoshi are a bitcoin, 10^18 wei an ether and by EVM convention every other EVM chain's coin.
const (
	bitcoinDecimals = 8
	evmDecimals     = 18
)

func (l *linter) chains() {
	unique(l, "chains", pick(l.Chains, func(c canon.Chain) canon.ChainID { return c.ID }))
	coins := map[canon.ChainID]int{}
	for _, a := range l.Assets {
		if _, token := a.ID.Contract(); !token {
			coins[a.ID.Chain()]++
		}
	}
	for _, c := range l.Chains {
		field := at("chains", c.ID)
		bitcoin := strings.HasPrefix(string(c.ID), "bip122:")
		l.need(bitcoin == (c.Kind == canon.Bitcoin), "chains", field+".kind", "1 (Bitcoin) for bip122, 2 (EVM) for eip155", c.Kind)
		l.need(c.HRP == strings.ToLower(c.HRP), "chains", field+".hrp", "lower case", c.HRP)
		l.need(coins[c.ID] == 1, "chains", field, "exactly one coin among the assets", coins[c.ID])
		if coin, ok := l.x.native[c.ID]; ok {
			want := canon.AssetID(fmt.Sprintf("%s/slip44:%d", c.ID, c.CoinType))
			l.need(coin.ID == want, "chains", field+".coin_type", "the SLIP-44 number of its coin "+string(coin.ID), c.CoinType)
		}
	}
}

func (l *linter) assets() {
	unique(l, "assets", pick(l.Assets, func(a canon.Asset) canon.AssetID { return a.ID }))
	symbols := map[string]bool{}
	for _, a := range l.Assets {
		field := at("assets", a.ID)
		id := a.ID.Chain()
		refers(l, field, id, l.x.chains)
		l.need(a.Symbol != "", "assets", field+".symbol", "a symbol", "none")
		symbol := string(id) + " " + strings.ToUpper(string(a.Symbol))
		l.need(!symbols[symbol], "assets", field+".symbol", "a symbol of its own on the chain", a.Symbol)
		symbols[symbol] = true
		chain := l.x.chains[id]
		_, token := a.ID.Contract()
		if !token && chain.Kind == canon.Bitcoin {
			l.need(a.Decimals == bitcoinDecimals, "assets", field+".decimals", fmt.Sprint(bitcoinDecimals), a.Decimals)
		}
		if !token && chain.Kind == canon.EVM {
			l.need(a.Decimals == evmDecimals, "assets", field+".decimals", fmt.Sprint(evmDecimals), a.Decimals)
		}
	}
}

// accounts demands numbers that are unique for each client; wallets demands it again for each wallet, where equal numbers would give
// two accounts the same addresses.
func (l *linter) accounts() {
	unique(l, "accounts", pick(l.Accounts, func(a canon.Account) canon.Name { return a.Name }))
	type place struct {
		client canon.Name
		number uint64
	}
	seen := map[place]bool{}
	for _, a := range l.Accounts {
		field := at("accounts", a.Name)
		if refers(l, field+".client", a.Client, l.x.clients) {
			client := l.x.clients[a.Client]
			l.need(!client.Treasury, "accounts", field+".client", "a client that may own assets", string(a.Client)+", a treasury desk")
			l.need(a.Kind != canon.Pool || client.House, "accounts", field+".client", "for a pool a client of the house, its keeper", a.Client)
		}
		p := place{a.Client, a.Number}
		l.need(!seen[p], "accounts", field+".number", "a number of its own among the client's accounts", a.Number)
		seen[p] = true
	}
}

func (l *linter) wallets() {
	unique(l, "wallets", pick(l.Wallets, func(w canon.Wallet) canon.Name { return w.Name }))
	type place struct {
		key              canon.Name
		coinType, number uint64
	}
	seen := map[place]canon.Name{}
	cold := map[canon.Name]bool{}
	for _, w := range l.Wallets {
		cold[w.Key] = cold[w.Key] || w.Tier == canon.Cold
	}
	delete(cold, "") // wallets whose keys are in tokens alone
	for _, w := range l.Wallets {
		field := at("wallets", w.Name)
		chain := l.x.chains[w.Chain]
		refers(l, field+".chain", w.Chain, l.x.chains)
		if w.Scheme != canon.SchemeHSM && refers(l, field+".key", w.Key, l.x.keys) {
			l.need(l.x.keys[w.Key].Algorithm == canon.ECDSASecp256k1, "wallets", field+".key", "an ECDSA secp256k1 key", l.x.keys[w.Key].Algorithm)
		}
		l.need(chain.Kind != canon.Bitcoin || w.StartNonce == 0, "wallets", field+".start_nonce", "0 on Bitcoin", w.StartNonce)
		p := place{w.Key, chain.CoinType, w.Number}
		other, taken := seen[p]
		taken = taken && w.Scheme != canon.SchemeHSM // whose keys are for one wallet, whatever its number
		l.need(!taken, "wallets", field+".number", "a number of its own under its key and coin type", fmt.Sprintf("%d, that of %s", w.Number, other))
		if !taken {
			seen[p] = w.Name
		}
		l.need(w.Tier == canon.Cold || !cold[w.Key], "keys", field+".key", "a key of no cold wallet for one that is not cold", w.Key)
		l.devices(field, w, chain)
		l.walletAccounts(field+".accounts", w)
	}
}

func (l *linter) walletAccounts(field string, w canon.Wallet) {
	l.need(len(w.Accounts) > 0, "wallets", field, "at least one account", "none")
	unique(l, field, w.Accounts)
	numbers := map[uint64]canon.Name{}
	houses := map[bool]canon.Name{}
	for _, n := range w.Accounts {
		if !refers(l, field, n, l.x.accounts) {
			continue
		}
		a := l.x.accounts[n]
		other, taken := numbers[a.Number]
		l.need(!taken || other == n, "wallets", field, "accounts of distinct numbers", fmt.Sprintf("%d for %s and %s", a.Number, other, n))
		numbers[a.Number] = n
		if a.Kind != canon.Pool { // whose keeper is no owner
			houses[l.x.clients[a.Client].House] = n
		}
	}
	l.omnibus(field, w)
	l.need(len(houses) < 2, "wallets", field, "accounts of the house or of clients", fmt.Sprintf("%s of the house and %s of a client", houses[true], houses[false]))
}

// omnibus demands that a wallet has either accounts with addresses of their own, or accounts whose assets lie together on those of one pool.
func (l *linter) omnibus(field string, w canon.Wallet) {
	kinds := map[canon.AccountKind]int{}
	for _, n := range w.Accounts {
		kinds[l.x.accounts[n].Kind]++
	}
	if kinds[canon.Omnibus]+kinds[canon.Pool] == 0 {
		return
	}
	l.need(kinds[canon.Segregated] == 0, "wallets", field, "segregated accounts or omnibus ones", fmt.Sprintf("%d and %d", kinds[canon.Segregated], kinds[canon.Omnibus]))
	l.need(kinds[canon.Pool] == 1, "wallets", field, "exactly one pool for omnibus accounts", kinds[canon.Pool])
	l.need(kinds[canon.Omnibus] > 0, "wallets", field, "at least one omnibus account next to a pool", "none")
}
