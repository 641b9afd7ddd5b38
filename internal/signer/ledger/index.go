package ledger

import (
	"fmt"
	"slices"

	"github.com/strongroom/strongroom/policy"
	"github.com/strongroom/strongroom/policy/amendment"
	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
)

// Bounds of what callers can make the ledger write.
const (
	// MaxReservations is the number of reservations of one withdrawal.
	MaxReservations = 256
	// MaxAttempts is the number of sessions for one reservation, those of a token apart, or for one key epoch.
	MaxAttempts = 256
	// MaxStatements is the number of statements of one officer with one verb. Each verb counts by itself, so that whoever stole a key
	// cannot use up what its owner needs to revoke it.
	MaxStatements = 10_000
	// MaxIntents is the number of intents for one withdrawal whose delay is counted.
	MaxIntents = 16
	// MaxDelayed is the number of intents of all withdrawals whose delay is counted.
	MaxDelayed = 4096
	// MaxNonceGap is how far a nonce may lie beyond the highest that is held for its account.
	MaxNonceGap = 64
)

// addressBlock is how many indexes of a branch share a record.
const addressBlock = 64

// publicSize is the size of a compressed public key.
const publicSize = 33

// Index is what the records say. It is read inside Ledger.Read and the callbacks of Reserve and Commit, which hold the lock.
type Index struct {
	organisation canon.Digest
	signer       canon.Name
	incarnation  uint64
	length       uint64
	head         canon.Digest

	reservations map[canon.Digest]*reservation // by rid
	withdrawals  map[canon.Digest]*withdrawal  // by wid
	holders      map[string]canon.Digest       // wid by anchor or input; the first stays
	sessions     map[canon.Digest]*session     // by session id
	attempts     map[attempt]bool
	tries        map[attempt]int // by subject, with attempt 0
	statements   *approval.Set
	addresses    map[place]uint64      // the highest that is recorded
	seen         map[place]uint64      // above it, in the same block of indexes; not on disk
	nonces       map[string]uint64     // the highest held, by EVM account
	confirmed    map[keyEpoch][]byte   // public keys
	made         map[canon.Name]uint64 // signatures of this signer's tokens that were committed to, by wallet
	spends       Spends
	spendsOf     func(*charter.Charter, *canon.Reservation) []policy.Spend

	genesis []byte           // encoding; nil: no charter is followed
	chain   *amendment.Chain // nil if the ledger follows no charter
	noted   map[canon.Digest]*noted
	enacted []Enacted
	freezes *approval.Set // of statements, those freezes that are not lifted
	// confirmedFreezes are those that the charter in force confirms, each with when it came to do so here.
	confirmedFreezes map[canon.Digest]canon.Time
	began            bool

	delayed map[canon.Digest]delayed    // intents whose delay is counted and that nothing was reserved for, by digest
	waited  map[canon.Digest]canon.Time // since when it was counted, of those that something was reserved for

	book         *book.Versions // nil if the ledger follows no charter
	bookVersions int            // that were recorded
	bookBytes    int            // of them

	verified *verified // what is being appended, nil otherwise
	reviewed *reviewed
}

// reservation is one rid, known by an ack of ours, by a certificate, or both.
type reservation struct {
	document    *canon.Reservation
	promised    bool // a reservationRecord is there
	length      uint64
	head        canon.Digest // length and hash of that record
	answer      *canon.Signed
	certificate []byte
}

// withdrawal is what its first reservation fixed.
type withdrawal struct {
	intent   canon.Digest
	anchor   canon.Anchor
	versions map[uint64][]canon.Digest // transactions by version
	count    int
	document []byte // encoding of the intent
}

type session struct {
	document  canon.Session
	committed bool
}

// attempt is one try for a reservation, with the MPC key or with a token, or for a key epoch.
type attempt struct {
	reservation canon.Digest
	key         canon.Name // for a token the wallet, none for signing with the MPC key
	epoch       uint64
	number      uint64
}

type keyEpoch struct {
	key   canon.Name
	epoch uint64
}

type place struct {
	wallet, account canon.Name
	branch          uint64
}

func newIndex(spendsOf func(*charter.Charter, *canon.Reservation) []policy.Spend) *Index {
	return &Index{
		reservations: make(map[canon.Digest]*reservation), withdrawals: make(map[canon.Digest]*withdrawal),
		holders: make(map[string]canon.Digest), sessions: make(map[canon.Digest]*session), attempts: make(map[attempt]bool),
		tries: make(map[attempt]int), statements: approval.NewSet(), addresses: make(map[place]uint64), seen: make(map[place]uint64),
		nonces: make(map[string]uint64), confirmed: make(map[keyEpoch][]byte), spendsOf: spendsOf,
		noted: make(map[canon.Digest]*noted), freezes: approval.NewSet(),
		delayed: make(map[canon.Digest]delayed), waited: make(map[canon.Digest]canon.Time), spends: make(Spends),
		made: make(map[canon.Name]uint64),
	}
}

// HighestIndex returns the highest index of an address seen, or -1. After the ledger was opened again it may be the one before, by less than
// addressBlock: never one that was not seen, so that the gap to it stays what it is meant to be.
func (x *Index) HighestIndex(wallet, account canon.Name, branch uint64) int64 {
	p := place{wallet, account, branch}
	if i, ok := x.addresses[p]; ok {
		return int64(max(i, x.seen[p]))
	}
	return -1
}

// Uses reports whether anything was acked or held under the epoch of the key, or an address of one of the key's wallets was seen.
func (x *Index) Uses(key canon.Name, epoch uint64, wallets ...canon.Name) bool {
	for p := range x.addresses {
		if slices.Contains(wallets, p.wallet) {
			return true
		}
	}
	for _, e := range x.reservations {
		if e.document.Key == key && e.document.KeyEpoch == epoch {
			return true
		}
	}
	return false
}

// Confirmed returns the public key of the epoch that every holder said it has, or false.
func (x *Index) Confirmed(key canon.Name, epoch uint64) ([]byte, bool) {
	public, ok := x.confirmed[keyEpoch{key, epoch}]
	return slices.Clone(public), ok
}

// Intents returns the encodings of the intents of all withdrawals that something was reserved for, in no particular order and each once.
func (x *Index) Intents() [][]byte {
	var all [][]byte
	for _, w := range x.withdrawals {
		all = append(all, w.document)
	}
	return all
}

// Committed reports whether a session for the reservation went past the point of no return.
func (x *Index) Committed(rid canon.Digest) bool {
	for _, s := range x.sessions {
		if s.committed && canon.Digest(s.document.Reservation) == rid {
			return true
		}
	}
	return false
}

// Made returns how many signatures of this signer's token for the wallet were committed to, one for each input. As many at most may exist.
func (x *Index) Made(wallet canon.Name) uint64 { return x.made[wallet] }

// apply takes a record into the index. An error means that no ledger of ours could hold the record here.
func (x *Index) apply(r record) error {
	if err := x.applyPayload(r); err != nil {
		return fmt.Errorf("record %d: %w", x.length+1, err)
	}
	x.length++
	x.head = r.hash
	return nil
}

func (x *Index) applyPayload(r record) error {
	if (r.kind == kindOpen) != (x.length == 0) {
		return fmt.Errorf("%w: kind: expected the opening record first and only there, found kind %d", ErrDamaged, r.kind)
	}
	switch r.kind {
	case kindReservation, kindHold, kindSession, kindAddress, kindIntent: // not kindConfirmed: who knows a public key has promised nothing
		x.began = true
	}
	switch r.kind {
	case kindOpen:
		return x.applyOpen(r)
	case kindReservation:
		return x.applyReservation(r)
	case kindAnswer:
		return x.applyAnswer(r)
	case kindHold:
		return x.applyHold(r)
	case kindSession:
		return x.applySession(r)
	case kindCommitted:
		return x.applyCommitted(r)
	case kindStatement:
		return x.applyStatement(r)
	case kindAddress:
		return x.applyAddress(r)
	case kindConfirmed:
		return x.applyConfirmed(r)
	case kindProposal:
		return x.applyProposal(r)
	case kindEnacted:
		return x.applyEnacted(r)
	case kindHeld:
		return x.applyHeld(r)
	case kindJoined:
		return x.applyJoined(r)
	case kindBook:
		return x.applyBook(r)
	case kindIntent:
		return x.applyIntent(r)
	}
	return fmt.Errorf("%w: kind: expected 1 to %d, found %d", ErrDamaged, kindIntent, r.kind)
}

func (x *Index) applyOpen(r record) error {
	var v openRecord
	if err := decode(r.payload, &v); err != nil {
		return err
	}
	if v.Format != format {
		return fmt.Errorf("%w: format: expected %d, found %d", ErrDamaged, format, v.Format)
	}
	x.organisation, x.signer, x.incarnation = v.Organisation, v.Signer, v.Incarnation
	if x.genesis == nil {
		return nil
	}
	if err := x.follow(x.genesis); err != nil {
		return fmt.Errorf("genesis: %w", err)
	}
	return nil
}

func (x *Index) applyReservation(r record) error {
	var v reservationRecord
	if err := decode(r.payload, &v); err != nil {
		return err
	}
	var doc canon.Reservation
	if err := canon.Decode(v.Reservation, &doc); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	e := x.enter(canon.KindReservation.Digest(v.Reservation), &doc, v.Intent)
	if e.promised {
		return fmt.Errorf("%w: expected one record for each reservation, found a second", ErrDamaged)
	}
	e.promised, e.length, e.head = true, x.length+1, r.hash
	return nil
}

func (x *Index) applyAnswer(r record) error {
	var v answerRecord
	if err := decode(r.payload, &v); err != nil {
		return err
	}
	e := x.reservations[v.Reservation]
	if e == nil || !e.promised || e.answer != nil {
		return fmt.Errorf("%w: ack of %s: expected one after its reservation", ErrDamaged, v.Reservation)
	}
	e.answer = &v.Ack
	return nil
}

func (x *Index) applyHold(r record) error {
	var v holdRecord
	if err := decode(r.payload, &v); err != nil {
		return err
	}
	var certificate canon.Certificate
	if err := canon.Decode(v.Certificate, &certificate); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	var doc canon.Reservation
	if err := canon.Decode(certificate.Reservation, &doc); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	x.enter(canon.KindReservation.Digest(certificate.Reservation), &doc, v.Intent).certificate = v.Certificate
	return nil
}

// enter makes the reservation known: it fixes the withdrawal's intent and anchor if it is the first, holds its inputs and takes its
// charges.
func (x *Index) enter(rid canon.Digest, doc *canon.Reservation, intent []byte) *reservation {
	if e := x.reservations[rid]; e != nil {
		return e
	}
	e := &reservation{document: doc}
	x.reservations[rid] = e
	w := x.withdrawals[doc.Withdrawal]
	if w == nil {
		w = &withdrawal{intent: doc.Intent, document: intent, anchor: doc.Anchor, versions: make(map[uint64][]canon.Digest)}
		x.withdrawals[doc.Withdrawal] = w
		x.settle(doc.Withdrawal, doc.Intent)
	}
	w.count++
	if _, known := w.versions[doc.Version]; !known {
		w.versions[doc.Version] = doc.Transactions
	}
	for _, a := range append([]canon.Anchor{doc.Anchor}, doc.Inputs...) {
		if _, held := x.holders[anchorKey(a)]; !held {
			x.holders[anchorKey(a)] = doc.Withdrawal
		}
		if isAccount(a) {
			x.nonces[accountKey(a)] = max(x.nonces[accountKey(a)], a.Number)
		}
	}
	for _, s := range x.spendsOf(x.current(), doc) {
		x.spends.add(s)
	}
	return e
}

func (x *Index) applySession(r record) error {
	var v sessionRecord
	if err := decode(r.payload, &v); err != nil {
		return err
	}
	var doc canon.Session
	if err := canon.Decode(v.Session, &doc); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	a := attemptOf(doc)
	if x.attempts[a] {
		return fmt.Errorf("%w: attempt %d: expected a new one, found one that was used", ErrDamaged, doc.Attempt)
	}
	x.attempts[a] = true
	x.tries[a.subject()]++
	x.sessions[canon.KindSession.Digest(v.Session)] = &session{document: doc}
	return nil
}

func (x *Index) applyCommitted(r record) error {
	var v committedRecord
	if err := decode(r.payload, &v); err != nil {
		return err
	}
	s := x.sessions[v.Session]
	if s == nil || s.committed {
		return fmt.Errorf("%w: session %s: expected one that began and is not committed", ErrDamaged, v.Session)
	}
	s.committed = true
	if s.document.Protocol == canon.ProtocolDevice {
		if e := x.reservations[canon.Digest(s.document.Reservation)]; e != nil {
			x.made[s.document.Key] += uint64(len(e.document.Inputs))
		}
	}
	return nil
}

func (x *Index) applyAddress(r record) error {
	var v addressRecord
	if err := decode(r.payload, &v); err != nil {
		return err
	}
	p := place{v.Wallet, v.Account, v.Branch}
	if highest, ok := x.addresses[p]; !ok || v.Index > highest {
		x.addresses[p] = v.Index
	}
	return nil
}

func (x *Index) applyConfirmed(r record) error {
	var v confirmedRecord
	if err := decode(r.payload, &v); err != nil {
		return err
	}
	k := keyEpoch{v.Key, v.Epoch}
	if _, known := x.confirmed[k]; known || len(v.Public) != publicSize {
		return fmt.Errorf("%w: key %s: expected one public key of %d bytes, found %d bytes or a second", ErrDamaged, v.Key, publicSize, len(v.Public))
	}
	x.confirmed[k] = v.Public
	return nil
}

func attemptOf(s canon.Session) attempt {
	switch s.Protocol {
	case canon.ProtocolSign:
		return attempt{reservation: canon.Digest(s.Reservation), number: s.Attempt}
	case canon.ProtocolDevice:
		return attempt{reservation: canon.Digest(s.Reservation), key: s.Key, number: s.Attempt}
	}
	return attempt{key: s.Key, epoch: s.KeyEpoch, number: s.Attempt}
}

// subject is what the attempt is for; attempts themselves count from 1.
func (a attempt) subject() attempt {
	a.number = 0
	return a
}
