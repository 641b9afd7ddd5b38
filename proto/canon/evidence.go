package canon

import "fmt"

// Evidence is everything a signer needs to decide. The coordinator gathers it and nobody signs it: each part speaks for itself.
type Evidence struct {
	Organisation Digest      `cbor:"1,keyasint"`
	Intent       []byte      `cbor:"2,keyasint"`
	Approvals    []Signed    `cbor:"3,keyasint"` // of Approval
	Statements   []Signed    `cbor:"4,keyasint"` // of Statement, all that are known about the intent
	Addresses    []BookProof `cbor:"5,keyasint"` // for each outside address, one under each version of the book that signers may ask for
	Transaction  []byte      `cbor:"6,keyasint"` // Bitcoin: unsigned, without witness; EVM: unsigned EIP-2718 payload
	Previous     [][]byte    `cbor:"7,keyasint"` // Bitcoin: the whole transaction behind each distinct input txid
	Inputs       []OwnPath   `cbor:"8,keyasint"` // every input; EVM: the sender, at position 0
	Change       []OwnPath   `cbor:"9,keyasint"` // every output that comes back
}

// KindEvidence is the type string of Evidence.
const KindEvidence = Kind("strongroom/evidence/v1")

// Kind implements Document.
func (Evidence) Kind() Kind { return KindEvidence }
func (Evidence) limit() int { return 8 * mib }

// TransactionDigest returns the digest by which intents and reservations name the unsigned transaction b.
func TransactionDigest(b []byte) Digest { return Kind("strongroom/transaction/v1").Digest(b) }

// ReservationKind is how far a certificate of the reservation goes.
type ReservationKind uint8

// Kinds of reservation.
const (
	Write   ReservationKind = 1
	Collect ReservationKind = 2
)

// Charge is what a reservation takes from a limit: amount and fee cap in the limit's asset, their value in its currency, or 1.
type Charge struct {
	Limit   Name   `cbor:"1,keyasint"`
	Amount  Amount `cbor:"2,keyasint"`
	Counter string `cbor:"3,keyasint,omitempty"` // which counter of a limit that counts apart, for example "client=acme wallet=btc-hot"
}

// Check refuses counters longer than any dimension's values together.
func (c Charge) Check() error {
	if len(c.Counter) > kib {
		return fmt.Errorf("counter: expected at most %d bytes, found %d", kib, len(c.Counter))
	}
	return nil
}

// Anchor is what all versions of one withdrawal share, so that at most one can confirm: a Bitcoin outpoint, or an EVM account and nonce.
type Anchor struct {
	Chain   ChainID `cbor:"1,keyasint"`
	Account []byte  `cbor:"2,keyasint"` // Bitcoin: txid, 32 bytes in internal order; EVM: address, 20 bytes
	Number  uint64  `cbor:"3,keyasint"` // Bitcoin: output index; EVM: nonce
}

// Check refuses impossible accounts.
func (a Anchor) Check() error {
	if len(a.Account) != 32 && len(a.Account) != 20 {
		return fmt.Errorf("account: expected 32 or 20 bytes, found %d", len(a.Account))
	}
	return nil
}

// Reservation is what a signer is asked to record before anything is signed. Its digest is the rid.
type Reservation struct {
	Organisation  Digest          `cbor:"1,keyasint"`
	Withdrawal    Digest          `cbor:"2,keyasint"`
	Version       uint64          `cbor:"3,keyasint"` // of the withdrawal's transaction, from 1
	Intent        Digest          `cbor:"4,keyasint"`
	Sort          ReservationKind `cbor:"5,keyasint"`
	Transactions  []Digest        `cbor:"6,keyasint"`
	Wallet        Name            `cbor:"7,keyasint"`
	Asset         AssetID         `cbor:"8,keyasint"`
	Charges       []Charge        `cbor:"9,keyasint"`
	Anchor        Anchor          `cbor:"10,keyasint"`
	AnchorNumber  uint64          `cbor:"11,keyasint"` // 1 for the withdrawal's first anchor, at most 3
	Inputs        []Anchor        `cbor:"12,keyasint"` // every input; EVM: the anchor alone
	Stamp         Time            `cbor:"13,keyasint"`
	Until         Time            `cbor:"14,keyasint"` // last moment at which the last share may leave
	CharterNumber uint64          `cbor:"15,keyasint"`
	Charter       Digest          `cbor:"16,keyasint"`
	Key           Name            `cbor:"17,keyasint,omitempty"` // MPC key; none where tokens alone sign
	KeyEpoch      uint64          `cbor:"18,keyasint"`
}

// KindReservation is the type string of Reservation.
const KindReservation = Kind("strongroom/reservation/v1")

// Kind implements Document.
func (Reservation) Kind() Kind { return KindReservation }
func (Reservation) limit() int { return 256 * kib }

// Check refuses what no signer could ever ack.
func (r Reservation) Check() error {
	if r.Version == 0 || r.AnchorNumber < 1 || r.AnchorNumber > 3 {
		return fmt.Errorf("version, anchor_number: expected from 1 and 1 to 3, found %d and %d", r.Version, r.AnchorNumber)
	}
	if r.Until < r.Stamp {
		return fmt.Errorf("until: expected at or after stamp %d, found %d", r.Stamp, r.Until)
	}
	if len(r.Transactions) < 1 || len(r.Transactions) > 8 || len(r.Inputs) == 0 {
		return fmt.Errorf("transactions, inputs: expected 1 to 8 and at least 1, found %d and %d", len(r.Transactions), len(r.Inputs))
	}
	return oneOf("sort", r.Sort, Collect)
}

// Ack says that a signer has recorded a reservation durably. It is the same bytes each time it is asked for.
type Ack struct {
	Organisation Digest `cbor:"1,keyasint"`
	Reservation  Digest `cbor:"2,keyasint"` // rid
	Signer       Name   `cbor:"3,keyasint"`
	Length       uint64 `cbor:"4,keyasint"` // records in the signer's ledger after this one
	Head         Digest `cbor:"5,keyasint"` // hash of the last of them
	Incarnation  uint64 `cbor:"6,keyasint"` // counts re-admissions of the signer, from 1
}

// KindAck is the type string of Ack.
const KindAck = Kind("strongroom/ack/v1")

// Kind implements Document.
func (Ack) Kind() Kind { return KindAck }
func (Ack) limit() int { return kib }

// Certificate is a reservation with the acks of q signers.
type Certificate struct {
	Organisation Digest   `cbor:"1,keyasint"`
	Reservation  []byte   `cbor:"2,keyasint"`
	Acks         []Signed `cbor:"3,keyasint"`
}

// KindCertificate is the type string of Certificate.
const KindCertificate = Kind("strongroom/certificate/v1")

// Kind implements Document.
func (Certificate) Kind() Kind { return KindCertificate }
func (Certificate) limit() int { return 512 * kib }

// Address is a signer's word that it derived an address by itself.
type Address struct {
	Organisation Digest   `cbor:"1,keyasint"`
	Signer       Name     `cbor:"2,keyasint"`
	Chain        ChainID  `cbor:"3,keyasint"`
	Wallet       Name     `cbor:"4,keyasint"`
	Account      Name     `cbor:"5,keyasint"`
	Key          Name     `cbor:"6,keyasint,omitempty"` // MPC key; none where the keys are in tokens alone
	KeyEpoch     uint64   `cbor:"7,keyasint"`
	Path         []uint64 `cbor:"8,keyasint"` // coin type, wallet, account, branch, index; none hardened
	Address      []byte   `cbor:"9,keyasint"` // as in Output
}

// KindAddress is the type string of Address.
const KindAddress = Kind("strongroom/address/v1")

// Kind implements Document.
func (Address) Kind() Kind { return KindAddress }
func (Address) limit() int { return 2 * kib }

// Check refuses paths of other lengths and impossible addresses.
func (a Address) Check() error {
	if len(a.Path) != 5 {
		return fmt.Errorf("path: expected 5 elements, found %d", len(a.Path))
	}
	return sized("address", a.Address, 1, 128)
}
