package approval_test

import (
	"testing"

	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
)

// desks is the test charter with a treasury desk, and an omnibus account in a pool.
func desks(t testing.TB) *charter.Charter {
	g := chartertest.Genesis()
	g.Clients = append(g.Clients, canon.Client{Name: "desk", Label: "Desk", Treasury: true,
		Keys: []canon.PublicKey{chartertest.Public("desk")}, Devices: []canon.PublicKey{chartertest.Public("desk-device")}})
	g.Accounts = append(g.Accounts, canon.Account{Name: "pool", Client: "house", Number: 900, Kind: canon.Pool},
		canon.Account{Name: "acme-part", Client: "acme", Number: 901, Kind: canon.Omnibus})
	for _, w := range g.Wallets {
		if w.Name == "btc-hot" {
			w.Name, w.Number, w.Accounts = "btc-omnibus", 90, []canon.Name{"pool", "acme-part"}
			g.Wallets = append(g.Wallets, w)
		}
	}
	return chartertest.Open(t, g)
}

// A desk moves assets between wallets of one account, whosever it is, and nothing else.
func TestTreasuryDeskOnlyMoves(t *testing.T) {
	c := desks(t)
	own := &canon.OwnAddress{Wallet: "btc-hot", Index: 3}
	for name, tt := range map[string]struct {
		change func(*canon.Request)
		signer string
		field  string // none: it is a request
	}{
		"all outputs own":          {func(*canon.Request) {}, "desk", ""},
		"own output of the client": {func(r *canon.Request) { r.Requester = chartertest.Public("acme") }, "acme", ""},
		"an omnibus account's": {func(r *canon.Request) {
			r.Account, r.Wallet, r.Outputs[0].Own = "acme-part", "btc-omnibus", &canon.OwnAddress{Wallet: "btc-omnibus"}
		}, "desk", ""},
		"an outside output":         {func(r *canon.Request) { r.Outputs[0].Own = nil }, "desk", "outputs[0].own"},
		"an outside output beside":  {func(r *canon.Request) { r.Outputs = append(r.Outputs, r.Outputs[0]); r.Outputs[1].Own = nil }, "desk", "outputs[1].own"},
		"a contract call":           {func(r *canon.Request) { r.Outputs, r.Call = nil, &canon.Call{To: make([]byte, 20)} }, "desk", "call"},
		"for itself":                {func(r *canon.Request) { r.Client = "desk" }, "desk", "client"},
		"account of another client": {func(r *canon.Request) { r.Account = "beta-main" }, "desk", "account"},
		"key of another client":     {func(r *canon.Request) { r.Requester = chartertest.Public("beta") }, "beta", "requester"},
		"signed by another":         {func(*canon.Request) {}, "acme", "signature"},
		"device of the desk":        {func(r *canon.Request) { r.Requester = chartertest.Public("desk-device") }, "desk-device", "requester"},
		"the pool":                  {func(r *canon.Request) { r.Client, r.Account, r.Wallet = "house", "pool", "btc-omnibus" }, "desk", "account"},
		"the pool, by its keeper": {func(r *canon.Request) {
			r.Client, r.Account, r.Wallet, r.Requester = "house", "pool", "btc-omnibus", chartertest.Public("house")
		}, "house", "account"},
		"to a wallet without account":  {func(r *canon.Request) { r.Outputs[0].Own = &canon.OwnAddress{Wallet: "btc-house"} }, "desk", "outputs[0].own.wallet"},
		"to a wallet of nobody":        {func(r *canon.Request) { r.Outputs[0].Own = &canon.OwnAddress{Wallet: "none"} }, "desk", "outputs[0].own.wallet"},
		"to a wallet on another chain": {func(r *canon.Request) { r.Outputs[0].Own = &canon.OwnAddress{Wallet: "eth-hot"} }, "desk", "outputs[0].own.chain"},
	} {
		t.Run(name, func(t *testing.T) {
			r := baseRequest(c)
			r.Requester, r.Outputs[0].Own = chartertest.Public("desk"), own
			tt.change(&r)
			_, err := approval.VerifyRequest(c, forge(tt.signer, canon.KindRequest, encode(t, r)))
			if tt.field != "" {
				refusedField(t, err, tt.field)
			} else if err != nil {
				t.Errorf("expected a request, found %v", err)
			}
		})
	}
}
