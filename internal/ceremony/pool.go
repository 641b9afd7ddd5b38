package ceremony

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/strongroom/strongroom/internal/keypool"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/wallets"
	"github.com/strongroom/strongroom/wallets/keyset"
)

// maxPool is what canon reads of a pool at most, in bytes.
const maxPool = 16 << 20

// Address is an address of a wallet whose devices alone sign.
type Address struct {
	Account canon.Name `json:"account"`
	Branch  uint64     `json:"branch"` // 0 receive, 1 change
	Index   uint64     `json:"index"`
	Text    string     `json:"address"`
	Witness string     `json:"witness_script,omitempty"` // hexadecimal
}

// Join joins the parts that tokens made, in the order of the wallet's devices, and writes the pool to the directory. It returns the digest that the
// charter is to name. Every part is verified with all of its proofs.
func Join(dir string, parts []string) (canon.Digest, error) {
	var pools []canon.KeyPool
	for _, path := range parts {
		p, err := readPool(path)
		if err != nil {
			return canon.Digest{}, err
		}
		pools = append(pools, *p.Document())
	}
	pool, err := keypool.Join(pools...)
	if err != nil {
		return canon.Digest{}, err
	}
	return keypool.Write(dir, pool)
}

// verifyPool holds a pool against a transcript: every key that it has of the transcript's token must stand in the transcript, with the label of its address and
// of the class that the pool says.
func verifyPool(l *refusal.List, t *transcript, path string) (*ReportPool, error) {
	pool, err := readPool(path)
	if r := refusal.Of(err); r != nil {
		for _, f := range r.Failures {
			l.Add(f.Rule, "pool."+f.Field, f.Expected, f.Found)
		}
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	d, listed := pool.Document(), map[string]bool{}
	for _, k := range t.Keys {
		listed[string(k.Public)] = true
	}
	device := slices.IndexFunc(d.Devices, func(d canon.PoolDevice) bool {
		return slices.ContainsFunc(d.Keys, func(k []byte) bool { return listed[string(k)] })
	})
	if device < 0 {
		l.Add("pool", "pool.keys", "keys of the transcript", "none of them")
		return nil, nil
	}
	checkPart(l, t.Keys, d, device)
	return &ReportPool{Digest: pool.Digest().String(), Signer: string(d.Devices[device].Signer), Keys: len(d.Devices[device].Keys)}, nil
}

// mostFailures bounds a refusal: a pool of other keys would have thousands of failures.
const mostFailures = 8

// checkPart refuses a device's part of a pool whose keys are not those that were read back from its token.
func checkPart(l *refusal.List, keys []canon.CeremonyKey, pool *canon.KeyPool, device int) {
	byLabel, d, failures := map[canon.Text]*canon.CeremonyKey{}, pool.Devices[device], 0
	for i := range keys {
		k := &keys[i]
		if byLabel[k.Label] = k; len(k.Public) == len(d.Identity) && !bytes.Equal(k.Public, d.Identity[:]) {
			l.Add("pool", "pool.identity", fmt.Sprintf("%x, in the same token", k.Public), d.Identity.String())
		}
	}
	for at, public := range d.Keys {
		account, branch, index := keyset.Position(pool, uint64(at))
		label := keyset.Label(pool.Wallet, account, branch, index)
		expected, found := "", ""
		switch k := byLabel[canon.Text(label)]; {
		case k == nil:
			expected, found = "key "+label+" in the transcript", "none"
		case !bytes.Equal(k.Public, public):
			expected, found = fmt.Sprintf("key %s as in the transcript, %x", label, k.Public), fmt.Sprintf("%x", public)
		case (classOf(k) == ClassNone) != (d.Backup == canon.BackupNone):
			expected, found = fmt.Sprintf("key %s with the backup that its class %s allows", label, classOf(k)), fmt.Sprintf("backup %d", d.Backup)
		case is(k, "CKA_ALWAYS_AUTHENTICATE") != d.Attended:
			expected, found = fmt.Sprintf("key %s with attended %t, as its attributes", label, !d.Attended), fmt.Sprint(d.Attended)
		default:
			continue
		}
		l.Add("pool", fmt.Sprintf("pool.keys[%d]", at), expected, found)
		if failures++; failures >= mostFailures {
			return
		}
	}
}

func readPool(path string) (*keyset.Pool, error) {
	b, err := readAtMost(path, maxPool)
	if err != nil {
		return nil, err
	}
	return keyset.OpenPool(b, canon.KindKeyPool.Digest(b))
}

// Addresses returns every address of a wallet of scheme hsm with the keys of a pool, of whose devices so many must sign. The prefix of addresses is
// BIP-173's on Bitcoin and empty on EVM chains.
func Addresses(path string, needed uint64, hrp string) (canon.Digest, []Address, error) {
	pool, err := readPool(path)
	if err != nil {
		return canon.Digest{}, nil, err
	}
	d, digest := pool.Document(), pool.Digest()
	if needed == 0 || needed > uint64(len(d.Devices)) {
		return digest, nil, refusal.New("pool", "needed", fmt.Sprintf("1 to %d", len(d.Devices)), fmt.Sprint(needed))
	}
	chain := canon.Chain{ID: d.Chain, Kind: canon.EVM, HRP: hrp}
	if strings.HasPrefix(string(d.Chain), "bip122:") {
		chain.Kind = canon.Bitcoin
	}
	if (chain.Kind == canon.Bitcoin) != (hrp != "") {
		return digest, nil, refusal.New("pool", "hrp", "a BIP-173 prefix for Bitcoin, none for EVM", fmt.Sprintf("%.20q", hrp))
	}
	set := keyset.Set{Chain: chain, Pool: pool, Wallet: canon.Wallet{Name: d.Wallet, Chain: d.Chain, Tier: canon.Cold,
		Scheme: canon.SchemeHSM, Needed: needed, Pool: digest[:], Backup: canon.BackupNone, SingleDevice: len(d.Devices) == 1}}
	for _, device := range d.Devices {
		set.Wallet.Devices = append(set.Wallet.Devices, canon.Device{Signer: device.Signer})
	}
	var all []Address
	for at := range d.Devices[0].Keys {
		account, branch, index := keyset.Position(d, uint64(at))
		spot, err := set.At(canon.Account{Name: account}, branch, index)
		if err != nil {
			return digest, nil, err
		}
		text, err := wallets.AddressText(chain, spot.Address)
		if err != nil {
			return digest, nil, err
		}
		all = append(all, Address{account, branch, index, text, fmt.Sprintf("%x", spot.Witness)})
	}
	return digest, all, nil
}
