package canon

import "fmt"

// Facts that others than officers and clients state: outside authorities that the charter names, and signers about what their own chain sources
// show. Each is signed by its author with a raw Ed25519 signature over Kind.Message.

// Price says what one whole unit (10^decimals base units) of an asset is worth.
type Price struct {
	Organisation Digest   `cbor:"1,keyasint"`
	Authority    Name     `cbor:"2,keyasint"`
	Asset        AssetID  `cbor:"3,keyasint"`
	Currency     Currency `cbor:"4,keyasint"`
	Value        Amount   `cbor:"5,keyasint"` // in 10^-12 of the currency's unit
	At           Time     `cbor:"6,keyasint"`
}

// KindPrice is the type string of Price.
const KindPrice = Kind("strongroom/price/v1")

// Kind implements Document.
func (Price) Kind() Kind { return KindPrice }
func (Price) limit() int { return kib }

// Check refuses prices of nothing.
func (p Price) Check() error {
	if len(p.Value) == 0 {
		return fmt.Errorf("value: expected above 0, found 0")
	}
	return nil
}

// Attribute says something about a client, for example risk = low.
type Attribute struct {
	Organisation Digest `cbor:"1,keyasint"`
	Authority    Name   `cbor:"2,keyasint"`
	Client       Name   `cbor:"3,keyasint"`
	Name         Name   `cbor:"4,keyasint"`
	Value        Text   `cbor:"5,keyasint"`
	At           Time   `cbor:"6,keyasint"`
	NotAfter     Time   `cbor:"7,keyasint"`
}

// KindAttribute is the type string of Attribute.
const KindAttribute = Kind("strongroom/attribute/v1")

// Kind implements Document.
func (Attribute) Kind() Kind { return KindAttribute }
func (Attribute) limit() int { return kib }

// Clearance is an authority's decision about one request: after screening where it pays, or after it looked at the travel-rule data that the request binds.
type Clearance struct {
	Organisation Digest `cbor:"1,keyasint"`
	Authority    Name   `cbor:"2,keyasint"`
	Request      Digest `cbor:"3,keyasint"` // of the signed request's document
	Cleared      bool   `cbor:"4,keyasint"` // false: refused
	At           Time   `cbor:"5,keyasint"`
	NotAfter     Time   `cbor:"6,keyasint"`
	Data         []byte `cbor:"7,keyasint,omitempty"` // SHA-256 of the travel-rule data that it rests on
	Reason       Text   `cbor:"8,keyasint,omitempty"`
}

// KindClearance is the type string of Clearance.
const KindClearance = Kind("strongroom/clearance/v1")

// Kind implements Document.
func (Clearance) Kind() Kind { return KindClearance }
func (Clearance) limit() int { return kib }

// Check refuses digests of other sizes.
func (c Clearance) Check() error {
	if len(c.Data) != 0 && len(c.Data) != 32 {
		return fmt.Errorf("data: expected 32 bytes, found %d", len(c.Data))
	}
	return nil
}

// Balances is what a signer's own chain source shows of the charter's wallets on one chain.
type Balances struct {
	Organisation Digest    `cbor:"1,keyasint"`
	Signer       Name      `cbor:"2,keyasint"`
	Chain        ChainID   `cbor:"3,keyasint"`
	Height       uint64    `cbor:"4,keyasint"`
	Block        Digest    `cbor:"5,keyasint"` // the block's hash as the chain has it
	At           Time      `cbor:"6,keyasint"`
	Holdings     []Holding `cbor:"7,keyasint"` // sorted by wallet, then asset; what is not listed is zero
}

// Holding is what all accounts of a wallet together have of an asset.
type Holding struct {
	Wallet Name    `cbor:"1,keyasint"`
	Asset  AssetID `cbor:"2,keyasint"`
	Amount Amount  `cbor:"3,keyasint"`
}

// KindBalances is the type string of Balances.
const KindBalances = Kind("strongroom/balances/v1")

// Kind implements Document.
func (Balances) Kind() Kind { return KindBalances }
func (Balances) limit() int { return 64 * kib }

// Check refuses holdings that are not sorted, or listed twice.
func (b Balances) Check() error {
	for i := 1; i < len(b.Holdings); i++ {
		p, h := b.Holdings[i-1], b.Holdings[i]
		if p.Wallet > h.Wallet || p.Wallet == h.Wallet && p.Asset >= h.Asset {
			return fmt.Errorf("holdings: expected them sorted by wallet and asset, each once, found %s %s after %s %s", h.Wallet, h.Asset, p.Wallet, p.Asset)
		}
	}
	return nil
}
