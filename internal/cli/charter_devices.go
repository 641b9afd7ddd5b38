package cli

import (
	"fmt"

	"github.com/strongroom/strongroom/proto/canon"
)

func walletLine(w canon.Wallet) string {
	key := ""
	if w.Key != "" {
		key = fmt.Sprintf(", key %s", w.Key)
	}
	return fmt.Sprintf("%s, %s%s, number %d, on %s", tierText(w.Tier), word(w.Scheme, "MPC", "HSM", "MPC and HSM"), key, w.Number, w.Chain)
}

// singleDeviceText marks wallets whose money one token is.
const singleDeviceText = "SINGLE DEVICE: one token and its PIN are the money"

// deviceLines says what a wallet needs of tokens, nothing for one that needs none.
func deviceLines(w canon.Wallet) []string {
	var out []string
	if w.SingleDevice {
		out = append(out, singleDeviceText)
	}
	list := make([]canon.Name, len(w.Devices))
	for i, d := range w.Devices {
		list[i] = d.Signer
	}
	if len(list) > 0 || w.Needed > 0 {
		out = append(out, fmt.Sprintf("tokens: %d of %s must %s", w.Needed, names(list), deviceDuty(w)))
	}
	for _, d := range w.Devices {
		if len(d.Attestation) > 0 {
			out = append(out, fmt.Sprintf("token of %s attests with key %x", d.Signer, d.Attestation))
		}
	}
	if len(w.Pool) > 0 {
		out = append(out, fmt.Sprintf("pool of keys %x", w.Pool))
	}
	if len(w.Recovery) > 0 {
		out = append(out, fmt.Sprintf("recovery key %x: any two of three sign", w.Recovery))
	}
	if w.Backup != 0 {
		out = append(out, "backup of the tokens' keys: "+word(w.Backup, "none, they never leave their token", "wrapped, they can be restored in another token"))
	}
	return out
}

// deviceDuty is what the tokens of a wallet do.
func deviceDuty(w canon.Wallet) string {
	for _, d := range w.Devices {
		if len(d.Attestation) > 0 {
			return "attest before the MPC key signs"
		}
	}
	if w.Scheme == canon.SchemeCosign {
		return "sign with the MPC key"
	}
	return "sign"
}

// tokenOf returns the wallets that a signer is a device of.
func tokenOf(g *canon.Genesis, signer canon.Name) (out []canon.Name) {
	for _, w := range g.Wallets {
		for _, d := range w.Devices {
			if d.Signer == signer {
				out = append(out, w.Name)
			}
		}
	}
	return out
}
