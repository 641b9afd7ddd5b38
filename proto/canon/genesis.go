package canon

import (
	"errors"
	"fmt"
	"strings"
)

// Genesis is the first charter: what the signers of one organisation agree on. Its digest is the organisation's id, so it carries no
// organisation field; everybody pins that digest in his configuration. An Amendment carries a whole charter in the same form.
//
// Evolution: keys are never reused; a new optional field gets a new key and is left out when empty, so old bytes keep their digest.
type Genesis struct {
	Version     uint64        `cbor:"1,keyasint"` // 1
	Label       Text          `cbor:"2,keyasint"` // the organisation's name
	Salt        Digest        `cbor:"3,keyasint"` // random; two organisations with the same content differ by it
	NotBefore   Time          `cbor:"4,keyasint"`
	NotAfter    Time          `cbor:"5,keyasint"` // an expired charter signs nothing
	Roster      Roster        `cbor:"6,keyasint"`
	Signers     []Signer      `cbor:"7,keyasint"`
	Coordinator []Coordinator `cbor:"8,keyasint"`
	Officers    []Officer     `cbor:"9,keyasint"`
	Groups      []Group       `cbor:"10,keyasint"`
	Clients     []Client      `cbor:"11,keyasint"`
	Accounts    []Account     `cbor:"12,keyasint"`
	Chains      []Chain       `cbor:"13,keyasint"`
	Assets      []Asset       `cbor:"14,keyasint"`
	Keys        []Key         `cbor:"15,keyasint"`
	Wallets     []Wallet      `cbor:"16,keyasint"`
	Rules       []Rule        `cbor:"17,keyasint"`
	Limits      []Limit       `cbor:"18,keyasint"`
	Allocation  []Allocation  `cbor:"19,keyasint"`
	Amendment   Quorum        `cbor:"20,keyasint"` // who may change the charter
	Delays      Delays        `cbor:"21,keyasint"`
	Authorities []Authority   `cbor:"22,keyasint"`
	Book        Book          `cbor:"23,keyasint"`
	Recovery    [][]byte      `cbor:"24,keyasint"` // offline recovery keys, SSH wire format
	// What follows came with amendments.
	Lifted        []Digest `cbor:"25,keyasint,omitempty"` // digests of freeze statements that a quorum lifted
	RecoveryCount uint64   `cbor:"26,keyasint,omitempty"` // how many of Recovery must sign an amendment; 0 for no such way
	// What follows came with contract calls and confirmed freezes.
	Confirmed []Digest   `cbor:"27,keyasint,omitempty"` // digests of freeze statements that a quorum confirmed: they do not lapse
	Builds    []Digest   `cbor:"28,keyasint,omitempty"` // SHA-256 of the signers' executables that may run; none means any
	Calls     []CallRule `cbor:"29,keyasint,omitempty"` // contract calls that rules may let through; every other is refused
	// What follows came with values in fiat money.
	Prices []PriceSource `cbor:"30,keyasint,omitempty"` // whose prices count; of any other asset and currency none does
}

// KindGenesis is the type string of Genesis.
const KindGenesis = Kind("strongroom/genesis/v1")

// Kind implements Document.
func (Genesis) Kind() Kind { return KindGenesis }
func (Genesis) limit() int { return maxCharter }

// maxCharter bounds a charter. Amendments carry whole ones.
const maxCharter = 2 * mib

// Check refuses versions other than 1 and an empty period of validity.
func (g Genesis) Check() error {
	if g.Version != 1 {
		return fmt.Errorf("version: expected 1, found %d", g.Version)
	}
	if g.NotAfter <= g.NotBefore {
		return errors.New("not_after: expected a time after not_before")
	}
	return nil
}

// Roster holds the numbers of LIMITS: q acks make a certificate, up to f members may lie. 2q > n+f, f+1 <= t <= q <= n.
type Roster struct {
	Quorum uint64 `cbor:"1,keyasint"`
	Faults uint64 `cbor:"2,keyasint"`
}

// Signer is a process that holds a share or an HSM key and runs the guard.
type Signer struct {
	Name         Name      `cbor:"1,keyasint"`
	Operator     Name      `cbor:"2,keyasint"` // who runs it; no operator may hold t shares
	Identity     PublicKey `cbor:"3,keyasint"` // signs acks, attestations and envelopes, and is its TLS key
	Ledger       bool      `cbor:"4,keyasint"` // member of the roster
	Jurisdiction Text      `cbor:"5,keyasint"` // where the machine stands, for example "HK"
}

// Coordinator names a TLS key under which signers and clients will talk to a coordinator. It carries no authority to sign.
type Coordinator struct {
	Name Name      `cbor:"1,keyasint"`
	TLS  PublicKey `cbor:"2,keyasint"`
}

// KeyClass says how an officer's key is kept; smaller is stronger.
type KeyClass uint8

// Classes of officer keys.
const (
	ClassPresence KeyClass = 1 // hardware that asks for a touch
	ClassToken    KeyClass = 2 // hardware or agent, without presence
	ClassFile     KeyClass = 3 // a file under a passphrase
)

// OfficerKey is a key with which an officer approves.
type OfficerKey struct {
	Public []byte   `cbor:"1,keyasint"` // SSH wire format (RFC 4253 section 6.6)
	Class  KeyClass `cbor:"2,keyasint"`
}

// Check refuses unknown classes and impossible key sizes.
func (k OfficerKey) Check() error {
	if err := oneOf("class", k.Class, ClassFile); err != nil {
		return err
	}
	return sized("public", k.Public, 32, 2*kib)
}

// Officer is a person.
type Officer struct {
	Name    Name         `cbor:"1,keyasint"`
	Label   Text         `cbor:"2,keyasint"`
	Keys    []OfficerKey `cbor:"3,keyasint"`
	Devices []PublicKey  `cbor:"4,keyasint"` // TLS keys of the officer's devices; they approve nothing
}

// Group is a set of officers.
type Group struct {
	Name    Name     `cbor:"1,keyasint"`
	Members []Name   `cbor:"2,keyasint"`
	Weakest KeyClass `cbor:"3,keyasint"` // weakest class of key that counts in this group
}

// Check refuses unknown classes.
func (g Group) Check() error { return oneOf("weakest", g.Weakest, ClassFile) }

// Part is "count distinct persons of group".
type Part struct {
	Group Name   `cbor:"1,keyasint"`
	Count uint64 `cbor:"2,keyasint"`
}

// Quorum is met when all parts of one alternative are met. No alternative is never met.
type Quorum struct {
	AnyOf [][]Part `cbor:"1,keyasint"`
}

// String returns the quorum in words, for example "2 of treasury and 1 of risk, or 3 of board".
func (q Quorum) String() string {
	if len(q.AnyOf) == 0 {
		return "nobody"
	}
	alternatives := make([]string, len(q.AnyOf))
	for i, parts := range q.AnyOf {
		words := make([]string, len(parts))
		for j, p := range parts {
			words[j] = fmt.Sprintf("%d of %s", p.Count, p.Group)
		}
		if alternatives[i] = strings.Join(words, " and "); len(parts) == 0 {
			alternatives[i] = "an alternative without parts, which is never met"
		}
	}
	return strings.Join(alternatives, ", or ")
}

// Client is whoever owns assets; House marks the custodian's own.
type Client struct {
	Name    Name        `cbor:"1,keyasint"`
	Label   Text        `cbor:"2,keyasint"`
	House   bool        `cbor:"3,keyasint"`
	Keys    []PublicKey `cbor:"4,keyasint"` // sign requests
	Devices []PublicKey `cbor:"5,keyasint"` // TLS keys
	// Attributes are what the custodian knows about the client, for rules to read.
	Attributes []ClientAttribute `cbor:"6,keyasint,omitempty"`
	// Treasury marks a desk of the custodian's that owns nothing: its keys ask for moves between wallets of one account, whosever it is, and for
	// nothing else.
	Treasury bool `cbor:"7,keyasint,omitempty"`
}

// ClientAttribute is a fact about a client, for example kyc = enhanced.
type ClientAttribute struct {
	Name  Name `cbor:"1,keyasint"`
	Value Text `cbor:"2,keyasint"`
}

// AccountKind tells accounts with addresses of their own from parts of an omnibus wallet.
type AccountKind uint8

// Kinds of account.
const (
	Segregated AccountKind = 1 // has addresses of its own
	Omnibus    AccountKind = 2 // its assets lie on the addresses of the wallet's pool, together with those of others
	Pool       AccountKind = 3 // whose addresses an omnibus wallet uses; nobody withdraws from it, only from the accounts in it
)

// Account belongs to one client. Number is its index in derivation paths, below 2^31; that of an omnibus account is in no path. A pool belongs to
// whom the custodian names as its keeper, which says nothing about whose assets it holds.
type Account struct {
	Name   Name        `cbor:"1,keyasint"`
	Client Name        `cbor:"2,keyasint"`
	Number uint64      `cbor:"3,keyasint"`
	Kind   AccountKind `cbor:"4,keyasint"`
}

// Check refuses unknown kinds and numbers that no path can hold.
func (a Account) Check() error {
	if a.Number >= 1<<31 {
		return fmt.Errorf("number: expected below 2^31, found %d", a.Number)
	}
	return oneOf("kind", a.Kind, Pool)
}

// ChainKind is a family of chains.
type ChainKind uint8

// Kinds of chain.
const (
	Bitcoin ChainKind = 1
	EVM     ChainKind = 2
)

// Chain is a chain that the organisation uses.
type Chain struct {
	ID       ChainID   `cbor:"1,keyasint"`
	Kind     ChainKind `cbor:"2,keyasint"`
	CoinType uint64    `cbor:"3,keyasint"` // SLIP-44, first element of derivation paths
	Depth    uint64    `cbor:"4,keyasint"` // confirmations after which a transaction is final
	HRP      string    `cbor:"5,keyasint"` // Bitcoin: BIP-173 prefix of addresses; EVM: empty
}

// Check refuses unknown kinds and a depth of zero.
func (c Chain) Check() error {
	if c.Depth == 0 || c.CoinType >= 1<<31 {
		return fmt.Errorf("depth, coin_type: expected depth above 0 and coin type below 2^31, found %d and %d", c.Depth, c.CoinType)
	}
	if (c.Kind == Bitcoin) != (c.HRP != "") || len(c.HRP) > 16 {
		return errors.New("hrp: expected a BIP-173 prefix for Bitcoin, none for EVM")
	}
	return oneOf("kind", c.Kind, EVM)
}

// Asset says how amounts of an asset are shown.
type Asset struct {
	ID       AssetID `cbor:"1,keyasint"`
	Symbol   Text    `cbor:"2,keyasint"`
	Decimals uint64  `cbor:"3,keyasint"`
}

// Check refuses more decimals than an Amount has digits.
func (a Asset) Check() error {
	if a.Decimals > 77 {
		return fmt.Errorf("decimals: expected at most 77, found %d", a.Decimals)
	}
	return nil
}

// Algorithm is what a key signs with.
type Algorithm uint8

// Algorithms.
const (
	ECDSASecp256k1 Algorithm = 1
	EdDSA25519     Algorithm = 2
)

// Key is a key that signers make together. Its public key comes out of key generation and is no part of the genesis.
type Key struct {
	ID        Name      `cbor:"1,keyasint"`
	Algorithm Algorithm `cbor:"2,keyasint"`
	Threshold uint64    `cbor:"3,keyasint"` // t: signers needed to sign
	Holders   []Name    `cbor:"4,keyasint"`
	Epoch     uint64    `cbor:"5,keyasint"` // counts refreshes and reshares, from 1
}

// Check refuses unknown algorithms.
func (k Key) Check() error { return oneOf("algorithm", k.Algorithm, EdDSA25519) }

// Tier is how far a wallet is from the network.
type Tier uint8

// Tiers.
const (
	Hot  Tier = 1
	Warm Tier = 2
	Cold Tier = 3
)

// WalletScheme says what must sign for a wallet.
type WalletScheme uint8

// Wallet schemes.
const (
	SchemeMPC    WalletScheme = 1
	SchemeHSM    WalletScheme = 2
	SchemeCosign WalletScheme = 3
)

// Wallet is a set of addresses under one key set on one chain.
type Wallet struct {
	Name       Name         `cbor:"1,keyasint"`
	Label      Text         `cbor:"2,keyasint"`
	Chain      ChainID      `cbor:"3,keyasint"`
	Tier       Tier         `cbor:"4,keyasint"`
	Scheme     WalletScheme `cbor:"5,keyasint"`
	Key        Name         `cbor:"6,keyasint,omitempty"` // MPC key; none for scheme hsm
	Number     uint64       `cbor:"7,keyasint"`           // second element of derivation paths, below 2^31
	Accounts   []Name       `cbor:"8,keyasint"`
	StartNonce uint64       `cbor:"9,keyasint"` // EVM: nonce of the first transaction of each account's address
	// What follows came with keys in tokens.
	Devices      []Device `cbor:"10,keyasint,omitempty"` // hsm, cosign: the signers whose tokens sign; cosign on Bitcoin: exactly one
	Needed       uint64   `cbor:"11,keyasint,omitempty"` // how many of the devices must sign or attest
	Pool         []byte   `cbor:"12,keyasint,omitempty"` // digest of the KeyPool, 32 bytes; none for cosign on EVM chains
	Recovery     []byte   `cbor:"13,keyasint,omitempty"` // cosign on Bitcoin: the third key, compressed, 33 bytes; two of three sign then
	Backup       Backup   `cbor:"14,keyasint,omitempty"` // hsm, cosign: whether the devices' keys can leave their tokens, wrapped
	SingleDevice bool     `cbor:"15,keyasint,omitempty"` // hsm: one token and its PIN are the money; only cold
}

// Check refuses unknown tiers, schemes and backups, numbers that no path can hold, and keys, devices and pools where the scheme has none or without
// those that it has.
func (w Wallet) Check() error {
	if w.Number >= 1<<31 {
		return fmt.Errorf("number: expected below 2^31, found %d", w.Number)
	}
	if err := oneOf("tier", w.Tier, Cold); err != nil {
		return err
	}
	if err := oneOf("scheme", w.Scheme, SchemeCosign); err != nil {
		return err
	}
	if (w.Scheme == SchemeHSM) != (w.Key == "") {
		return errors.New("key: expected an MPC key for scheme mpc and cosign, none for hsm")
	}
	return w.checkDevices()
}

func (w Wallet) checkDevices() error {
	if w.Scheme == SchemeMPC {
		if len(w.Devices)+len(w.Pool)+len(w.Recovery) > 0 || w.Needed > 0 || w.Backup != 0 || w.SingleDevice {
			return errors.New("devices, needed, pool, recovery, backup, single_device: expected none for scheme mpc")
		}
		return nil
	}
	if len(w.Devices) == 0 || len(w.Devices) > MaxDevices || w.Needed == 0 || w.Needed > uint64(len(w.Devices)) {
		return fmt.Errorf("devices, needed: expected 1 to %d devices and 1 to as many of them, found %d and %d", MaxDevices, len(w.Devices), w.Needed)
	}
	if len(w.Pool) != 0 && len(w.Pool) != len(Digest{}) {
		return fmt.Errorf("pool: expected 32 bytes or none, found %d", len(w.Pool))
	}
	if len(w.Recovery) != 0 && len(w.Recovery) != 33 {
		return fmt.Errorf("recovery: expected 33 bytes or none, found %d", len(w.Recovery))
	}
	return oneOf("backup", w.Backup, BackupWrap)
}

// MaxDevices bounds the tokens of a wallet: a standard P2WSH script has at most 20 keys (BIP-383), and the signatures of 15 stay within the
// standard size of a witness script's stack items by a wide margin.
const MaxDevices = 15

// Device is a signer with a token that signs for a wallet.
type Device struct {
	Signer Name `cbor:"1,keyasint"`
	// Attestation is the compressed secp256k1 public key of the token's dedicated key, 33 bytes, for cosign on EVM chains; it signs Attestations
	// and nothing else.
	Attestation []byte `cbor:"2,keyasint,omitempty"`
}

// Check refuses keys of another size.
func (d Device) Check() error {
	if len(d.Attestation) != 0 && len(d.Attestation) != 33 {
		return fmt.Errorf("attestation: expected 33 bytes or none, found %d", len(d.Attestation))
	}
	return nil
}

// Backup is a class of keys in tokens.
type Backup uint8

// Classes of keys in tokens.
const (
	BackupNone Backup = 1 // born in the token, never leave it: other tokens are the backup
	BackupWrap Backup = 2 // may leave the token wrapped under its trusted key-encryption key, to one that can only unwrap
)

// Delays are in seconds.
type Delays struct {
	Loosening    uint64 `cbor:"1,keyasint"` // between proposal and enactment of an amendment that loosens
	Unfreeze     uint64 `cbor:"2,keyasint"`
	FreezeLapse  uint64 `cbor:"3,keyasint"`
	BookCooldown uint64 `cbor:"4,keyasint"`           // between an address's first appearance and its first payment; the genesis's own book is exempt
	ClockSkew    uint64 `cbor:"5,keyasint"`           // δ: how far two signers' clocks may differ
	Recovery     uint64 `cbor:"6,keyasint,omitempty"` // between proposal and enactment of an amendment that recovery keys signed
	Balances     uint64 `cbor:"7,keyasint,omitempty"` // how old a signer's statement of balances may be; needed where there are allocations
}

// Purpose is what an outside authority may state.
type Purpose uint8

// Purposes of authorities.
const (
	PurposePrice      Purpose = 1
	PurposeScreening  Purpose = 2
	PurposeTravelRule Purpose = 3
	PurposeBalance    Purpose = 4
	PurposeAttribute  Purpose = 5
)

// Authority signs statements of fact that rules may read.
type Authority struct {
	Name    Name      `cbor:"1,keyasint"`
	Purpose Purpose   `cbor:"2,keyasint"`
	Key     PublicKey `cbor:"3,keyasint"`
	MaxAge  uint64    `cbor:"4,keyasint,omitempty"` // seconds for which an attribute or a clearance of it counts at most; 0: as long as it says itself
}

// Check refuses unknown purposes.
func (a Authority) Check() error { return oneOf("purpose", a.Purpose, PurposeAttribute) }

// Book is the root of the address book: an RFC 6962 Merkle tree over the sorted encodings of BookEntry.
type Book struct {
	Serial uint64 `cbor:"1,keyasint"`
	Size   uint64 `cbor:"2,keyasint"` // entries
	Root   Digest `cbor:"3,keyasint"`
	Quorum Quorum `cbor:"4,keyasint"`           // who signs the next root
	Owned  bool   `cbor:"5,keyasint,omitempty"` // pays only entries with evidence that the client owns the address
}
