package guard

import (
	"errors"

	"github.com/strongroom/strongroom/proto/canon"
)

// Check decides on the encoding of canon.Evidence. The error is a *refusal.Refusal with every check that failed.
func Check(evidence []byte, v View) (*Signable, error) {
	return nil, errors.New("guard: nothing is signable")
}

// CheckReservation compares the encoding of canon.Reservation with what the guard worked out, field by field; stamp and until are held
// against the view's clock, the charter's clock skew and the rule's signing time. The error is a *refusal.Refusal.
func (s *Signable) CheckReservation(r canon.Reservation, v View) error {
	return errors.New("guard: nothing is signable")
}

// CheckCertificate verifies the encoding of canon.Certificate: q acks of distinct roster members over one reservation. It returns the
// reservation, its rid and the signers. The error is a *refusal.Refusal.
func CheckCertificate(certificate []byte, v View) (*canon.Reservation, canon.Digest, []canon.Name, error) {
	return nil, canon.Digest{}, nil, errors.New("guard: nothing is signable")
}
