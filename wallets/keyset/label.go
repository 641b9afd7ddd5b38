package keyset

import (
	"fmt"

	"github.com/strongroom/strongroom/proto/canon"
)

// Label is the CKA_LABEL under which a device's token keeps the key of an address, at most 140 characters. It does not depend on the pool, so that a
// larger one can list the same keys.
func Label(wallet, account canon.Name, branch, index uint64) string {
	return fmt.Sprintf("%s/%s/%d/%d", wallet, account, branch, index)
}

// AttestationLabel is the CKA_LABEL of a device's attestation key.
func AttestationLabel(wallet canon.Name) string { return string(wallet) + "/attestation" }
