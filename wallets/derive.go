package wallets

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/strongroom/strongroom/proto/canon"
)

// firstHardened is the first index that BIP-32 derives from the private key only.
const firstHardened = 1 << 31

// Path leads from the group key to the key of one address: coin type (SLIP-44), wallet, account, branch, index; none is hardened.
type Path [5]uint32

// Branches of an account.
const (
	BranchReceive = 0
	BranchChange  = 1
)

// NewPath returns the path of those elements, or an error naming the element that is not below 2^31, or a branch other than 0 and 1.
func NewPath(coinType, wallet, account, branch, index uint64) (Path, error) {
	var p Path
	for i, n := range [5]uint64{coinType, wallet, account, branch, index} {
		if n >= firstHardened {
			return Path{}, fmt.Errorf("path: %s: expected below 2^31, found %d", pathElements[i], n)
		}
		p[i] = uint32(n)
	}
	if branch > BranchChange {
		return Path{}, fmt.Errorf("path: branch: expected %d or %d, found %d", BranchReceive, BranchChange, branch)
	}
	return p, nil
}

var pathElements = [5]string{"coin type", "wallet", "account", "branch", "index"}

// String returns the path as "0/1/2/0/7".
func (p Path) String() string {
	parts := make([]string, len(p))
	for i, n := range p {
		parts[i] = fmt.Sprint(n)
	}
	return strings.Join(parts, "/")
}

// Child is a key under the group key.
type Child struct {
	Public [33]byte // compressed
	Tweak  [32]byte // scalar, big-endian: Public = group + Tweak*G
}

// ErrUnusableChild says that BIP-32 defines no key for an index: its left half is not below the group order, or the sum is the point
// at infinity. Nobody will see it (probability below 2^-127); the next index is to be used.
var ErrUnusableChild = errors.New("derive: no valid key at this index")

// ChainCode returns the BIP-32 chain code of a group key: SHA-256("strongroom/chain-code/v1" ‖ organisation ‖ key id ‖ group public
// key). The parts before and after the key id have fixed sizes, so no two keys share the input.
func ChainCode(org canon.Digest, key canon.Name, group [33]byte) [32]byte {
	h := sha256.New()
	h.Write([]byte("strongroom/chain-code/v1"))
	h.Write(org[:])
	h.Write([]byte(key))
	h.Write(group[:])
	var c [32]byte
	h.Sum(c[:0])
	return c
}

// Derive returns the key at path p under the group key, a compressed secp256k1 point, by BIP-32's public parent to public child
// derivation (CKDpub) at each of the five levels. It refuses a group key that is no point and hardened elements.
func Derive(group [33]byte, chainCode [32]byte, p Path) (Child, error) {
	public, err := btcec.ParsePubKey(group[:])
	if err != nil {
		return Child{}, fmt.Errorf("derive: group key: expected a compressed point of secp256k1: %w", err)
	}
	var point btcec.JacobianPoint
	public.AsJacobian(&point)
	var sum btcec.ModNScalar
	key := group
	for i, index := range p {
		if index >= firstHardened {
			return Child{}, fmt.Errorf("derive: path: %s: expected below 2^31, found %d", pathElements[i], index)
		}
		var step btcec.ModNScalar
		if step, chainCode, err = childStep(key, chainCode, index); err != nil {
			return Child{}, fmt.Errorf("path %s: %w", p, err)
		}
		if key, err = addBase(&point, &step); err != nil {
			return Child{}, fmt.Errorf("path %s: %w", p, err)
		}
		sum.Add(&step)
	}
	return Child{Public: key, Tweak: sum.Bytes()}, nil
}

// childStep returns IL and IR of BIP-32's CKDpub.
func childStep(parent [33]byte, chainCode [32]byte, index uint32) (step btcec.ModNScalar, child [32]byte, err error) {
	mac := hmac.New(sha512.New, chainCode[:])
	mac.Write(parent[:])
	mac.Write(binary.BigEndian.AppendUint32(nil, index))
	return splitMAC([64]byte(mac.Sum(nil)))
}

func splitMAC(sum [64]byte) (step btcec.ModNScalar, child [32]byte, err error) {
	if overflow := step.SetByteSlice(sum[:32]); overflow {
		return step, child, ErrUnusableChild
	}
	return step, [32]byte(sum[32:]), nil
}

// addBase adds step*G to point in place and returns the result compressed.
func addBase(point *btcec.JacobianPoint, step *btcec.ModNScalar) (key [33]byte, err error) {
	var offset, sum btcec.JacobianPoint
	btcec.ScalarBaseMultNonConst(step, &offset)
	btcec.AddNonConst(point, &offset, &sum)
	if sum.X.IsZero() && sum.Y.IsZero() || sum.Z.IsZero() {
		return key, ErrUnusableChild
	}
	sum.ToAffine()
	*point = sum
	copy(key[:], btcec.NewPublicKey(&sum.X, &sum.Y).SerializeCompressed())
	return key, nil
}
