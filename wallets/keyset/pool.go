package keyset

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// ErrNoPool says that a pool is not here, or not yet: it travels by other ways than the charter that names it.
var ErrNoPool = errors.New("pool not here yet")

// Pool is a verified canon.KeyPool.
type Pool struct {
	digest   canon.Digest
	document canon.KeyPool
	offset   map[canon.Name]uint64 // of an account's first key
	points   map[[32]byte]bool     // x coordinates of all keys: a key and its negative belong to whoever has either
}

// OpenPool reads the encoding of canon.KeyPool, holds its digest against the one that the charter names, verifies the signatures of its signers and every proof of possession. It
// takes about 0.1 ms for each key. The error is a *refusal.Refusal.
func OpenPool(b []byte, digest canon.Digest) (*Pool, error) {
	if found := canon.KindKeyPool.Digest(b); found != digest {
		return nil, refusal.New("pool", "pool", "digest "+digest.String(), found.String())
	}
	p := &Pool{digest: digest, offset: map[canon.Name]uint64{}, points: map[[32]byte]bool{}}
	if err := canon.Decode(b, &p.document); err != nil {
		return nil, refusal.New("encoding", "pool", "a canonical document", err.Error())
	}
	d := &p.document
	var l refusal.List
	for i, a := range d.Accounts {
		if _, twice := p.offset[a]; twice {
			l.Add("pool", fmt.Sprintf("accounts[%d]", i), "distinct accounts", string(a))
		}
		p.offset[a] = uint64(i) * (d.Receive + d.Change)
	}
	if err := l.Err(); err != nil {
		return nil, err
	}
	for i, device := range d.Devices {
		if slices.ContainsFunc(d.Devices[:i], func(o canon.PoolDevice) bool { return o.Signer == device.Signer }) {
			return nil, refusal.New("pool", fmt.Sprintf("devices[%d].signer", i), "distinct signers", string(device.Signer))
		}
		if err := CheckPart(d, i); err != nil {
			return nil, err
		}
		if err := p.checkKeys(i); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// CheckPart verifies the signature of a device's signer over its part of a pool, under the identity that the part itself names: whether that is the signer's
// the charter knows. The error is a *refusal.Refusal.
func CheckPart(p *canon.KeyPool, device int) error {
	d, part := p.Devices[device], p.Part(device)
	message, err := canon.Encode(part)
	if err != nil {
		return refusal.New("encoding", fmt.Sprintf("devices[%d]", device), "a part of a pool", err.Error())
	}
	if len(d.Signature) != ed25519.SignatureSize || !ed25519.Verify(d.Identity[:], canon.KindKeyPool.Message(message), d.Signature) {
		return refusal.New("pool", fmt.Sprintf("devices[%d].signature", device), fmt.Sprintf("one by identity %s over this part", d.Identity), fmt.Sprintf("%d bytes %.64x", len(d.Signature), d.Signature))
	}
	return nil
}

// mostFailures bounds a refusal: a pool of other keys would have thousands of failures.
const mostFailures = 8

// checkKeys asks of every key of a device whether it is a new one and shown to be in somebody's hands.
func (p *Pool) checkKeys(i int) error {
	var l refusal.List
	device, failures := p.document.Devices[i], 0
	for at, key := range device.Keys {
		if p.has(key) {
			failures++
			l.Add("pool", fmt.Sprintf("devices[%d].keys[%d]", i, at), "distinct keys", fmt.Sprintf("%x", key))
		}
		p.points[[32]byte(key[1:])] = true // of 33 bytes, says canon
		if err := CheckPossession(p.possession(device, at), device.Proofs[at]); err != nil {
			failures++
			l.Add("possession", fmt.Sprintf("devices[%d].proofs[%d]", i, at), "a signature by the key over its possession", err.Error())
		}
		if failures >= mostFailures {
			break
		}
	}
	return l.Err()
}

// has reports whether one of the pool's keys is this compressed point or its negative.
func (p *Pool) has(key []byte) bool {
	return len(key) == 33 && p.points[[32]byte(key[1:])]
}

// possession is what the key at a position of a device signed.
func (p *Pool) possession(d canon.PoolDevice, at int) canon.Possession {
	account, branch, index := Position(&p.document, uint64(at))
	return canon.Possession{Wallet: p.document.Wallet, Chain: p.document.Chain, Signer: d.Signer, Identity: d.Identity,
		Account: account, Branch: branch, Index: index, Public: d.Keys[at]}
}

// Position returns the address that the key at a position of each device is for. The position must be below the pool's number of keys.
func Position(p *canon.KeyPool, at uint64) (account canon.Name, branch, index uint64) {
	each := p.Receive + p.Change
	account, at = p.Accounts[at/each], at%each
	if at < p.Receive {
		return account, 0, at
	}
	return account, 1, at - p.Receive
}

// CheckPossession verifies a proof, r ‖ s with low s, 64 bytes, over the digest of a possession.
func CheckPossession(p canon.Possession, proof []byte) error {
	_, digest, err := canon.Seal(p)
	if err != nil {
		return err
	}
	return Verify(p.Public, digest, proof)
}

// Verify verifies r ‖ s, 64 bytes, over a digest under a compressed secp256k1 key. It refuses r and s outside 1 to n-1 and s in the upper half.
func Verify(public []byte, digest [32]byte, signature []byte) error {
	key, err := btcec.ParsePubKey(public)
	if err != nil || len(public) != 33 {
		return fmt.Errorf("public key: expected a compressed point of secp256k1, found %x", public)
	}
	if len(signature) != 64 {
		return fmt.Errorf("signature: expected 64 bytes, found %d", len(signature))
	}
	var r, s btcec.ModNScalar
	if r.SetByteSlice(signature[:32]) || r.IsZero() || s.SetByteSlice(signature[32:]) || s.IsZero() || s.IsOverHalfOrder() {
		return errors.New("signature: expected r from 1 to n-1 and s from 1 to n/2")
	}
	if !ecdsa.NewSignature(&r, &s).Verify(digest[:], key) {
		return fmt.Errorf("signature: expected one over digest %x under key %x, found another", digest, public)
	}
	return nil
}

// Digest returns the pool's digest.
func (p *Pool) Digest() canon.Digest { return p.digest }

// Document returns the pool; read only.
func (p *Pool) Document() *canon.KeyPool { return &p.document }

// position returns where the keys of an address lie. A wallet whose tokens alone sign has each key once; one that the MPC key derives addresses for
// takes the keys in turn.
func (p *Pool) position(account canon.Name, branch, index uint64, again bool) (uint64, error) {
	offset, ok := p.offset[account]
	if !ok {
		return 0, refusal.New("pool", "account", "an account that pool "+p.digest.String()+" has keys for", string(account))
	}
	count := p.document.Receive
	if branch != 0 {
		offset, count = offset+count, p.document.Change
	}
	if again && count > 0 {
		index %= count
	}
	if index >= count {
		return 0, refusal.New("pool", "index", fmt.Sprintf("below %d, the keys of pool %s for branch %d of account %s", count, p.digest, branch, account), fmt.Sprint(index))
	}
	return offset + index, nil
}
