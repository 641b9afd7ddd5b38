package layout

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"

	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// documents are the byte fields that may reach a signer: encodings that it parses by itself, signatures over them, and protocol messages.
var documents = map[protoreflect.FullName]bool{
	"strongroom.v1.ReserveRequest.evidence":    true,
	"strongroom.v1.ReserveRequest.reservation": true,
	"strongroom.v1.SignRequest.evidence":       true,
	"strongroom.v1.SignRequest.certificate":    true,
	"strongroom.v1.CosignRequest.evidence":     true,
	"strongroom.v1.CosignRequest.certificate":  true,
	"strongroom.v1.Signed.document":            true,
	"strongroom.v1.Signed.signature":           true,
	"strongroom.v1.Frame.envelope":             true,
	"strongroom.v1.Frame.signature":            true,
	"strongroom.v1.Frame.payload":              true,
	// An entry of the charter's chain: amendment, approvals and statements of signers, each verified by itself.
	"strongroom.v1.SubmitCharterEntryRequest.entry": true,
}

// keys are byte fields that hold digests of officers' statements as keys of a set: a signer looks them up among the statements that it
// recorded, and compares its set with another's. They reach nothing that signs.
var keys = map[protoreflect.FullName]bool{
	"strongroom.v1.CompareStatementsRequest.set":      true,
	"strongroom.v1.CompareStatementsRequest.after":    true,
	"strongroom.v1.FetchStatementsRequest.statements": true,
	"strongroom.v1.ListStatementsRequest.page_token":  true,
}

// A method that took a digest could have anything signed.
func TestNoMethodOfASignerTakesADigest(t *testing.T) {
	methods := 0
	for _, file := range []protoreflect.FileDescriptor{strongroomv1.File_strongroom_v1_signer_proto, strongroomv1.File_strongroom_v1_charter_proto} {
		for i := range file.Services().Len() {
			all := file.Services().Get(i).Methods()
			for j := range all.Len() {
				methods++
				walk(t, all.Get(j).FullName(), all.Get(j).Input(), map[protoreflect.FullName]bool{})
			}
		}
	}
	if methods < 15 {
		t.Fatalf("expected the methods of a signer, found %d", methods)
	}
}

func walk(t *testing.T, method protoreflect.FullName, m protoreflect.MessageDescriptor, seen map[protoreflect.FullName]bool) {
	if seen[m.FullName()] {
		return
	}
	seen[m.FullName()] = true
	fields := m.Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		for _, word := range []string{"digest", "hash", "message", "preimage", "raw"} {
			if strings.Contains(string(f.Name()), word) {
				t.Errorf("%s takes %s", method, f.FullName())
			}
		}
		if f.Kind() == protoreflect.BytesKind && !documents[f.FullName()] && !keys[f.FullName()] {
			t.Errorf("%s takes the bytes %s, which are in no list of documents", method, f.FullName())
		}
		if f.Message() != nil {
			walk(t, method, f.Message(), seen)
		}
	}
}
