package charter

import (
	"fmt"
	"slices"

	"github.com/btcsuite/btcd/btcec/v2"

	"github.com/strongroom/strongroom/proto/canon"
)

// devices checks what a wallet says of keys in tokens. That a wallet of scheme mpc says nothing, and that the others have 1 to canon.MaxDevices devices
// and a class of keys, is part of a charter's form.
func (l *linter) devices(field string, w canon.Wallet, chain canon.Chain) {
	signers := pick(w.Devices, func(d canon.Device) canon.Name { return d.Signer })
	unique(l, field+".devices", signers)
	for _, n := range signers {
		refers(l, field+".devices", n, l.x.signers)
	}
	l.singleDevice(field, w)
	l.pool(field, w, chain)
	l.attestations(field, w, chain)
	l.recoveryKey(field, w, chain)
	switch w.Scheme {
	case canon.SchemeHSM:
		l.hsm(field, w, chain)
	case canon.SchemeCosign:
		l.cosign(field, w, chain)
	}
}

// attests reports whether the wallet's devices give their word for what the MPC key signs, and hold no key of its addresses.
func attests(w canon.Wallet, chain canon.Chain) bool {
	return w.Scheme == canon.SchemeCosign && chain.Kind == canon.EVM
}

// singleDevice demands the mark where one token alone signs, and there only: whoever approves a charter must see that token and PIN are the money.
func (l *linter) singleDevice(field string, w canon.Wallet) {
	alone := w.Scheme == canon.SchemeHSM && w.Needed == 1
	l.need(w.SingleDevice == alone, "devices", field+".single_device", "yes where one token alone can sign, no where not", map[bool]string{true: "yes", false: "no"}[w.SingleDevice])
	l.need(!w.SingleDevice || w.Tier == canon.Cold, "devices", field+".tier", "cold for a wallet that one token alone can spend", fmt.Sprintf("tier %d", w.Tier))
}

// hsm demands as many tokens as a standard script can ask for, and that no operator runs as many as sign.
func (l *linter) hsm(field string, w canon.Wallet, chain canon.Chain) {
	n := len(w.Devices)
	if chain.Kind == canon.EVM {
		l.need(n == 1 && w.Needed == 1, "devices", field+".devices", "1 device, needed 1: an address on this chain has one key", fmt.Sprintf("%d, needed %d", n, w.Needed))
	} else {
		l.need(n == 1 || w.Needed >= 2, "devices", field+".needed", "at least 2 of several devices", w.Needed)
	}
	if n >= 2 { // one token is somebody's: the mark says so
		l.operators(field, w)
	}
}

// operators demands that no operator runs as many devices as sign or attest.
func (l *linter) operators(field string, w canon.Wallet) {
	run := map[canon.Name]uint64{}
	for _, d := range w.Devices {
		operator := l.x.signers[d.Signer].Operator
		run[operator]++
		l.need(run[operator] != w.Needed, "operators", field+".devices", fmt.Sprintf("fewer than the %d devices that sign or attest with one operator", w.Needed),
			fmt.Sprintf("%d with %s", run[operator], operator))
	}
}

// cosign demands that the second key is a second one: no process holds both it and a share of the first. An operator who has both lacks t shares, since
// no operator may hold as many. Where several must attest, they are several people's.
func (l *linter) cosign(field string, w canon.Wallet, chain canon.Chain) {
	if chain.Kind == canon.Bitcoin {
		l.need(len(w.Devices) == 1 && w.Needed == 1, "devices", field+".devices", "1 device, needed 1, next to the MPC key", fmt.Sprintf("%d, needed %d", len(w.Devices), w.Needed))
	} else if chain.Kind == canon.EVM {
		l.need(w.Needed >= 1 && w.Needed <= uint64(len(w.Devices)), "devices", field+".needed", fmt.Sprintf("1 to %d, the devices", len(w.Devices)), w.Needed)
		l.need(w.Backup == canon.BackupNone, "devices", field+".backup", "1 (none): an attestation key guards no address, another replaces it", w.Backup)
		if w.Needed >= 2 {
			l.operators(field, w)
		}
	}
	for _, d := range w.Devices {
		l.need(!slices.Contains(l.x.keys[w.Key].Holders, d.Signer), "holders", field+".devices", "signers without a share of key "+string(w.Key), d.Signer)
	}
}

// pool demands one list of keys for each wallet whose addresses depend on keys in tokens.
func (l *linter) pool(field string, w canon.Wallet, chain canon.Chain) {
	if w.Scheme == canon.SchemeMPC || attests(w, chain) {
		l.need(len(w.Pool) == 0, "pool", field+".pool", "none: no key of a token is in its addresses", fmt.Sprintf("%x", w.Pool))
		return
	}
	l.need(len(w.Pool) == len(canon.Digest{}) && !zeros(w.Pool), "pool", field+".pool", "the digest of the wallet's pool of keys", fmt.Sprintf("%x", w.Pool))
	if len(w.Pool) > 0 {
		l.ownsOf("pool", "a pool of its own", field+".pool", "pool "+string(w.Pool))
	}
}

// attestations demands a key for each device that attests, and none for others.
func (l *linter) attestations(field string, w canon.Wallet, chain canon.Chain) {
	for _, d := range w.Devices {
		field := at(field+".devices", d.Signer) + ".attestation"
		if !attests(w, chain) {
			l.need(len(d.Attestation) == 0, "keys", field, "none: attestations are for wallets of scheme cosign on EVM chains", fmt.Sprintf("%x", d.Attestation))
			continue
		}
		l.point(field, d.Attestation)
	}
}

// recoveryKey demands that a third key is for a wallet that two others spend.
func (l *linter) recoveryKey(field string, w canon.Wallet, chain canon.Chain) {
	if len(w.Recovery) == 0 {
		return
	}
	field += ".recovery"
	l.need(w.Scheme == canon.SchemeCosign && chain.Kind == canon.Bitcoin, "devices", field, "none but for scheme cosign on Bitcoin", fmt.Sprintf("%x", w.Recovery))
	l.point(field, w.Recovery)
}

// point demands a compressed point of secp256k1 that nothing else in the charter is.
func (l *linter) point(field string, key []byte) {
	if _, err := btcec.ParsePubKey(key); err != nil || len(key) != btcec.PubKeyBytesLenCompressed {
		l.Add("keys", field, "a compressed point of secp256k1, 33 bytes", fmt.Sprintf("%x", key))
		return
	}
	l.owns(field, "secp256k1 "+string(key[1:])) // a point and its negative belong to whoever has either
}
