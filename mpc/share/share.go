package share

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/btcsuite/btcd/btcec/v2"

	"github.com/strongroom/strongroom/proto/canon"
)

// MaxParties bounds a committee.
const MaxParties = 16

// Committee says who holds a key together: what is public about it before the key exists.
type Committee struct {
	// Organisation is the digest of the genesis charter.
	Organisation [32]byte
	// KeyID is the charter's name of the key: 1 to 63 of a-z, 0-9, hyphen.
	KeyID string
	// Epoch counts the key's sets of shares, from 1 on; every epoch has points of its own.
	Epoch uint64
	// Threshold is the number of parties that sign together (t, not the polynomial's degree t-1).
	Threshold int
	// Parties are the charter's names of the holders, sorted, without duplicates.
	Parties []string
}

// Party is the public data of one holder.
type Party struct {
	// Point is the holder's public share, compressed: secret times G.
	Point [33]byte
	// PaillierN and NTilde are the moduli that the holder proved in key generation, H1 and H2 the generators of the latter.
	PaillierN, NTilde, H1, H2 *big.Int
}

// Share is one party's part of a threshold key. Its fields are not to be changed after Check.
type Share struct {
	Committee
	// Self is the holder's own name.
	Self string
	// PublicKey is the group key, compressed.
	PublicKey [33]byte
	// Secret is the value of the sharing polynomial at the holder's point.
	Secret *big.Int
	// PreParams are the holder's own Paillier key and ring-Pedersen parameters.
	PreParams *PreParams
	// Public has the data of each party, in the order of Parties, the holder's own included.
	Public []Party
}

// Check refuses a committee that is no valid sharing: names, order, sizes, and distinct nonzero points.
func (c Committee) Check() error {
	if c.Organisation == ([32]byte{}) {
		return errors.New("committee: organisation: expected a digest, found zero")
	}
	if err := checkName("key id", c.KeyID); err != nil {
		return err
	}
	if c.Epoch == 0 {
		return errors.New("committee: epoch: expected 1 or more, found 0")
	}
	if len(c.Parties) < 2 || len(c.Parties) > MaxParties {
		return fmt.Errorf("committee: parties: expected 2 to %d, found %d", MaxParties, len(c.Parties))
	}
	if c.Threshold < 2 || c.Threshold > len(c.Parties) {
		return fmt.Errorf("committee: threshold: expected 2 to %d, found %d", len(c.Parties), c.Threshold)
	}
	seen := make(map[string]string)
	for i, p := range c.Parties {
		if err := checkName("party", p); err != nil {
			return err
		}
		if i > 0 && c.Parties[i-1] >= p {
			return fmt.Errorf("committee: parties: expected sorted distinct names, found %q after %q", p, c.Parties[i-1])
		}
		x := c.X(p)
		if x.Sign() == 0 {
			return fmt.Errorf("committee: party %q: expected a nonzero point, found zero", p)
		}
		if other, found := seen[x.String()]; found {
			return fmt.Errorf("committee: parties %q and %q: expected distinct points, found one", other, p)
		}
		seen[x.String()] = p
	}
	return nil
}

// X returns the point at which the party's share is the value of the polynomial: SHA-256 of key id, epoch and name, modulo the
// group order. It is fixed for the epoch and differs between epochs, so that shares of two epochs never fit each other.
func (c Committee) X(party string) *big.Int {
	h := sha256.New()
	h.Write([]byte("strongroom/share-point/v1\x00"))
	h.Write([]byte{byte(len(c.KeyID))})
	h.Write([]byte(c.KeyID))
	h.Write(binary.BigEndian.AppendUint64(nil, c.Epoch))
	h.Write([]byte(party))
	x := new(big.Int).SetBytes(h.Sum(nil))
	return x.Mod(x, btcec.S256().N)
}

// Index returns the party's place in Parties, or -1.
func (c Committee) Index(party string) int { return slices.Index(c.Parties, party) }

// ChainCode returns the chain code of the group key (BIP-32), which everybody can work out:
// SHA-256("strongroom/chain-code/v1" ‖ organisation ‖ key id ‖ compressed group public key).
func ChainCode(organisation [32]byte, keyID string, publicKey [33]byte) [32]byte {
	b := []byte("strongroom/chain-code/v1")
	b = append(b, organisation[:]...)
	b = append(b, keyID...)
	b = append(b, publicKey[:]...)
	return sha256.Sum256(b)
}

// ChainCode returns the chain code of the share's group key.
func (s *Share) ChainCode() [32]byte { return ChainCode(s.Organisation, s.KeyID, s.PublicKey) }

// String names the share without its content, so that it can be logged.
func (s Share) String() string {
	return fmt.Sprintf("share of key %s epoch %d held by %s", s.KeyID, s.Epoch, s.Self)
}

// Format prints String for every verb, so that no format prints the secret.
func (s Share) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(s.String())) }

func checkName(field, name string) error {
	n := canon.Name(name)
	if n == canon.Any {
		return fmt.Errorf("%s: expected one name, found %q", field, name)
	}
	if err := n.Check(); err != nil {
		return fmt.Errorf("%s: %w", field, err)
	}
	return nil
}
