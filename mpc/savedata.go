package mpc

import (
	"fmt"
	"math/big"
	"slices"

	"github.com/bnb-chain/tss-lib/v2/crypto"
	"github.com/bnb-chain/tss-lib/v2/crypto/paillier"
	"github.com/bnb-chain/tss-lib/v2/ecdsa/keygen"
	"github.com/bnb-chain/tss-lib/v2/tss"
	"github.com/btcsuite/btcd/btcec/v2"

	"github.com/strongroom/strongroom/mpc/share"
)

// roster translates between the names of a session's parties and the library's party ids.
type roster struct {
	ids    tss.SortedPartyIDs
	byName map[string]*tss.PartyID
}

// newRoster makes party ids for one party object: the library writes to them, so that they are never shared.
func newRoster(c share.Committee, parties []string) roster {
	unsorted := make(tss.UnSortedPartyIDs, len(parties))
	r := roster{byName: make(map[string]*tss.PartyID)}
	for i, p := range parties {
		unsorted[i] = tss.NewPartyID(p, p, c.X(p))
		r.byName[p] = unsorted[i]
	}
	r.ids = tss.SortPartyIDs(unsorted)
	return r
}

func (r roster) parameters(self string, threshold int) *tss.Parameters {
	return tss.NewParameters(tss.S256(), tss.NewPeerContext(r.ids), r.byName[self], len(r.ids), threshold-1)
}

// localPreParams converts p to the library's form, as its GeneratePreParams fills it.
func localPreParams(p *share.PreParams) keygen.LocalPreParams {
	return keygen.LocalPreParams{
		PaillierSK: &paillier.PrivateKey{
			PublicKey: paillier.PublicKey{N: p.PaillierN()}, LambdaN: p.LambdaN(), PhiN: p.PhiN(),
			P: clone(p.PaillierP), Q: clone(p.PaillierQ),
		},
		NTildei: p.NTilde(), H1i: clone(p.H1), H2i: clone(p.H2), Alpha: clone(p.Alpha), Beta: clone(p.Beta),
		P: clone(p.P), Q: clone(p.Q),
	}
}

// saveData builds the library's data for a signing session of the child key. Adding the tweak to the secret and tweak*G to every point
// adds it to the key, as the constant of the polynomial grows by it. Nothing in the result is shared with s or another session.
func saveData(s *share.Share, tweak *big.Int) (keygen.LocalPartySaveData, error) {
	curve := tss.S256()
	data := keygen.NewLocalPartySaveData(len(s.Parties))
	data.LocalPreParams = localPreParams(s.PreParams)
	data.ShareID = s.X(s.Self)
	data.Xi = new(big.Int).Add(s.Secret, tweak)
	data.Xi.Mod(data.Xi, curve.Params().N)
	// The library's parties are in the order of their points.
	names := slices.Clone(s.Parties)
	slices.SortFunc(names, func(a, b string) int { return s.X(a).Cmp(s.X(b)) })
	for i, name := range names {
		p := s.Public[s.Index(name)]
		point, err := childPoint(p.Point, tweak)
		if err != nil {
			return data, fmt.Errorf("mpc: point of %s: %w", name, err)
		}
		data.Ks[i], data.BigXj[i] = s.X(name), point
		data.NTildej[i], data.H1j[i], data.H2j[i] = clone(p.NTilde), clone(p.H1), clone(p.H2)
		data.PaillierPKs[i] = &paillier.PublicKey{N: clone(p.PaillierN)}
	}
	key, err := childPoint(s.PublicKey, tweak)
	if err != nil {
		return data, fmt.Errorf("mpc: child key: %w", err)
	}
	data.ECDSAPub = key
	return data, nil
}

// childPoint returns point + tweak*G.
func childPoint(compressed [33]byte, tweak *big.Int) (*crypto.ECPoint, error) {
	key, err := btcec.ParsePubKey(compressed[:])
	if err != nil {
		return nil, err
	}
	point, err := crypto.NewECPoint(tss.S256(), key.X(), key.Y())
	if err != nil {
		return nil, err
	}
	return point.Add(crypto.ScalarBaseMult(tss.S256(), tweak))
}

// shareFrom converts the result of the library's key generation and checks it.
func shareFrom(c KeygenConfig, data *keygen.LocalPartySaveData) (*share.Share, error) {
	s := &share.Share{Committee: c.Committee, Self: c.Self, Secret: clone(data.Xi), PreParams: c.PreParams, Public: make([]share.Party, len(c.Parties))}
	s.Parties = slices.Clone(c.Parties)
	for i, k := range data.Ks {
		at := slices.IndexFunc(c.Parties, func(p string) bool { return c.X(p).Cmp(k) == 0 })
		if at < 0 {
			return nil, fmt.Errorf("mpc: keygen: expected the points of the committee, found %x", k)
		}
		point, err := compress(data.BigXj[i])
		if err != nil {
			return nil, err
		}
		s.Public[at] = share.Party{
			Point: point, PaillierN: clone(data.PaillierPKs[i].N), NTilde: clone(data.NTildej[i]),
			H1: clone(data.H1j[i]), H2: clone(data.H2j[i]),
		}
	}
	var err error
	if s.PublicKey, err = compress(data.ECDSAPub); err != nil {
		return nil, err
	}
	if err := s.Check(); err != nil {
		return nil, fmt.Errorf("mpc: keygen: %w", err)
	}
	return s, nil
}

func compress(p *crypto.ECPoint) ([33]byte, error) {
	var b [33]byte
	if !p.IsOnCurve() {
		return b, fmt.Errorf("mpc: expected a point on secp256k1, found another")
	}
	b[0] = 2 + byte(p.Y().Bit(0))
	p.X().FillBytes(b[1:])
	return b, nil
}

func clone(n *big.Int) *big.Int { return new(big.Int).Set(n) }
