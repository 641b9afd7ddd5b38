package coordinator

import (
	"context"
	"fmt"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/strongroom/strongroom/internal/coordinator/store"
	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// bookAPI is BookService and BookEntryService. Nobody takes the coordinator's word for anything here: updates carry their approvals, and
// entries must give the roots that signers name.
type bookAPI struct {
	strongroomv1.UnimplementedBookServiceServer
	strongroomv1.UnimplementedBookEntryServiceServer
	*Service
}

// GetBook implements the service: the versions whose entries are here, and when they were stored.
func (a *bookAPI) GetBook(context.Context, *strongroomv1.GetBookRequest) (*strongroomv1.GetBookResponse, error) {
	versions := a.Books.all()
	newest, payable := versions.Newest(), versions.Payable(a.now(), a.cooldown())
	out := &strongroomv1.GetBookResponse{}
	for _, v := range append(slices.Clone(newest), payable...) {
		if slices.ContainsFunc(out.Versions, func(o *strongroomv1.BookVersion) bool { return o.Serial == v.Serial && canon.Digest(o.Root) == v.Hash }) {
			continue
		}
		shown := &strongroomv1.BookVersion{Serial: v.Serial, Size: v.Size, Root: v.Hash[:], Update: v.Update,
			Newest: slices.Contains(newest, v), Payable: slices.Contains(payable, v)}
		if v.Update != nil {
			shown.FirstSeenTime, shown.PayableTime = timestamppb.New(v.Seen.At()), timestamppb.New(v.PayableAt(a.cooldown()).At())
		}
		out.Versions = append(out.Versions, shown)
	}
	return out, nil
}

// SubmitBookUpdate implements the service: it passes the approvals of a version whose entries are here on to every signer. Without the
// entries a version is of no use: nobody could be paid.
func (a *bookAPI) SubmitBookUpdate(ctx context.Context, r *strongroomv1.SubmitBookUpdateRequest) (*strongroomv1.SubmitBookUpdateResponse, error) {
	var u canon.BookUpdate
	var root canon.BookRoot
	err := canon.Decode(r.GetUpdate(), &u)
	if err == nil {
		err = canon.Decode(u.Root, &root)
	}
	if err != nil {
		return nil, invalid(refusal.New("book", "update", "a canonical document", err.Error()))
	}
	if org := a.organisation(); u.Organisation != org || root.Organisation != org {
		return nil, invalid(refusal.New("organisation", "update.organisation", org.String(), u.Organisation.String()))
	}
	if !a.Books.holds(book.Root{Serial: root.Serial, Size: root.Size, Hash: root.Root}) {
		return nil, invalid(refusal.New("book", "update.root", "a version whose entries are here: send the change that makes it (SubmitBookChange)",
			fmt.Sprintf("version %d, root %s", root.Serial, root.Root)))
	}
	recorded, said := a.handOut(ctx, r.GetUpdate())
	a.learnBooks(ctx)
	if len(recorded) == 0 {
		return nil, untaken(said.err())
	}
	newest := a.Books.all().Newest()[0]
	return &strongroomv1.SubmitBookUpdateResponse{Serial: newest.Serial, Root: newest.Hash[:]}, nil
}

// SubmitBookChange implements the service. The change is on the disk before a signer hears of its version; the same again hands it out again.
func (a *bookAPI) SubmitBookChange(ctx context.Context, r *strongroomv1.SubmitBookChangeRequest) (*strongroomv1.SubmitBookChangeResponse, error) {
	var c canon.BookChange
	if err := canon.Decode(r.GetChange(), &c); err != nil {
		return nil, invalid(refusal.New("book", "change", "a canonical book change", err.Error()))
	}
	if c.Organisation != a.organisation() {
		return nil, invalid(refusal.New("organisation", "change.organisation", a.organisation().String(), c.Organisation.String()))
	}
	v, err := a.recordBook(ctx, r.GetChange(), c)
	if err != nil {
		return nil, invalid(err)
	}
	recorded, said := a.handOut(ctx, c.Update)
	a.learnBooks(ctx)
	return &strongroomv1.SubmitBookChangeResponse{Serial: v.Serial, RecordedBy: recorded, Refusals: said.said()}, nil
}

// recordBook verifies a change and stores it. One that is known is left as it is.
func (s *Service) recordBook(ctx context.Context, change []byte, c canon.BookChange) (*book.Version, error) {
	s.Books.recording.Lock()
	defer s.Books.recording.Unlock()
	v, fresh, err := s.reviewBook(change, c.Update)
	if err != nil || !fresh {
		return v, err
	}
	base, err := s.Books.base(ctx, v)
	if err != nil {
		return nil, err
	}
	fits := fmt.Sprintf("one that leads from the book of root %s to version %d, root %s: that difference, as one change", base.Root(), v.Serial, v.Hash)
	tree, err := base.Apply(c.Remove, c.Add)
	if err != nil {
		return nil, refusal.New("book", "change", fits, err.Error())
	}
	if tree.Root() != v.Hash || tree.Size() != v.Size {
		return nil, refusal.New("book", "change", fmt.Sprintf("%s of %d entries", fits, v.Size), fmt.Sprintf("one to root %s of %d entries", tree.Root(), tree.Size()))
	}
	if err := s.Books.record(ctx, change, v, tree, s.Now()); err != nil {
		return nil, err
	}
	s.Log.Info("address book", "serial", v.Serial, "root", v.Hash.String(), "entries", v.Size)
	s.reached(store.EventBook)
	return v, nil
}

// reviewBook holds an update against the charter in force. A version that f+1 signers name was approved when they recorded it, whatever
// has become of its approvals since, and whatever versions before it or after it are here: that brings back what a database lost, with one
// change from what it still has.
func (s *Service) reviewBook(change, update []byte) (*book.Version, bool, error) {
	versions := s.Books.all()
	v, fresh, err := versions.Review(s.charter(), update, s.now(), s.revocations)
	if err == nil {
		return v, fresh, nil
	}
	lost, unreadable := readVersion(change)
	if unreadable != nil || lost.Document.Organisation != s.organisation() || s.Books.holds(lost.Root) || !s.believed(lost.Root) {
		return nil, false, s.instead(err)
	}
	return lost, true, nil
}

// believed reports whether more signers ask for a version than may lie.
func (s *Service) believed(r book.Root) bool {
	return s.Books.namedBy(s.roster(), r) > int(s.charter().Genesis().Roster.Faults)
}

// instead adds to a refusal of a change which one is wanted, if the signers ask for a version whose entries are not here.
func (s *Service) instead(err error) error {
	r := refusal.Of(err)
	if r == nil {
		return err
	}
	here := s.Books.all().Newest()[0]
	for _, name := range s.roster() {
		a := s.Books.lastSaid(name)
		if a == nil {
			continue
		}
		for _, n := range a.newest {
			if s.Books.has(n.Hash) || !s.believed(n.Root) {
				continue
			}
			wanted := refusal.Failure{Rule: "book", Field: "change", Found: "one to another version",
				Expected: fmt.Sprintf("the difference from version %d, root %s, which is here, to version %d, root %s, which signers ask for, as one change with that version's update",
					here.Serial, here.Hash, n.Serial, n.Hash)}
			return &refusal.Refusal{Failures: append(slices.Clone(r.Failures), wanted)}
		}
	}
	return err
}

// namedBy counts the signers that ask for a version.
func (b *Books) namedBy(signers []canon.Name, r book.Root) int {
	b.mu.RLock()
	defer b.mu.RUnlock()
	n := 0
	for _, name := range signers {
		if a := b.asked[name]; a != nil && slices.Contains(a.roots(), r) {
			n++
		}
	}
	return n
}

// maxEntries is the size of the largest page of entries.
const maxEntries = 4096

// ListBookEntries implements the service, for versions in which addresses must be proven now.
func (a *bookAPI) ListBookEntries(_ context.Context, r *strongroomv1.ListBookEntriesRequest) (*strongroomv1.ListBookEntriesResponse, error) {
	if len(r.GetRoot()) != len(canon.Digest{}) {
		return nil, status.Errorf(codes.InvalidArgument, "root: expected 32 bytes, found %d", len(r.GetRoot()))
	}
	if r.GetPageSize() > maxEntries {
		return nil, status.Errorf(codes.InvalidArgument, "page_size: expected at most %d, found %d", maxEntries, r.GetPageSize())
	}
	root := canon.Digest(r.GetRoot())
	tree := a.Books.tree(root)
	if tree == nil {
		return nil, status.Errorf(codes.NotFound, "address book of root %s: expected a version that signers ask for now and whose entries are here, found another", root)
	}
	query := "book " + root.String()
	at, err := store.ParsePageToken(query, r.GetPageToken())
	if err != nil || at > tree.Size() {
		return nil, coded(store.ErrPageToken)
	}
	size, room := uint64(r.GetPageSize()), roomInMessage
	if size == 0 {
		size = maxEntries
	}
	out := &strongroomv1.ListBookEntriesResponse{TotalSize: tree.Size()}
	for ; at < tree.Size() && uint64(len(out.Entries)) < size && room > 0; at++ {
		e := tree.Encoded(at)
		out.Entries = append(out.Entries, e)
		room -= len(e)
	}
	if at < tree.Size() {
		out.NextPageToken = store.PageToken(query, at)
	}
	return out, nil
}
