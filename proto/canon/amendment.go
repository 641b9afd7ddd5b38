package canon

import (
	"errors"
	"fmt"
)

// Amendment is a whole new charter that takes the place of the one in force. Officers approve its digest; it comes into force when an
// entry shows that they did and that a quorum of the signers held it for as long as it must wait.
type Amendment struct {
	Organisation Digest   `cbor:"1,keyasint"`
	Number       uint64   `cbor:"2,keyasint"`           // of the charter that it makes: the previous one's plus 1; the genesis has 1
	Previous     Digest   `cbor:"3,keyasint"`           // digest of the charter that it follows: the organisation's id for the genesis, else of the amendment
	NotBefore    Time     `cbor:"4,keyasint"`           // comes into force no earlier
	State        []byte   `cbor:"5,keyasint"`           // encoding of Genesis: the whole charter that comes into force; its salt stays
	Reason       Text     `cbor:"6,keyasint,omitempty"` // for people
	Heals        []Digest `cbor:"7,keyasint,omitempty"` // heal: the two amendments of one number that it ends, sorted
}

// KindAmendment is the type string of Amendment.
const KindAmendment = Kind("strongroom/amendment/v1")

// Kind implements Document.
func (Amendment) Kind() Kind { return KindAmendment }
func (Amendment) limit() int { return maxCharter + 64*kib }

// Check refuses numbers that only the genesis has, states of no size, and anything but none or two sorted digests to heal.
func (a Amendment) Check() error {
	if a.Number < 2 {
		return fmt.Errorf("number: expected from 2, found %d", a.Number)
	}
	if len(a.Heals) != 0 && len(a.Heals) != 2 {
		return fmt.Errorf("heals: expected none or 2, found %d", len(a.Heals))
	}
	if len(a.Heals) == 2 && string(a.Heals[0][:]) >= string(a.Heals[1][:]) {
		return errors.New("heals: expected sorted and distinct")
	}
	return sized("state", a.State, 1, maxCharter)
}

// Held is a signer's word that it held a proposed amendment, unvetoed, from one time to the other on its own clock.
type Held struct {
	Organisation Digest `cbor:"1,keyasint"`
	Signer       Name   `cbor:"2,keyasint"`
	Amendment    Digest `cbor:"3,keyasint"`
	Since        Time   `cbor:"4,keyasint"`
	Until        Time   `cbor:"5,keyasint"`
}

// KindHeld is the type string of Held.
const KindHeld = Kind("strongroom/held/v1")

// Kind implements Document.
func (Held) Kind() Kind { return KindHeld }
func (Held) limit() int { return kib }

// Check refuses times that run backwards.
func (h Held) Check() error {
	if h.Until < h.Since {
		return fmt.Errorf("until: expected at or after since %d, found %d", h.Since, h.Until)
	}
	return nil
}

// Head is a signer's word on which charter is in force.
type Head struct {
	Organisation Digest `cbor:"1,keyasint"`
	Signer       Name   `cbor:"2,keyasint"`
	Number       uint64 `cbor:"3,keyasint"`
	Charter      Digest `cbor:"4,keyasint"`
	Time         Time   `cbor:"5,keyasint"` // on the signer's own clock
}

// KindHead is the type string of Head.
const KindHead = Kind("strongroom/head/v1")

// Kind implements Document.
func (Head) Kind() Kind { return KindHead }
func (Head) limit() int { return kib }

// Check refuses number 0, which no charter has.
func (h Head) Check() error {
	if h.Number == 0 {
		return errors.New("number: expected from 1, found 0")
	}
	return nil
}

// Step is what an entry of the charter's chain does with its amendment.
type Step uint8

// Steps. Only StepEnact and StepHeal change the charter in force.
const (
	StepPropose Step = 1
	StepEnact   Step = 2
	StepHeal    Step = 3
)

// CharterEntry is an amendment with what speaks for it. Nobody signs the entry: each part speaks for itself.
type CharterEntry struct {
	Organisation Digest   `cbor:"1,keyasint"`
	Step         Step     `cbor:"2,keyasint"`
	Amendment    []byte   `cbor:"3,keyasint"`           // encoding of Amendment
	Approvals    []Signed `cbor:"4,keyasint"`           // of Approval, by officers, or all by recovery keys
	Held         []Signed `cbor:"5,keyasint,omitempty"` // of Held, by signers of the roster that the amendment follows
}

// KindCharterEntry is the type string of CharterEntry.
const KindCharterEntry = Kind("strongroom/charter-entry/v1")

// Kind implements Document.
func (CharterEntry) Kind() Kind { return KindCharterEntry }
func (CharterEntry) limit() int { return maxCharter + mib }

// Check refuses unknown steps, and statements of signers on a proposal.
func (e CharterEntry) Check() error {
	if e.Step == StepPropose && len(e.Held) != 0 {
		return fmt.Errorf("held: expected none in a proposal, found %d", len(e.Held))
	}
	if err := sized("amendment", e.Amendment, 1, maxCharter+64*kib); err != nil {
		return err
	}
	return oneOf("step", e.Step, StepHeal)
}
