//go:build chains

package e2e

import (
	"bytes"
	"context"
	"encoding/binary"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/strongroom/strongroom/internal/devnet/hostile"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/proto/rpc"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// forms returns the document's content in forms that are not the one encoding, and bytes that are no document.
func forms(t *testing.T, document []byte) map[string][]byte {
	t.Helper()
	var pairs map[uint64]cbor.RawMessage
	if err := cbor.Unmarshal(document, &pairs); err != nil {
		t.Fatal(err)
	}
	keys := slices.Sorted(maps.Keys(pairs))
	if len(keys) < 2 || keys[len(keys)-1] > 0xfe {
		t.Fatalf("expected a map of at least 2 pairs with small keys, found keys %v", keys)
	}
	head := func(major byte, n int) []byte {
		if n < 24 {
			return []byte{major | byte(n)}
		}
		return []byte{major | 24, byte(n)}
	}
	body := func(keys []uint64, value func(uint64) []byte) []byte {
		var b []byte
		for _, k := range keys {
			b = append(append(b, head(0, int(k))...), value(k)...)
		}
		return b
	}
	join := func(count int, keys []uint64, value func(uint64) []byte) []byte {
		return append(head(0xa0, count), body(keys, value)...)
	}
	beyond := []byte{0x18, 0xff} // a key that no document has
	own := func(k uint64) []byte { return pairs[k] }
	first := func(instead []byte) []byte {
		return join(len(keys), keys, func(k uint64) []byte {
			if k == keys[0] {
				return instead
			}
			return pairs[k]
		})
	}
	reversed := slices.Clone(keys)
	slices.Reverse(reversed)
	last := keys[len(keys)-1]
	const deep = 20_000
	return map[string][]byte{
		"key twice":                   join(len(keys)+1, append([]uint64{keys[0]}, keys...), own),
		"keys not in order":           join(len(keys), reversed, own),
		"long key":                    append(append(head(0xa0, len(keys)), 0x18, byte(keys[0])), body(keys, own)[1:]...),
		"long count":                  append([]byte{0xb9, 0, byte(len(keys))}, body(keys, own)...),
		"indefinite length":           append(append([]byte{0xbf}, body(keys, own)...), 0xff),
		"bytes after the end":         append(bytes.Clone(document), 0),
		"cut":                         document[:len(document)-1],
		"unknown key":                 append(append(join(len(keys)+1, keys, own), beyond...), 0),
		"null for a field":            append(append(join(len(keys)+1, keys, own), beyond...), 0xf6),
		"tag":                         append([]byte{0xd9, 0xd9, 0xf7}, document...),
		"tagged field":                first(append([]byte{0xc1}, pairs[keys[0]]...)),
		"float for a field":           first([]byte{0xfb, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0}),
		"not a number for a field":    first([]byte{0xf9, 0x7e, 0}),
		"indefinite bytes in a field": first(append(append([]byte{0x5f}, pairs[keys[0]]...), 0xff)),
		"field left out":              join(len(keys)-1, keys[1:], own),
		"last key beyond":             append(append(join(len(keys), keys[:len(keys)-1], own), beyond...), pairs[last]...),
		"nested arrays":               bytes.Repeat([]byte{0x81}, deep),
		"nested arrays, closed":       append(bytes.Repeat([]byte{0x81}, deep), 0),
		"nested maps":                 bytes.Repeat([]byte{0xa1, 0x01}, deep),
		"nested arrays in a field":    first(append(bytes.Repeat([]byte{0x81}, deep), 0)),
		"nested tags":                 bytes.Repeat([]byte{0xc1}, deep),
		"bytes without end":           append([]byte{0x5b}, binary.BigEndian.AppendUint64(nil, 1<<62)...),
		"array without end":           append([]byte{0x9b}, binary.BigEndian.AppendUint64(nil, 1<<62)...),
		"map without end":             append([]byte{0xbb}, binary.BigEndian.AppendUint64(nil, 1<<62)...),
		"text":                        append([]byte{0x78, byte(len("a document"))}, "a document"...),
		"one byte":                    {0xa0},
		"nothing":                     nil,
	}
}

// slot is a place of a request where a document belongs.
type slot struct {
	name     string
	field    string // rule and field that refusals name; empty for none but a status
	document []byte // that belongs there
	call     func(ctx context.Context, signer canon.Name, document []byte) error
}

// malformed: every document that a method takes, and every document within one, in every form but its own.
func (w *world) malformed() {
	nothing := w.unsigned(w.names...)
	p := must(w.paper(large, "alice", "bob"))(w.T)
	slots := append(w.evidenceSlots(p), w.certificateSlots(must(w.paper(large, "alice", "bob"))(w.T))...)
	slots = append(slots, w.charterSlots()...)
	slots = append(append(slots, w.bookSlots()...), w.peerSlots()...)
	w.bounded(w.names[0], func() {
		for _, s := range slots {
			for form, document := range forms(w.T, s.document) {
				if document == nil && strings.Contains(s.name, " within ") {
					continue // what is around it could not be encoded
				}
				ctx, cancel := context.WithTimeout(w.Context(), patience)
				err := s.call(ctx, w.names[0], document)
				cancel()
				r := refusal.Of(rpc.FromStatus(err))
				named := r != nil && slices.ContainsFunc(r.Failures, func(f refusal.Failure) bool { return strings.HasPrefix(f.Rule+" "+f.Field, s.field) })
				if !named && !(s.field == "" && status.Code(err) == codes.InvalidArgument) {
					w.Errorf("%s: %s: expected a refusal by %q, found %v", s.name, form, s.field, err)
				}
			}
		}
	})
	nothing()
	w.stays()
	w.pays(p)
}

// fields of evidence that hold documents.
func (w *world) evidenceSlots(p *hostile.Paper) []slot {
	w.Helper()
	q := must(w.build.Question(p))(w.T)
	var e canon.Evidence
	var i canon.Intent
	if err := canon.Decode(q.Evidence, &e); err != nil {
		w.Fatal(err)
	}
	if err := canon.Decode(e.Intent, &i); err != nil {
		w.Fatal(err)
	}
	reserve := func(ctx context.Context, signer canon.Name, evidence, reservation []byte) error {
		_, err := w.signers[signer].Reserve(ctx, &pb.ReserveRequest{Evidence: evidence, Reservation: reservation})
		return err
	}
	within := func(change func(*canon.Evidence, []byte)) func(context.Context, canon.Name, []byte) error {
		return func(ctx context.Context, signer canon.Name, document []byte) error {
			altered := e
			altered.Approvals = slices.Clone(e.Approvals)
			change(&altered, document)
			return reserve(ctx, signer, must(canon.Encode(altered))(w.T), q.Reservation)
		}
	}
	return []slot{
		{"evidence", "encoding evidence", q.Evidence, func(ctx context.Context, s canon.Name, b []byte) error { return reserve(ctx, s, b, q.Reservation) }},
		{"reservation", "encoding reservation", q.Reservation, func(ctx context.Context, s canon.Name, b []byte) error { return reserve(ctx, s, q.Evidence, b) }},
		{"intent within evidence", "encoding intent", e.Intent, within(func(e *canon.Evidence, b []byte) { e.Intent = b })},
		{"request within an intent", "request document", i.Request.Document, within(func(e *canon.Evidence, b []byte) {
			altered := i
			altered.Request.Document = b
			e.Intent = must(canon.Encode(altered))(w.T)
		})},
		{"approval within evidence", "approval approvals[1].document", e.Approvals[1].Document, within(func(e *canon.Evidence, b []byte) { e.Approvals[1].Document = b })},
		{"statement within evidence", "statement statements[0].document", w.say("carol", canon.StateReject, canon.Digest{1}).Document, within(func(e *canon.Evidence, b []byte) {
			e.Statements = []canon.Signed{{Document: b, Scheme: canon.Ed25519, Signature: make([]byte, 64)}}
		})},
	}
}

func (w *world) certificateSlots(p *hostile.Paper) []slot {
	w.Helper()
	evidence, certificate := w.certified(p)
	var c canon.Certificate
	if err := canon.Decode(certificate, &c); err != nil {
		w.Fatal(err)
	}
	sign := func(ctx context.Context, signer canon.Name, evidence, certificate []byte) error {
		_, err := w.signers[signer].Sign(ctx, &pb.SignRequest{Evidence: evidence, Certificate: certificate, Participants: texts(w.names[:2]), Attempt: 9})
		return err
	}
	within := func(change func(*canon.Certificate, []byte)) func(context.Context, canon.Name, []byte) error {
		return func(ctx context.Context, signer canon.Name, document []byte) error {
			altered := c
			altered.Acks = slices.Clone(c.Acks)
			change(&altered, document)
			return sign(ctx, signer, evidence, must(canon.Encode(altered))(w.T))
		}
	}
	return []slot{
		{"certificate", "encoding certificate", certificate, func(ctx context.Context, s canon.Name, b []byte) error { return sign(ctx, s, evidence, b) }},
		{"evidence to sign", "encoding evidence", evidence, func(ctx context.Context, s canon.Name, b []byte) error { return sign(ctx, s, b, certificate) }},
		{"reservation within a certificate", "encoding certificate.reservation", c.Reservation, within(func(c *canon.Certificate, b []byte) { c.Reservation = b })},
		{"ack within a certificate", "encoding certificate.acks[1]", c.Acks[1].Document, within(func(c *canon.Certificate, b []byte) { c.Acks[1].Document = b })},
	}
}

func (w *world) charterSlots() []slot {
	w.Helper()
	e := w.proposed(w.amend(limit("eth-day", 1, 18)), "alice", "bob")
	var a canon.Amendment
	if err := canon.Decode(e.Amendment, &a); err != nil {
		w.Fatal(err)
	}
	submit := func(ctx context.Context, signer canon.Name, entry []byte) error {
		_, err := w.charter[signer].SubmitCharterEntry(ctx, &pb.SubmitCharterEntryRequest{Entry: entry})
		return err
	}
	within := func(change func(*canon.CharterEntry, []byte)) func(context.Context, canon.Name, []byte) error {
		return func(ctx context.Context, signer canon.Name, document []byte) error {
			altered := *e
			altered.Approvals = slices.Clone(e.Approvals)
			change(&altered, document)
			return submit(ctx, signer, must(canon.Encode(altered))(w.T))
		}
	}
	return []slot{
		{"charter entry", "entry document", must(canon.Encode(*e))(w.T), submit},
		{"amendment within an entry", "amendment document", e.Amendment, within(func(e *canon.CharterEntry, b []byte) { e.Amendment = b })},
		{"charter within an amendment", "amendment amendment.state", a.State, within(func(e *canon.CharterEntry, b []byte) {
			altered := a
			altered.State = b
			*e = *w.proposed(&altered, "alice", "bob")
		})},
		{"approval within an entry", "approval approvals[1].document", e.Approvals[1].Document, within(func(e *canon.CharterEntry, b []byte) { e.Approvals[1].Document = b })},
		{"statement", "statement document", w.say("carol", canon.StateReject, canon.Digest{2}).Document, func(ctx context.Context, s canon.Name, b []byte) error {
			_, err := w.devices["carol"][s].SubmitSignerStatement(ctx, &pb.SubmitSignerStatementRequest{
				Statement: &pb.Signed{Document: b, Scheme: uint32(canon.Ed25519), Signature: make([]byte, 64)}})
			return err
		}},
	}
}

func (w *world) bookSlots() []slot {
	w.Helper()
	client := pb.NewBookServiceClient(w.dial(w.names[0], w.d.CoordinatorKey()))
	now := w.chain.Current().Genesis().Book
	root := must(canon.Encode(canon.BookRoot{Organisation: w.chain.Current().Organisation(), Serial: now.Serial + 1, Previous: now.Root, Size: 1, Root: canon.Digest{5}}))(w.T)
	update := func(root []byte) canon.BookUpdate {
		u := canon.BookUpdate{Organisation: w.chain.Current().Organisation(), Root: root}
		for _, officer := range []canon.Name{"alice", "bob"} {
			u.Approvals = append(u.Approvals, must(w.approval(w.build.Officers[officer], officer, canon.ObjectBookRoot, canon.KindBookRoot.Digest(root),
				canon.TimeOf(time.Now())+1200))(w.T))
		}
		return u
	}
	submit := func(ctx context.Context, _ canon.Name, update []byte) error {
		_, err := client.SubmitBookUpdate(ctx, &pb.SubmitBookUpdateRequest{Update: update})
		return err
	}
	return []slot{
		{"update of the book", "book update", must(canon.Encode(update(root)))(w.T), submit},
		{"root within an update", "book update.root", root, func(ctx context.Context, s canon.Name, b []byte) error {
			return submit(ctx, s, must(canon.Encode(update(b[:min(len(b), 1024)])))(w.T)) // no update has more room
		}},
		// What is no approval is passed over there, and what is left is no quorum.
		{"approval within an update", "approvals update.approvals", update(root).Approvals[1].Document, func(ctx context.Context, s canon.Name, b []byte) error {
			altered := update(root)
			altered.Approvals[1].Document = b
			return submit(ctx, s, must(canon.Encode(altered))(w.T))
		}},
	}
}

func (w *world) peerSlots() []slot {
	w.Helper()
	peer := pb.NewPeerServiceClient(w.asSigner(w.names[3], w.names[0]))
	envelope := must(canon.Encode(canon.Envelope{Organisation: w.chain.Current().Organisation(), Session: canon.Digest{3}, Round: 1, Type: "sign/1/mta",
		Sender: w.names[3], Receiver: w.names[0]}))(w.T)
	return []slot{
		{"statement of a peer", "statement statements[0].document", w.say("carol", canon.StateReject, canon.Digest{4}).Document, func(ctx context.Context, _ canon.Name, b []byte) error {
			_, err := peer.ShareStatements(ctx, &pb.ShareStatementsRequest{Statements: []*pb.Signed{{Document: b, Scheme: uint32(canon.Ed25519), Signature: make([]byte, 64)}}})
			return err
		}},
		{"envelope", "", envelope, func(ctx context.Context, _ canon.Name, b []byte) error {
			stream, err := peer.Deliver(ctx)
			if err != nil {
				return err
			}
			// What Send says about a call that the other side ended, CloseAndRecv says better.
			_ = stream.Send(&pb.Frame{Envelope: b, Signature: make([]byte, 64)})
			_, err = stream.CloseAndRecv()
			return err
		}},
	}
}

// asSigner connects to a signer with another signer's identity, which is in that one's token.
func (w *world) asSigner(self, signer canon.Name) *grpc.ClientConn {
	w.Helper()
	token, done, err := w.d.OpenToken(w.Context(), w.d.Node(string(self)))
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() {
		if err := done(); err != nil {
			w.Error(err)
		}
	})
	identity := must(token.Identity(w.Context(), "strongroom-identity"))(w.T)
	return w.connect(signer, must(rpc.Certificate(identity))(w.T))
}
