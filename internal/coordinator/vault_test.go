package coordinator

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"google.golang.org/grpc"

	"github.com/strongroom/strongroom/internal/config"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/policy/guard"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
	"github.com/strongroom/strongroom/wallets/keyset"
)

// vault is the token of a signer: the keys of its pools, whole, since these tests are about the coordinator.
type vault struct {
	attestation *btcec.PrivateKey
	keys        map[[33]byte]*btcec.PrivateKey
}

func (v *vault) newKey(t *testing.T) *btcec.PrivateKey {
	t.Helper()
	key, err := btcec.NewPrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	v.keys[[33]byte(key.PubKey().SerializeCompressed())] = key
	return key
}

// compact signs a digest: r ‖ s, 64 bytes, low-S.
func compact(key *btcec.PrivateKey, digest [32]byte) []byte {
	return ecdsa.SignCompact(key, digest[:], true)[1:]
}

// vaulted has wallets of every scheme with keys in tokens beside the usual ones.
func vaulted(t *testing.T, changes ...func(*organisation, *canon.Genesis)) *world {
	t.Helper()
	return newWorld(t, "", append([]func(*organisation, *canon.Genesis){func(o *organisation, g *canon.Genesis) {
		for i, name := range []canon.Name{"vault-1", "vault-2", "vault-3"} {
			o.nodes[name] = newKey(t)
			v := &vault{keys: map[[33]byte]*btcec.PrivateKey{}}
			v.attestation = v.newKey(t)
			o.vaults[name] = v
			g.Signers = append(g.Signers, canon.Signer{Name: name, Operator: canon.Name(fmt.Sprintf("keeper-%d", i+1)), Identity: public(o.nodes[name]), Jurisdiction: "HK"})
		}
		accounts := []canon.Name{"acme-main"}
		wallet := func(w canon.Wallet, receive, change uint64) {
			w.Label, w.Number, w.Accounts, w.Backup = canon.Text(w.Name), uint64(len(g.Wallets)+1), accounts, canon.BackupNone
			w.Backup = canon.BackupNone
			if receive > 0 {
				w.Pool = o.newPool(t, g, w, receive, change)
			}
			g.Wallets = append(g.Wallets, w)
		}
		device := func(names ...canon.Name) (out []canon.Device) {
			for _, name := range names {
				out = append(out, canon.Device{Signer: name})
			}
			return out
		}
		attesting := []canon.Device{{Signer: "vault-1", Attestation: o.vaults["vault-1"].attestation.PubKey().SerializeCompressed()}}
		recovery, err := btcec.NewPrivateKey()
		if err != nil {
			t.Fatal(err)
		}
		wallet(canon.Wallet{Name: "btc-vault", Chain: testBTC, Tier: canon.Warm, Scheme: canon.SchemeCosign, Key: "hot", Devices: device("vault-1"), Needed: 1,
			Recovery: recovery.PubKey().SerializeCompressed()}, 3, 2)
		wallet(canon.Wallet{Name: "evm-vault", Chain: testEVM, Tier: canon.Warm, Scheme: canon.SchemeCosign, Key: "hot", Devices: attesting, Needed: 1}, 0, 0)
		wallet(canon.Wallet{Name: "btc-multi", Chain: testBTC, Tier: canon.Warm, Scheme: canon.SchemeHSM, Devices: device("vault-1", "vault-2", "vault-3"), Needed: 2}, 2, 1)
		wallet(canon.Wallet{Name: "btc-cold", Chain: testBTC, Tier: canon.Cold, Scheme: canon.SchemeHSM, Devices: device("vault-2"), Needed: 1, SingleDevice: true}, 2, 1)
		wallet(canon.Wallet{Name: "evm-cold", Chain: testEVM, Tier: canon.Cold, Scheme: canon.SchemeHSM, Devices: device("vault-2"), Needed: 1, SingleDevice: true}, 1, 0)
		sweep := g.Rules[0]
		sweep.Name, sweep.To = "sweep", []canon.Target{{Kind: canon.TargetTier, Name: "cold"}}
		g.Rules = append([]canon.Rule{sweep}, g.Rules...)
	}}, changes...)...)
}

// newPool makes the pool of a wallet in its devices' tokens and returns its digest.
func (o *organisation) newPool(t *testing.T, g *canon.Genesis, w canon.Wallet, receive, change uint64) []byte {
	t.Helper()
	p := canon.KeyPool{Wallet: w.Name, Chain: w.Chain, Accounts: w.Accounts, Receive: receive, Change: change}
	for _, d := range w.Devices {
		i := slices.IndexFunc(g.Signers, func(s canon.Signer) bool { return s.Name == d.Signer })
		device := canon.PoolDevice{Signer: d.Signer, Identity: g.Signers[i].Identity, Backup: max(w.Backup, canon.BackupNone)}
		for at := range uint64(len(p.Accounts)) * (receive + change) {
			key := o.vaults[d.Signer].newKey(t)
			account, branch, index := keyset.Position(&p, at)
			possession := canon.Possession{Wallet: w.Name, Chain: w.Chain, Signer: d.Signer, Identity: device.Identity, Account: account, Branch: branch, Index: index,
				Public: key.PubKey().SerializeCompressed()}
			_, digest, err := canon.Seal(possession)
			if err != nil {
				t.Fatal(err)
			}
			device.Keys, device.Proofs = append(device.Keys, possession.Public), append(device.Proofs, compact(key, digest))
		}
		p.Devices = append(p.Devices, device)
		chartertest.SignPart(&p, o.nodes[d.Signer])
	}
	b, digest, err := canon.Seal(p)
	if err != nil {
		t.Fatal(err)
	}
	o.sealed[digest] = b
	return digest[:]
}

// open returns a pool as every node has it.
func (o *organisation) open(digest canon.Digest) (*keyset.Pool, error) {
	return keyset.OpenPool(o.sealed[digest], digest)
}

// pool is open for a node whose directory may be empty; the node is locked.
func (n *node) pool(digest canon.Digest) (*keyset.Pool, error) {
	if n.bare {
		return nil, refusal.New("pool", "pool", "pool "+digest.String()+" in a directory", "none")
	}
	return n.open(digest)
}

func (o *organisation) vaultNames() []canon.Name { return slices.Sorted(maps.Keys(o.vaults)) }

// writePools writes the pools to a new directory.
func (o *organisation) writePools(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for digest, b := range o.sealed {
		if err := os.WriteFile(filepath.Join(dir, config.PoolFile(digest)), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// tokens says what the node's token signs for; the node is locked.
func (n *node) tokens() []*strongroomv1.DeviceStatus {
	var out []*strongroomv1.DeviceStatus
	for _, w := range n.chain.Current().Genesis().Wallets {
		if slices.Contains(deviceSigners(w), n.name) {
			out = append(out, &strongroomv1.DeviceStatus{Wallet: string(w.Name), Error: n.token, Generation: 1})
		}
	}
	return out
}

// attested demands attestations where a signer of the MPC key does; the node is locked.
func (n *node) attested(s *guard.Signable, rid canon.Digest, given []*strongroomv1.Signed) error {
	var attestations []canon.Signed
	for _, signed := range given {
		attestations = append(attestations, fromSigned(signed))
	}
	return s.CheckAttestations(attestations, rid, n.view())
}

// Cosign makes a signer's checks and signs with the keys of its token. An attempt is used once.
func (n *node) Cosign(_ context.Context, r *strongroomv1.CosignRequest, _ ...grpc.CallOption) (*strongroomv1.CosignResponse, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.available(); err != nil {
		return nil, err
	}
	if n.refuse != nil {
		return nil, n.refuse
	}
	if n.cannot != nil {
		return nil, n.cannot
	}
	doc, rid, _, err := guard.CheckCertificate(r.GetCertificate(), n.view())
	if err != nil {
		return nil, err
	}
	s, err := guard.Check(r.GetEvidence(), n.view())
	if err != nil {
		return nil, err
	}
	if err := s.CheckReservation(*doc, n.view()); err != nil {
		return nil, err
	}
	id := fmt.Sprintf("%s %s %d", n.name, rid, r.GetAttempt())
	if n.used[id] {
		return nil, refusal.New("attempt", "attempt", "one that was not used before", id)
	}
	n.used[id] = true
	n.committee.mu.Lock()
	n.cosigned = append(n.cosigned, id)
	n.committee.mu.Unlock()
	if s.Wallet().Chain == testEVM {
		return n.attest(s, rid)
	}
	out := &strongroomv1.CosignResponse{}
	for _, in := range s.Signing() {
		i := slices.IndexFunc(in.Devices, func(d keyset.DeviceKey) bool { return d.Signer == n.name })
		digest, err := in.Digest.Bytes()
		if err != nil {
			return nil, err
		}
		signature := compact(n.vaults[n.name].keys[in.Devices[i].Public], digest)
		if n.mangle {
			signature[40] ^= 1
		}
		out.Signatures, out.PublicKeys = append(out.Signatures, signature), append(out.PublicKeys, in.Devices[i].Public[:])
	}
	return out, nil
}

// attest gives the word of the node's token; the node is locked.
func (n *node) attest(s *guard.Signable, rid canon.Digest) (*strongroomv1.CosignResponse, error) {
	c := n.chain.Current()
	a := canon.Attestation{Organisation: c.Organisation(), Signer: n.name, Wallet: s.Wallet().Name, Reservation: rid, Transaction: s.Transaction(), Charter: c.Digest()}
	if n.mangle {
		a.Transaction[0] ^= 1
	}
	b, digest, err := canon.Seal(a)
	if err != nil {
		return nil, err
	}
	return &strongroomv1.CosignResponse{Attestation: &strongroomv1.Signed{Document: b, Scheme: uint32(canon.ECDSA), Signature: compact(n.vaults[n.name].attestation, digest)}}, nil
}
