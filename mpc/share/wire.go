package share

import (
	"fmt"

	"github.com/btcsuite/btcd/btcec/v2"
)

type partyWire struct {
	Name      string   `cbor:"1,keyasint"`
	Point     [33]byte `cbor:"2,keyasint"`
	PaillierN []byte   `cbor:"3,keyasint"`
	NTilde    []byte   `cbor:"4,keyasint"`
	H1        []byte   `cbor:"5,keyasint"`
	H2        []byte   `cbor:"6,keyasint"`
}

type shareWire struct {
	Version      uint64        `cbor:"1,keyasint"`
	Scheme       string        `cbor:"2,keyasint"`
	Organisation [32]byte      `cbor:"3,keyasint"`
	KeyID        string        `cbor:"4,keyasint"`
	Epoch        uint64        `cbor:"5,keyasint"`
	Threshold    uint64        `cbor:"6,keyasint"`
	Self         string        `cbor:"7,keyasint"`
	PublicKey    [33]byte      `cbor:"8,keyasint"`
	Secret       []byte        `cbor:"9,keyasint"`
	PreParams    preParamsWire `cbor:"10,keyasint"`
	Parties      []partyWire   `cbor:"11,keyasint"`
}

// scheme names the protocol whose parameters the share carries; another engine's share has another one.
const scheme = "gg18-secp256k1"

// Encode checks s and returns its encoding, which is secret: seal it, then clear it.
func (s *Share) Encode() ([]byte, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	w := shareWire{
		Version: version, Scheme: scheme, Organisation: s.Organisation, KeyID: s.KeyID, Epoch: s.Epoch,
		Threshold: uint64(s.Threshold), Self: s.Self, PublicKey: s.PublicKey, Secret: s.Secret.Bytes(), PreParams: s.PreParams.wire(),
	}
	for i, p := range s.Public {
		w.Parties = append(w.Parties, partyWire{
			Name: s.Parties[i], Point: p.Point, PaillierN: p.PaillierN.Bytes(), NTilde: p.NTilde.Bytes(),
			H1: p.H1.Bytes(), H2: p.H2.Bytes(),
		})
	}
	return encMode.Marshal(w)
}

// Decode reads what Encode wrote and checks all of it.
func Decode(b []byte) (*Share, error) {
	s, err := decodeShare(b)
	if err != nil {
		return nil, err
	}
	if err := s.Check(); err != nil {
		return nil, err
	}
	return s, nil
}

func decodeShare(b []byte) (*Share, error) {
	var w shareWire
	if err := decode(b, &w); err != nil {
		return nil, fmt.Errorf("share: %w", err)
	}
	return w.share()
}

func (w shareWire) share() (*Share, error) {
	if err := checkVersion("share", w.Version); err != nil {
		return nil, err
	}
	if w.Scheme != scheme {
		return nil, fmt.Errorf("share: %w: scheme: expected %q, found %.40q", ErrEncoding, scheme, w.Scheme)
	}
	if w.Threshold > MaxParties {
		return nil, fmt.Errorf("share: %w: threshold: expected at most %d, found %d", ErrEncoding, MaxParties, w.Threshold)
	}
	s := &Share{
		Committee: Committee{Organisation: w.Organisation, KeyID: w.KeyID, Epoch: w.Epoch, Threshold: int(w.Threshold)},
		Self:      w.Self, PublicKey: w.PublicKey,
	}
	var err error
	if s.Secret, err = number("secret", w.Secret, btcec.S256().N.BitLen()); err != nil {
		return nil, fmt.Errorf("share: %w", err)
	}
	if s.PreParams, err = w.PreParams.preParams(); err != nil {
		return nil, fmt.Errorf("share: %w", err)
	}
	for _, p := range w.Parties {
		public, err := p.party()
		if err != nil {
			return nil, fmt.Errorf("share: party %.70q: %w", p.Name, err)
		}
		s.Parties = append(s.Parties, p.Name)
		s.Public = append(s.Public, public)
	}
	return s, nil
}

func (w partyWire) party() (p Party, err error) {
	p.Point = w.Point
	if p.PaillierN, err = number("paillier modulus", w.PaillierN, ModulusBits); err != nil {
		return p, err
	}
	if p.NTilde, err = number("ntilde", w.NTilde, ModulusBits); err != nil {
		return p, err
	}
	if p.H1, err = number("h1", w.H1, ModulusBits); err != nil {
		return p, err
	}
	p.H2, err = number("h2", w.H2, ModulusBits)
	return p, err
}
