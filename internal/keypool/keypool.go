package keypool

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/strongroom/strongroom/hsm"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/wallets/keyset"
)

// Spec says which keys a token is to have for a wallet.
type Spec struct {
	Wallet   canon.Name
	Chain    canon.ChainID
	Signer   canon.Name      // whose token it is
	Identity canon.PublicKey // of the signer, as the charter has it
	Accounts []canon.Name    // on whose addresses assets will lie; for omnibus accounts the wallet's pool account
	Receive  uint64          // keys for each account on branch 0; 1 on EVM chains
	Change   uint64          // on branch 1; 0 on EVM chains
	Class    hsm.KeyClass    // Restorable for a wallet with backup wrap
	PIN      hsm.PIN         // for keys that are attended, nil for others
	Sign     crypto.Signer   // the signer's Ed25519 key, of which Identity is the public one
	// Restored says that the keys came into the token from a backup, and none is generated. By its attributes such a key cannot be told from one that
	// somebody imported and knows: the caller holds the keys against the transcript of the restoration. Only for Class.Restorable.
	Restored bool
}

// Make finds the keys of the spec in the token by keyset.Label, has the token generate those that are missing, and has each sign its canon.Possession,
// and the signer's identity the whole. It returns a pool of one device. It may be repeated after an interruption, and with more accounts or larger counts:
// keys that are there stay. A key that is not of the class is refused with hsm.ErrKeyAttributes, and so is one that was not born in this token, unless the
// spec says Restored; a spec that no pool can have with a *refusal.Refusal before the token is asked.
func Make(ctx context.Context, token hsm.Token, spec Spec) (canon.KeyPool, error) {
	if err := errors.Join(spec.check(), spec.checkSigner()); err != nil {
		return canon.KeyPool{}, err
	}
	keys, err := spec.keys(ctx, token)
	if err != nil {
		return canon.KeyPool{}, err
	}
	pool := spec.pool()
	device := canon.PoolDevice{Signer: spec.Signer, Identity: spec.Identity, Backup: canon.BackupNone, Attended: spec.Class.Attended}
	if spec.Class.Restorable {
		device.Backup = canon.BackupWrap
	}
	for at, key := range keys {
		account, branch, index := keyset.Position(&pool, uint64(at))
		public := key.Public()
		proof, err := prove(ctx, key, spec.PIN, canon.Possession{Wallet: spec.Wallet, Chain: spec.Chain, Signer: spec.Signer, Identity: spec.Identity,
			Account: account, Branch: branch, Index: index, Public: public[:]})
		if err != nil {
			return canon.KeyPool{}, err
		}
		device.Keys, device.Proofs = append(device.Keys, public[:]), append(device.Proofs, proof)
	}
	pool.Devices = []canon.PoolDevice{device}
	if err := spec.sign(&pool); err != nil {
		return canon.KeyPool{}, err
	}
	if _, _, err := seal(pool); err != nil {
		return canon.KeyPool{}, err
	}
	return pool, nil
}

// Generate is Make without signatures: for a token whose signer's identity is somewhere else. Make finds the keys later. It needs no Identity and no Sign.
func Generate(ctx context.Context, token hsm.Token, spec Spec) error {
	if err := spec.check(); err != nil {
		return err
	}
	_, err := spec.keys(ctx, token)
	return err
}

// pool is the pool without devices.
func (s Spec) pool() canon.KeyPool {
	return canon.KeyPool{Wallet: s.Wallet, Chain: s.Chain, Accounts: slices.Clone(s.Accounts), Receive: s.Receive, Change: s.Change}
}

// keys finds or makes every key of the spec, in the order of a pool.
func (s Spec) keys(ctx context.Context, token hsm.Token) ([]hsm.ECDSA, error) {
	pool := s.pool()
	var keys []hsm.ECDSA
	for at := range s.count() {
		account, branch, index := keyset.Position(&pool, at)
		label := keyset.Label(s.Wallet, account, branch, index)
		key, err := token.ECDSA(ctx, label, s.Class)
		if errors.Is(err, hsm.ErrNoKey) && !s.Restored {
			key, err = token.CreateECDSA(ctx, label, s.Class)
		}
		if err != nil {
			return nil, fmt.Errorf("key %s: %w", label, err)
		}
		keys = append(keys, key)
	}
	if !s.Class.Restorable || s.Restored {
		return keys, nil // keys of other classes are found only if they were born in their token
	}
	return keys, s.checkBirth(ctx, token, keys)
}

// checkBirth refuses keys that came into the token from somewhere: hsm.Token takes them for restorable ones, since keys out of a backup look the same.
func (s Spec) checkBirth(ctx context.Context, token hsm.Token, keys []hsm.ECDSA) error {
	inventory, err := token.Inventory(ctx)
	if err != nil {
		return err
	}
	local := map[string]bool{} // by label and public key
	for _, k := range inventory.Keys {
		if k.Kind == "secp256k1" && slices.ContainsFunc(k.Attributes, func(a hsm.Attribute) bool { return a.Name == "CKA_LOCAL" && bytes.Equal(a.Value, []byte{1}) }) {
			local[k.Label+" "+string(k.Public)] = k.Refused == ""
		}
	}
	pool := s.pool()
	for at, key := range keys {
		account, branch, index := keyset.Position(&pool, uint64(at))
		label, public := keyset.Label(s.Wallet, account, branch, index), key.Public()
		if !local[label+" "+string(public[:])] {
			return fmt.Errorf("key %s: %w: CKA_LOCAL: expected a key that was born in this token, found one that came in", label, hsm.ErrKeyAttributes)
		}
	}
	return nil
}

// sign has the identity sign its part.
func (s Spec) sign(pool *canon.KeyPool) error {
	message, err := canon.Encode(pool.Part(0))
	if err != nil {
		return refusal.New("encoding", "pool", "a pool of keys", err.Error())
	}
	if pool.Devices[0].Signature, err = s.Sign.Sign(rand.Reader, canon.KindKeyPool.Message(message), crypto.Hash(0)); err != nil {
		return fmt.Errorf("signature of %s over its part of the pool: %w", s.Signer, err)
	}
	return nil
}

// count returns the number of keys.
func (s Spec) count() uint64 { return uint64(len(s.Accounts)) * (s.Receive + s.Change) }

// check refuses what no pool can be made of, before a token spends hours on it.
func (s Spec) check() error {
	var l refusal.List
	checkName(&l, "wallet", s.Wallet)
	checkName(&l, "signer", s.Signer)
	if err := s.Chain.Check(); err != nil {
		l.Add("pool", "chain", "a CAIP-2 chain", err.Error())
	}
	if s.Restored && !s.Class.Restorable {
		l.Add("pool", "restored", "only with keys that are restorable", "others")
	}
	seen := map[canon.Name]bool{}
	for i, a := range s.Accounts {
		field := fmt.Sprintf("accounts[%d]", i)
		checkName(&l, field, a)
		if seen[a] {
			l.Add("pool", field, "distinct accounts", string(a)+" twice")
		}
		seen[a] = true
	}
	s.checkCounts(&l)
	return l.Err()
}

// checkSigner refuses a spec whose part nobody would take.
func (s Spec) checkSigner() error {
	if s.Identity == (canon.PublicKey{}) {
		return refusal.New("pool", "identity", "the signer's identity", "zeros")
	}
	if s.Sign == nil {
		return refusal.New("pool", "sign", "the key of identity "+s.Identity.String(), "none")
	}
	if public, ok := s.Sign.Public().(ed25519.PublicKey); !ok || !bytes.Equal(public, s.Identity[:]) {
		return refusal.New("pool", "sign", "the key of identity "+s.Identity.String(), fmt.Sprintf("%x", s.Sign.Public()))
	}
	return nil
}

func checkName(l *refusal.List, field string, n canon.Name) {
	if err := n.Check(); err != nil || n == canon.Any {
		l.Add("pool", field, "a name", fmt.Sprintf("%.70q", n))
	}
}

func (s Spec) checkCounts(l *refusal.List) {
	found := fmt.Sprintf("%d accounts with %d and %d", len(s.Accounts), s.Receive, s.Change)
	most := uint64(canon.MaxPoolKeys)
	if uint64(len(s.Accounts)) > most || s.Receive > most || s.Change > most || len(s.Accounts) == 0 || s.Receive == 0 || s.count() > most {
		l.Add("pool", "accounts, receive, change", fmt.Sprintf("at least 1 account with 1 and 0 keys, together at most %d", most), found)
	}
	if strings.HasPrefix(string(s.Chain), "eip155:") && (s.Receive != 1 || s.Change != 0) {
		l.Add("pool", "receive, change", "1 and 0: an account has one address on this chain", found)
	}
}

func prove(ctx context.Context, key hsm.ECDSA, pin hsm.PIN, p canon.Possession) ([]byte, error) {
	_, digest, err := canon.Seal(p)
	if err != nil {
		return nil, err
	}
	proof, err := key.Sign(ctx, digest, pin)
	if err != nil {
		return nil, fmt.Errorf("possession of key %s: %w", keyset.Label(p.Wallet, p.Account, p.Branch, p.Index), err)
	}
	return proof[:], nil
}

// seal encodes a pool and holds it against what everybody else will demand of it.
func seal(pool canon.KeyPool) ([]byte, canon.Digest, error) {
	b, digest, err := canon.Seal(pool)
	if err != nil {
		return nil, canon.Digest{}, refusal.New("encoding", "pool", "a pool of keys", err.Error())
	}
	if _, err := keyset.OpenPool(b, digest); err != nil {
		return nil, canon.Digest{}, err
	}
	return b, digest, nil
}

// MakeAttestation finds the attestation key of a wallet of scheme cosign on an EVM chain, or has the token generate it. It returns the compressed
// public key for the charter. The key never leaves its token: it guards no address, so that another replaces it where it is lost.
func MakeAttestation(ctx context.Context, token hsm.Token, wallet canon.Name) ([33]byte, error) {
	var l refusal.List
	if checkName(&l, "wallet", wallet); l.Err() != nil {
		return [33]byte{}, l.Err()
	}
	label := keyset.AttestationLabel(wallet)
	key, err := token.ECDSA(ctx, label, hsm.KeyClass{})
	if errors.Is(err, hsm.ErrNoKey) {
		key, err = token.CreateECDSA(ctx, label, hsm.KeyClass{})
	}
	if err != nil {
		return [33]byte{}, fmt.Errorf("key %s: %w", label, err)
	}
	return key.Public(), nil
}
