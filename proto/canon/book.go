package canon

import "fmt"

// BookRoot is one version of the address book. Officers of the book's quorum approve its digest. The first version is the genesis's own.
type BookRoot struct {
	Organisation Digest `cbor:"1,keyasint"`
	Serial       uint64 `cbor:"2,keyasint"` // of this version: above that of the one before, as a rule by 1
	Previous     Digest `cbor:"3,keyasint"` // root of the version that it follows
	Size         uint64 `cbor:"4,keyasint"` // entries
	Root         Digest `cbor:"5,keyasint"` // RFC 6962 Merkle tree over the sorted encodings of BookEntry
	Reason       Text   `cbor:"6,keyasint,omitempty"`
}

// KindBookRoot is the type string of BookRoot.
const KindBookRoot = Kind("strongroom/book-root/v1")

// Kind implements Document.
func (BookRoot) Kind() Kind { return KindBookRoot }
func (BookRoot) limit() int { return kib }

// Check refuses serials that no version but the first can have.
func (r BookRoot) Check() error {
	if r.Serial == 0 {
		return fmt.Errorf("serial: expected above 0, found 0")
	}
	return nil
}

// BookUpdate is a book root with the approvals of a quorum. Nobody signs the update: each part speaks for itself.
type BookUpdate struct {
	Organisation Digest   `cbor:"1,keyasint"`
	Root         []byte   `cbor:"2,keyasint"` // encoding of BookRoot
	Approvals    []Signed `cbor:"3,keyasint"` // of Approval
}

// KindBookUpdate is the type string of BookUpdate.
const KindBookUpdate = Kind("strongroom/book-update/v1")

// Kind implements Document.
func (BookUpdate) Kind() Kind { return KindBookUpdate }
func (BookUpdate) limit() int { return 256 * kib }

// Check refuses roots of impossible size.
func (u BookUpdate) Check() error { return sized("root", u.Root, 1, kib) }

// BookKey names an entry of the book: a book has at most one for each address and client.
type BookKey struct {
	Chain   ChainID `cbor:"1,keyasint"`
	Address []byte  `cbor:"2,keyasint"` // as in Output
	Client  Name    `cbor:"3,keyasint"`
}

// Check refuses impossible addresses.
func (k BookKey) Check() error { return sized("address", k.Address, 1, 128) }

// BookChange says how a version of the book comes out of the one before it. Nobody signs it: applied to the entries of the one it must give
// the root of the other.
type BookChange struct {
	Organisation Digest      `cbor:"1,keyasint"`
	Update       []byte      `cbor:"2,keyasint"` // encoding of BookUpdate
	Remove       []BookKey   `cbor:"3,keyasint"`
	Add          []BookEntry `cbor:"4,keyasint"` // an entry with the key of a removed one replaces it
}

// KindBookChange is the type string of BookChange.
const KindBookChange = Kind("strongroom/book-change/v1")

// Kind implements Document.
func (BookChange) Kind() Kind { return KindBookChange }
func (BookChange) limit() int { return 8 * mib }

// Check refuses changes of nothing and updates of impossible size.
func (c BookChange) Check() error {
	if len(c.Remove)+len(c.Add) == 0 {
		return fmt.Errorf("remove, add: expected at least one entry, found none")
	}
	return sized("update", c.Update, 1, 256*kib)
}

// Ownership is what the holder of an address signs to show that it is his, in words that wallets show before signing: BIP-322 for Bitcoin,
// EIP-191 for EVM chains.
type Ownership struct {
	Organisation Digest
	Chain        ChainID
	Address      string // as the chain writes it
	Client       Name
}

// Message returns the text that is signed.
func (o Ownership) Message() string {
	return fmt.Sprintf("Strongroom address ownership\norganisation: %s\nchain: %s\naddress: %s\nclient: %s", o.Organisation, o.Chain, o.Address, o.Client)
}
