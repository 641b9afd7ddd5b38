//go:build chains

package e2e

import "github.com/strongroom/strongroom/wallets"

// paid counts the payments of that amount to the client's payee in the whole chain, after one more block.
func (v *vault) paid(a asked) int {
	v.Helper()
	return v.payments(v.d.Payee("acme", v.d.BTC))[a.satoshi]
}

// payments counts the payments to an address in the whole chain, by amount, after one more block.
func (v *vault) payments(address string) map[int64]int {
	v.Helper()
	must(v.d.Bitcoin.Mine(v.Context(), 1))(v.T)
	found := map[int64]int{}
	script := v.script(address)
	node := v.d.Bitcoin.Node()
	tip := must(node.Tip(v.Context()))(v.T)
	for height := int64(0); height <= tip.Height; height++ {
		block, _, err := node.BlockAt(v.Context(), height)
		if err != nil {
			v.Fatal(err)
		}
		for _, tx := range block.Transactions {
			for _, out := range tx.TxOut {
				if string(out.PkScript) == string(script) {
					found[out.Value]++
				}
			}
		}
	}
	return found
}

// script returns what pays to an address.
func (v *vault) script(address string) []byte {
	v.Helper()
	on, _ := v.d.Charter.Chain(v.d.BTC.Chain())
	return must(wallets.ParseAddress(on, address))(v.T)
}

// otherPayee returns another address than that of all requests which the client's book has on the Bitcoin chain.
func (v *vault) otherPayee() string {
	v.Helper()
	for _, p := range v.d.Payees {
		if p.Client == "acme" && p.Chain == string(v.d.BTC.Chain()) && p.Address != v.d.Payee("acme", v.d.BTC) {
			return p.Address
		}
	}
	v.Fatal("expected two addresses of acme in the book, found one")
	return ""
}

// paysOnce asks that the chain holds exactly one payment of that amount.
func (v *vault) paysOnce(a asked) {
	v.Helper()
	if n := v.paid(a); n != 1 {
		v.Errorf("%s: expected one payment on the chain, found %d", a.name, n)
	}
}
