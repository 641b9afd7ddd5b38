package approval

import (
	"bytes"
	"fmt"

	"golang.org/x/crypto/ssh"

	"github.com/strongroom/strongroom/proto/canon"
)

// NamespaceCeremony is the namespace of attendants' signatures of a key ceremony's transcript.
const NamespaceCeremony = "strongroom-ceremony@v1"

// VerifyAttendant verifies the signature, in binary form, of an attendant whose public key (SSH wire format) the transcript names. It takes the
// transcript's encoding as it was received. The error says what was found.
func VerifyAttendant(transcript, public, signature []byte) error {
	sig, err := parseSignature(signature)
	if err != nil {
		return err
	}
	if !bytes.Equal(sig.wire, public) {
		return fmt.Errorf("expected a signature by the attendant's key, found one by %s", ssh.FingerprintSHA256(sig.key))
	}
	return sig.verify(NamespaceCeremony, canon.KindTranscript.Message(transcript))
}
