package pkcs11

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/fxamacker/cbor/v2"

	p11 "github.com/miekg/pkcs11"
)

// Bounds of backups.
const (
	MaxBackup     = 16 << 20 // bytes of an encoding
	MaxBackupKeys = 10_000
	maxKeyID      = 64
	minWrapped    = 24      // RFC 3394: 8 bytes more than at least 16
	maxWrapped    = 4 << 10 // a PKCS#8 secp256k1 key has 64 to 150 bytes
)

// backupKind separates the digests of backups from those of everything else.
const backupKind = "strongroom/key-backup/v1"

// ErrBackup: the bytes are not a backup of keys in its one encoding.
var ErrBackup = errors.New("pkcs11: not a backup of keys")

// Backup is keys that left a token, wrapped under a key-encryption key. It holds no secret that opens without that key. Its encoding is deterministic
// CBOR (RFC 8949 section 4.2.1) behind the type string and a zero byte; a backup has one encoding and so one digest, which the ceremony's
// transcript names.
type Backup struct {
	Token Source       `cbor:"1,keyasint"`
	KCV   []byte       `cbor:"2,keyasint"` // check value of the key-encryption key
	Keys  []WrappedKey `cbor:"3,keyasint"`
}

// Source is the token that the keys were born in.
type Source struct {
	Label        string `cbor:"1,keyasint"`
	Serial       string `cbor:"2,keyasint"`
	Manufacturer string `cbor:"3,keyasint"`
	Model        string `cbor:"4,keyasint"`
}

// WrappedKey is a secp256k1 key pair: the private key wrapped as PKCS#8 (PKCS#11 v2.40 mechanisms, section 2.14), the rest in clear.
type WrappedKey struct {
	Label     string `cbor:"1,keyasint"`
	ID        []byte `cbor:"2,keyasint"` // CKA_ID
	Public    []byte `cbor:"3,keyasint"` // compressed, 33 bytes
	Attended  bool   `cbor:"4,keyasint"`
	Mechanism uint64 `cbor:"5,keyasint"` // CKM_AES_KEY_WRAP_PAD or CKM_AES_KEY_WRAP
	Wrapped   []byte `cbor:"6,keyasint"`
}

var backupEncoding, backupDecoding = backupModes()

func backupModes() (cbor.EncMode, cbor.DecMode) {
	enc, err := cbor.EncOptions{Sort: cbor.SortCoreDeterministic, IndefLength: cbor.IndefLengthForbidden,
		NilContainers: cbor.NilContainerAsEmpty, TagsMd: cbor.TagsForbidden}.EncMode()
	if err != nil {
		panic(err) // constants: only a changed library can get here
	}
	dec, err := cbor.DecOptions{DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden, TagsMd: cbor.TagsForbidden,
		MaxNestedLevels: 4, MaxArrayElements: MaxBackupKeys, MaxMapPairs: 16, ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		UTF8: cbor.UTF8RejectInvalid}.DecMode()
	if err != nil {
		panic(err)
	}
	return enc, dec
}

// Bytes checks the backup and returns its one encoding.
func (b Backup) Bytes() ([]byte, error) {
	if err := b.check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBackup, err)
	}
	body, err := backupEncoding.Marshal(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBackup, err)
	}
	all := append([]byte(backupKind+"\x00"), body...)
	if len(all) > MaxBackup {
		return nil, fmt.Errorf("%w: size: expected at most %d bytes, found %d", ErrBackup, MaxBackup, len(all))
	}
	return all, nil
}

// ParseBackup reads what Bytes wrote and refuses everything else with ErrBackup. It cannot tell whether the wrapped keys are good: only a token can.
func ParseBackup(b []byte) (*Backup, error) {
	if len(b) > MaxBackup {
		return nil, fmt.Errorf("%w: size: expected at most %d bytes, found %d", ErrBackup, MaxBackup, len(b))
	}
	body, ok := bytes.CutPrefix(b, []byte(backupKind+"\x00"))
	if !ok {
		return nil, fmt.Errorf("%w: type: expected %q and a zero byte, found %x", ErrBackup, backupKind, b[:min(len(b), len(backupKind)+1)])
	}
	var d Backup
	if err := backupDecoding.Unmarshal(body, &d); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBackup, err)
	}
	again, err := d.Bytes()
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(again, b) {
		return nil, fmt.Errorf("%w: form: expected the shortest sorted encoding, found another", ErrBackup)
	}
	return &d, nil
}

// BackupDigest is the digest of a backup's encoding: SHA-256 of all of it.
func BackupDigest(b []byte) [32]byte { return sha256.Sum256(b) }

func (b Backup) check() error {
	if err := checkLabel("token label", b.Token.Label, maxTokenLabel); err != nil {
		return err
	}
	for _, text := range []string{b.Token.Serial, b.Token.Manufacturer, b.Token.Model} {
		if len(text) > maxTokenLabel {
			return fmt.Errorf("token: expected texts of at most %d bytes, found %d", maxTokenLabel, len(text))
		}
	}
	if len(b.KCV) != KCVSize {
		return fmt.Errorf("kcv: expected %d bytes, found %d", KCVSize, len(b.KCV))
	}
	if len(b.Keys) == 0 || len(b.Keys) > MaxBackupKeys {
		return fmt.Errorf("keys: expected 1 to %d, found %d", MaxBackupKeys, len(b.Keys))
	}
	seen := map[string]bool{}
	for i, k := range b.Keys {
		if err := k.check(); err != nil {
			return fmt.Errorf("keys[%d]: %w", i, err)
		}
		if seen[k.Label] || seen[string(k.Public)] {
			return fmt.Errorf("keys[%d]: expected a label and a public key of its own, found %q and %x again", i, k.Label, k.Public)
		}
		seen[k.Label], seen[string(k.Public)] = true, true
	}
	return nil
}

func (k WrappedKey) check() error {
	if err := checkLabel("label", k.Label, maxKeyLabel); err != nil {
		return err
	}
	if len(k.ID) == 0 || len(k.ID) > maxKeyID {
		return fmt.Errorf("id: expected 1 to %d bytes, found %d", maxKeyID, len(k.ID))
	}
	if len(k.Public) != 33 || k.Public[0] != 2 && k.Public[0] != 3 {
		return fmt.Errorf("public: expected a compressed point of 33 bytes, found %x", k.Public)
	}
	if k.Mechanism != p11.CKM_AES_KEY_WRAP_PAD && k.Mechanism != p11.CKM_AES_KEY_WRAP {
		return fmt.Errorf("mechanism: expected %#x or %#x, found %#x", p11.CKM_AES_KEY_WRAP_PAD, p11.CKM_AES_KEY_WRAP, k.Mechanism)
	}
	if len(k.Wrapped) < minWrapped || len(k.Wrapped) > maxWrapped || len(k.Wrapped)%8 != 0 {
		return fmt.Errorf("wrapped: expected %d to %d bytes in blocks of 8, found %d", minWrapped, maxWrapped, len(k.Wrapped))
	}
	return nil
}
