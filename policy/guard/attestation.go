package guard

import (
	"fmt"
	"slices"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/wallets/keyset"
)

// ruleAttestation is what refusals of devices' attestations name.
const ruleAttestation = "attestation"

// NeedsAttestations returns how many devices must attest before the MPC key may sign for a wallet: 0 where devices sign themselves or there are none.
// What the devices of a cosign wallet do on a chain of another kind than EVM the chain itself asks for.
func (s *Signable) NeedsAttestations() int {
	if len(s.signing) == 0 || s.wallet.Scheme != canon.SchemeCosign || len(s.signing[0].Devices) > 0 {
		return 0
	}
	return s.signing[0].Needed
}

// CheckAttestations asks whether as many of the wallet's devices attest to this transaction under this very reservation as must; for wallets whose
// devices do not attest there must be none. One bad attestation refuses the whole. It reads the view's charter only: an attestation given under an
// earlier one does not count. The error is a *refusal.Refusal.
func (s *Signable) CheckAttestations(attestations []canon.Signed, rid canon.Digest, v View) error {
	var l refusal.List
	needed := s.NeedsAttestations()
	if most := len(s.wallet.Devices); needed > 0 && len(attestations) > most {
		return refusal.New(ruleAttestation, "attestations", fmt.Sprintf("at most %d, one of each device of wallet %s", most, s.wallet.Name), fmt.Sprint(len(attestations)))
	}
	if needed == 0 {
		if len(attestations) > 0 {
			l.Add(ruleAttestation, "attestations", "none: the devices of wallet "+string(s.wallet.Name)+" do not attest", fmt.Sprint(len(attestations)))
		}
		return l.Err()
	}
	var devices []canon.Name
	for i, signed := range attestations {
		field := fmt.Sprintf("attestations[%d]", i)
		device, err := checkAttestation(field, signed, s.wallet, rid, s.transaction, v)
		if err != nil {
			l.Join(ruleAttestation, field, err)
			continue
		}
		if slices.Contains(devices, device) {
			l.Add(ruleAttestation, field+".signer", "distinct devices", string(device)+" twice")
			continue
		}
		devices = append(devices, device)
	}
	if len(devices) < needed {
		l.Add(ruleAttestation, "attestations", fmt.Sprintf("valid ones of %d distinct devices of wallet %s", needed, s.wallet.Name), fmt.Sprintf("%d: %v", len(devices), devices))
	}
	return l.Err()
}

// CheckAttestation verifies one attestation and returns the device of the wallet that gave it. It reads the view's charter only, which must be the one
// in force when the attestation was given. The error is a *refusal.Refusal.
func CheckAttestation(signed canon.Signed, wallet canon.Wallet, rid, transaction canon.Digest, v View) (canon.Name, error) {
	return checkAttestation("attestation", signed, wallet, rid, transaction, v)
}

// checkAttestation is CheckAttestation with what refusals call the attestation.
func checkAttestation(field string, signed canon.Signed, wallet canon.Wallet, rid, transaction canon.Digest, v View) (canon.Name, error) {
	var a canon.Attestation
	if err := canon.Decode(signed.Document, &a); err != nil {
		return "", refusal.New("encoding", field, "a canonical document", err.Error())
	}
	at := slices.IndexFunc(wallet.Devices, func(d canon.Device) bool { return d.Signer == a.Signer })
	if at < 0 {
		return "", refusal.New(ruleAttestation, field+".signer", "a device of wallet "+string(wallet.Name), string(a.Signer))
	}
	var l refusal.List
	compare := func(name string, want, found fmt.Stringer) {
		if want != found {
			l.Add(ruleAttestation, field+"."+name, fmt.Sprintf("%s, from %s", want, a.Signer), found.String())
		}
	}
	compare("organisation", v.Charter.Organisation(), a.Organisation)
	compare("reservation", rid, a.Reservation)
	compare("transaction", transaction, a.Transaction)
	compare("charter", v.Charter.Digest(), a.Charter)
	if a.Wallet != wallet.Name {
		l.Add(ruleAttestation, field+".wallet", fmt.Sprintf("%s, from %s", wallet.Name, a.Signer), string(a.Wallet))
	}
	key := wallet.Devices[at].Attestation
	if signed.Scheme != canon.ECDSA {
		l.Add(ruleAttestation, field+".scheme", fmt.Sprintf("%d, ECDSA, from %s", canon.ECDSA, a.Signer), fmt.Sprint(signed.Scheme))
	} else if err := keyset.Verify(key, canon.KindAttestation.Digest(signed.Document), signed.Signature); err != nil {
		l.Add(ruleAttestation, field+".signature", fmt.Sprintf("one by the attestation key %x of %s", key, a.Signer), err.Error())
	}
	return a.Signer, l.Err()
}
