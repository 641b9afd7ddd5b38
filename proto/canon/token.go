package canon

import (
	"bytes"
	"errors"
	"fmt"
)

// KeyPool lists the keys of a wallet that were born in tokens: for every device one key for every address. The charter names its digest, so it
// carries no organisation: a pool can be made before the genesis that names it.
//
// Keys are in the order of the accounts, for each first the receive keys by index, then the change keys. An EVM wallet has one receive key for
// each account and no change keys.
type KeyPool struct {
	Wallet   Name         `cbor:"1,keyasint"`
	Chain    ChainID      `cbor:"2,keyasint"`
	Accounts []Name       `cbor:"3,keyasint"`
	Receive  uint64       `cbor:"4,keyasint"` // keys of each account on branch 0
	Change   uint64       `cbor:"5,keyasint"` // on branch 1
	Devices  []PoolDevice `cbor:"6,keyasint"` // in the order of the wallet's devices
}

// PoolDevice is what one token adds to a pool.
type PoolDevice struct {
	Signer   Name      `cbor:"1,keyasint"`
	Identity PublicKey `cbor:"2,keyasint"` // of the signer; makes the pool this organisation's and no other's
	Keys     [][]byte  `cbor:"3,keyasint"` // compressed secp256k1 public keys, 33 bytes
	Proofs   [][]byte  `cbor:"4,keyasint"` // for each key its signature, r ‖ s with low s, over the digest of its Possession, 64 bytes
	// Backup and Attended are the class of the keys: whether they may leave the token wrapped, and whether each signature takes the PIN.
	Backup   Backup `cbor:"5,keyasint"`
	Attended bool   `cbor:"6,keyasint,omitempty"`
	// Signature is the identity's, raw Ed25519 over Kind.Message of the pool's part: the pool with this device alone and without its signature. The
	// keys are what the signer's own process found in its token, not what somebody put into a file.
	Signature []byte `cbor:"7,keyasint,omitempty"`
}

// Part returns what the identity of the device at a position signs.
func (p KeyPool) Part(device int) KeyPool {
	d := p.Devices[device]
	d.Signature = nil
	p.Devices = []PoolDevice{d}
	return p
}

// KindKeyPool is the type string of KeyPool.
const KindKeyPool = Kind("strongroom/key-pool/v1")

// MaxPoolKeys bounds the keys of one device in one pool.
const MaxPoolKeys = 10_000

// Kind implements Document.
func (KeyPool) Kind() Kind { return KindKeyPool }
func (KeyPool) limit() int { return 16 * mib }

// Check refuses pools whose devices have other than one key and one proof for every address.
func (p KeyPool) Check() error {
	if len(p.Accounts) == 0 || len(p.Accounts) > MaxPoolKeys || p.Receive == 0 || p.Receive > MaxPoolKeys || p.Change > MaxPoolKeys {
		return fmt.Errorf("accounts, receive, change: expected at least 1, 1 and 0, at most %d each, found %d, %d and %d", MaxPoolKeys, len(p.Accounts), p.Receive, p.Change)
	}
	want := uint64(len(p.Accounts)) * (p.Receive + p.Change)
	if want > MaxPoolKeys {
		return fmt.Errorf("accounts, receive, change: expected at most %d addresses, found %d", MaxPoolKeys, want)
	}
	if len(p.Devices) == 0 || len(p.Devices) > MaxDevices {
		return fmt.Errorf("devices: expected 1 to %d, found %d", MaxDevices, len(p.Devices))
	}
	for i, d := range p.Devices {
		if uint64(len(d.Keys)) != want || uint64(len(d.Proofs)) != want {
			return fmt.Errorf("devices[%d]: expected %d keys and proofs, found %d and %d", i, want, len(d.Keys), len(d.Proofs))
		}
	}
	return nil
}

// Check refuses keys and proofs of another size.
func (d PoolDevice) Check() error {
	for i, k := range d.Keys {
		if len(k) != 33 {
			return fmt.Errorf("keys[%d]: expected 33 bytes, found %d", i, len(k))
		}
	}
	for i, s := range d.Proofs {
		if len(s) != 64 {
			return fmt.Errorf("proofs[%d]: expected 64 bytes, found %d", i, len(s))
		}
	}
	if len(d.Signature) != 0 && len(d.Signature) != 64 {
		return fmt.Errorf("signature: expected 64 bytes or none, found %d", len(d.Signature))
	}
	return oneOf("backup", d.Backup, BackupWrap)
}

// Possession is what a key of a pool signs to show that somebody has it, and for which address of whose.
type Possession struct {
	Wallet   Name      `cbor:"1,keyasint"`
	Chain    ChainID   `cbor:"2,keyasint"`
	Signer   Name      `cbor:"3,keyasint"`
	Identity PublicKey `cbor:"4,keyasint"`
	Account  Name      `cbor:"5,keyasint"`
	Branch   uint64    `cbor:"6,keyasint"`
	Index    uint64    `cbor:"7,keyasint"`
	Public   []byte    `cbor:"8,keyasint"` // 33 bytes
}

// KindPossession is the type string of Possession.
const KindPossession = Kind("strongroom/key-possession/v1")

// Kind implements Document.
func (Possession) Kind() Kind { return KindPossession }
func (Possession) limit() int { return kib }

// Check refuses keys of another size.
func (p Possession) Check() error { return sized("public", p.Public, 33, 33) }

// Attestation is a device's word that it would sign: it checked the evidence by itself and recorded it. On EVM chains, where one key signs, the
// holders of the MPC key demand it for wallets of scheme cosign. It is signed in the scheme ECDSA by the device's attestation key.
type Attestation struct {
	Organisation Digest `cbor:"1,keyasint"`
	Signer       Name   `cbor:"2,keyasint"`
	Wallet       Name   `cbor:"3,keyasint"`
	Reservation  Digest `cbor:"4,keyasint"` // rid
	Transaction  Digest `cbor:"5,keyasint"`
	Charter      Digest `cbor:"6,keyasint"` // in force when it was given
}

// KindAttestation is the type string of Attestation.
const KindAttestation = Kind("strongroom/attestation/v1")

// Kind implements Document.
func (Attestation) Kind() Kind { return KindAttestation }
func (Attestation) limit() int { return kib }

// Purposes of ceremonies.
const (
	CeremonyGenerate CeremonyPurpose = 1 // keys are born in a token
	CeremonyBackup   CeremonyPurpose = 2 // keys leave a token, wrapped
	CeremonyRestore  CeremonyPurpose = 3 // wrapped keys enter a token
)

// CeremonyPurpose is what a ceremony is for.
type CeremonyPurpose uint8

// Transcript is the record of a key ceremony: who was there, which program and token, what was done, and what came of it.
type Transcript struct {
	Organisation Digest          `cbor:"1,keyasint"` // zero before there is a genesis
	Title        Text            `cbor:"2,keyasint"`
	Purpose      CeremonyPurpose `cbor:"3,keyasint"`
	Place        Text            `cbor:"4,keyasint"`
	Began        Time            `cbor:"5,keyasint"`
	Ended        Time            `cbor:"6,keyasint"`
	Software     Digest          `cbor:"7,keyasint"` // SHA-256 of the executable that ran
	Module       Digest          `cbor:"8,keyasint"` // SHA-256 of the PKCS#11 module
	Token        CeremonyToken   `cbor:"9,keyasint"`
	Present      []Attendant     `cbor:"10,keyasint"`
	Steps        []CeremonyStep  `cbor:"11,keyasint"`
	Keys         []CeremonyKey   `cbor:"12,keyasint"`
}

// CeremonyToken is a token as it describes itself.
type CeremonyToken struct {
	Label        Text `cbor:"1,keyasint"`
	Serial       Text `cbor:"2,keyasint"`
	Manufacturer Text `cbor:"3,keyasint"`
	Model        Text `cbor:"4,keyasint"`
	Hardware     Text `cbor:"5,keyasint"`
	Firmware     Text `cbor:"6,keyasint"`
}

// Attendant is somebody who was present and signs the transcript.
type Attendant struct {
	Name  Name   `cbor:"1,keyasint"`
	Label Text   `cbor:"2,keyasint"`
	Role  Text   `cbor:"3,keyasint"`
	Key   []byte `cbor:"4,keyasint"` // SSH wire format
}

// Check refuses impossible key sizes.
func (a Attendant) Check() error { return sized("key", a.Key, 32, 2*kib) }

// CeremonyStep is one thing that was done, or that those present confirmed.
type CeremonyStep struct {
	At      Time   `cbor:"1,keyasint"`
	Action  Text   `cbor:"2,keyasint"`
	Outcome Text   `cbor:"3,keyasint"`
	By      []Name `cbor:"4,keyasint,omitempty"` // attendants who confirmed it
}

// CeremonyKey is a key that the ceremony made, backed up or restored.
type CeremonyKey struct {
	Label      Text                `cbor:"1,keyasint"`
	Public     []byte              `cbor:"2,keyasint"`           // secp256k1: compressed, 33 bytes; Ed25519: 32 bytes
	Use        Text                `cbor:"3,keyasint"`           // for example "btc-cold acme-main 0/7"
	Address    []byte              `cbor:"4,keyasint,omitempty"` // of a key that is an address by itself
	Attributes []CeremonyAttribute `cbor:"5,keyasint"`           // as read back from the token
	Message    Digest              `cbor:"6,keyasint"`           // what it signed to show that it works
	Signature  []byte              `cbor:"7,keyasint"`           // 64 bytes
}

// CeremonyAttribute is an attribute of a key as the token gives it.
type CeremonyAttribute struct {
	Name  Text   `cbor:"1,keyasint"` // for example CKA_SENSITIVE
	Value []byte `cbor:"2,keyasint"`
}

// Check refuses values longer than any attribute of a public description.
func (a CeremonyAttribute) Check() error {
	if len(a.Value) > 256 {
		return fmt.Errorf("value: expected at most 256 bytes, found %d", len(a.Value))
	}
	return nil
}

// Check refuses public keys and signatures of another size.
func (k CeremonyKey) Check() error {
	if len(k.Public) != 33 && len(k.Public) != 32 || len(k.Signature) != 64 || len(k.Address) > 128 {
		return fmt.Errorf("public, signature, address: expected 32 or 33, 64 and at most 128 bytes, found %d, %d and %d", len(k.Public), len(k.Signature), len(k.Address))
	}
	return nil
}

// KindTranscript is the type string of Transcript.
const KindTranscript = Kind("strongroom/transcript/v1")

// Kind implements Document.
func (Transcript) Kind() Kind { return KindTranscript }
func (Transcript) limit() int { return 16 * mib }

// Check refuses an empty room, a ceremony that ends before it began, and two attendants of one name or key.
func (t Transcript) Check() error {
	if t.Ended < t.Began {
		return fmt.Errorf("ended: expected at or after %d, found %d", t.Began, t.Ended)
	}
	if len(t.Present) == 0 {
		return errors.New("present: expected somebody, found nobody")
	}
	for i, a := range t.Present {
		for _, b := range t.Present[:i] {
			if a.Name == b.Name || bytes.Equal(a.Key, b.Key) {
				return fmt.Errorf("present[%d]: expected a name and a key of his own, found those of %s", i, b.Name)
			}
		}
	}
	return oneOf("purpose", t.Purpose, CeremonyRestore)
}
