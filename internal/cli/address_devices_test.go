package cli_test

import (
	"testing"

	"github.com/strongroom/strongroom/internal/cli"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
)

// Who learned the key from its holders repeats what those say.
func TestWhoseWordOnAnAddressCounts(t *testing.T) {
	g := chartertest.WithDevices(chartertest.Genesis())
	g.Keys[0].Holders = []canon.Name{"node-1", "node-2", "node-3"}
	c := chartertest.Open(t, g)
	for _, tt := range []struct {
		wallet, signer canon.Name
		want           bool
	}{
		{"btc-hot", "node-1", true}, {"btc-hot", "node-4", false}, {"btc-hot", "vault-1", false}, {"btc-hot", "nobody", false},
		{"btc-cosign", "node-3", true}, {"btc-cosign", "node-4", false}, {"btc-cosign", "vault-1", false},
		{"btc-cold", "node-1", true}, {"btc-cold", "node-4", true}, {"btc-cold", "vault-1", false}, {"btc-cold", "nobody", false},
	} {
		w, _ := c.Wallet(tt.wallet)
		if got := cli.Counts(c, w, tt.signer); got != tt.want {
			t.Errorf("%s of %s: expected %t, found %t", tt.wallet, tt.signer, tt.want, got)
		}
	}
}
