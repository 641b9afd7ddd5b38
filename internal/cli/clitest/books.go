package clitest

import (
	"bytes"
	"context"
	"strconv"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/proto/rpc"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// Books are the versions of the address book that a server knows. It decides by package book alone, under the charter that its
// Amendments follow.
type Books struct {
	pb.UnimplementedBookServiceServer

	// Now is its clock; nil for the real one.
	Now func() time.Time
	// Spoil may change what GetBook answers.
	Spoil func(*pb.GetBookResponse)

	mu         sync.Mutex
	signer     string
	amendments *Amendments
	versions   *book.Versions
}

// begin shelves the genesis's own version.
func (b *Books) begin(a *Amendments, signer string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.versions == nil {
		first, _ := a.Chain().Charter(1)
		b.signer, b.amendments, b.versions = signer, a, book.Begin(first)
	}
}

func (b *Books) now() canon.Time {
	if b.Now == nil {
		return canon.TimeOf(time.Now())
	}
	return canon.TimeOf(b.Now())
}

// Versions returns the versions as they are.
func (b *Books) Versions() *book.Versions {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.versions
}

// record takes an update as a signer does.
func (b *Books) record(update []byte) (*book.Version, error) {
	b.amendments.mu.Lock()
	defer b.amendments.mu.Unlock()
	n, fresh, err := b.versions.Review(b.amendments.chain.Current(), update, b.now(), b.amendments.set)
	if err != nil {
		return nil, err
	}
	if fresh {
		b.versions = b.versions.With(n, b.now())
	}
	return b.versions.Newest()[0], nil
}

// SubmitBookUpdate implements pb.BookServiceServer.
func (b *Books) SubmitBookUpdate(_ context.Context, r *pb.SubmitBookUpdateRequest) (*pb.SubmitBookUpdateResponse, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	newest, err := b.record(r.GetUpdate())
	if err != nil {
		return nil, rpc.ToStatus(err)
	}
	return &pb.SubmitBookUpdateResponse{Serial: newest.Serial, Root: newest.Hash[:], RecordedBy: b.signer}, nil
}

// GetBook implements pb.BookServiceServer.
func (b *Books) GetBook(context.Context, *pb.GetBookRequest) (*pb.GetBookResponse, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	cooldown := b.amendments.Chain().Current().Genesis().Delays.BookCooldown
	reply := &pb.GetBookResponse{}
	known := map[book.Root]*pb.BookVersion{}
	shelve := func(n *book.Version) *pb.BookVersion {
		v := known[n.Root]
		if v == nil {
			v = &pb.BookVersion{Serial: n.Serial, Size: n.Size, Root: bytes.Clone(n.Hash[:]), Update: n.Update}
			if n.Update != nil {
				v.FirstSeenTime, v.PayableTime = timestamppb.New(n.Seen.At()), timestamppb.New(n.PayableAt(cooldown).At())
			}
			known[n.Root] = v
			reply.Versions = append(reply.Versions, v)
		}
		return v
	}
	for _, n := range b.versions.Newest() {
		shelve(n).Newest = true
	}
	for _, n := range b.versions.Payable(b.now(), cooldown) {
		shelve(n).Payable = true
	}
	if b.Spoil != nil {
		b.Spoil(reply)
	}
	return reply, nil
}

// Library are the entries of the versions that a coordinator knows.
type Library struct {
	pb.UnimplementedBookEntryServiceServer
	Books Books

	// Spoil may change what ListBookEntries answers.
	Spoil func(*pb.ListBookEntriesResponse)
	// Page is how many entries go into one page; 0 means 2.
	Page int
	// Named says that more signers name a version than may lie: its approvals do not matter then. Nil says it of none.
	Named func(book.Root) bool
	// Refuse is what every change is refused with.
	Refuse *refusal.Refusal

	mu     sync.Mutex
	trees  map[canon.Digest]*book.Tree
	Asked  int      // how often entries were asked for
	Change [][]byte // changes that were submitted and taken

	// Deadline is how long the caller would have waited for the last change.
	Deadline time.Duration
}

func (l *Library) begin(o *Organisation, a *Amendments) {
	l.Books.begin(a, "")
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.trees == nil {
		l.trees = map[canon.Digest]*book.Tree{o.Book.Root(): o.Book}
	}
}

// Restore makes the library that of the genesis again, as a database that was restored from a backup.
func (l *Library) Restore(o *Organisation) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.Books.mu.Lock()
	defer l.Books.mu.Unlock()
	first, _ := l.Books.amendments.Chain().Charter(1)
	l.trees, l.Books.versions = map[canon.Digest]*book.Tree{o.Book.Root(): o.Book}, book.Begin(first)
}

// recordNamed takes an update whatever became of its approvals, if more signers name its version than may lie.
func (l *Library) recordNamed(c canon.BookChange, u canon.BookUpdate, root canon.BookRoot) (*book.Version, error) {
	newest, err := l.Books.record(c.Update)
	named := book.Root{Serial: root.Serial, Size: root.Size, Hash: root.Root}
	if err == nil || l.Named == nil || !l.Named(named) {
		return newest, err
	}
	v := &book.Version{Root: named, Digest: canon.KindBookRoot.Digest(u.Root), Document: root, Update: c.Update}
	l.Books.versions = l.Books.versions.With(v, l.Books.now())
	return l.Books.versions.Newest()[0], nil
}

// SubmitBookChange implements pb.BookEntryServiceServer. It does not go on to the signers.
func (l *Library) SubmitBookChange(ctx context.Context, r *pb.SubmitBookChangeRequest) (*pb.SubmitBookChangeResponse, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.Books.mu.Lock()
	defer l.Books.mu.Unlock()
	if l.Refuse != nil {
		return nil, rpc.ToStatus(l.Refuse)
	}
	if at, ok := ctx.Deadline(); ok {
		l.Deadline = time.Until(at)
	}
	var c canon.BookChange
	var u canon.BookUpdate
	var root canon.BookRoot
	for _, d := range []func() error{
		func() error { return canon.Decode(r.GetChange(), &c) }, func() error { return canon.Decode(c.Update, &u) }, func() error { return canon.Decode(u.Root, &root) },
	} {
		if err := d(); err != nil {
			return nil, status.Error(codes.InvalidArgument, err.Error())
		}
	}
	old, ok := l.trees[root.Previous]
	if !ok {
		old = l.trees[l.Books.versions.Newest()[0].Hash]
	}
	next, err := old.Apply(c.Remove, c.Add)
	if err != nil || next.Root() != root.Root {
		return nil, rpc.ToStatus(refusal.New("book", "change", "one that makes "+root.Root.String(), "another"))
	}
	newest, err := l.recordNamed(c, u, root)
	if err != nil {
		return nil, rpc.ToStatus(err)
	}
	l.trees[root.Root] = next
	l.Change = append(l.Change, r.GetChange())
	return &pb.SubmitBookChangeResponse{Serial: newest.Serial}, nil
}

// ListBookEntries implements pb.BookEntryServiceServer.
func (l *Library) ListBookEntries(_ context.Context, r *pb.ListBookEntriesRequest) (*pb.ListBookEntriesResponse, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.Asked++
	var root canon.Digest
	copy(root[:], r.GetRoot())
	tree, ok := l.trees[root]
	if !ok {
		return nil, status.Error(codes.NotFound, "no such version")
	}
	page := l.Page
	if page == 0 {
		page = 2
	}
	at, _ := strconv.ParseUint(r.GetPageToken(), 10, 64)
	reply := &pb.ListBookEntriesResponse{TotalSize: tree.Size()}
	for ; at < tree.Size() && len(reply.Entries) < page; at++ {
		reply.Entries = append(reply.Entries, bytes.Clone(tree.Encoded(at)))
	}
	if at < tree.Size() {
		reply.NextPageToken = strconv.FormatUint(at, 10)
	}
	if l.Spoil != nil {
		l.Spoil(reply)
	}
	return reply, nil
}

// ApproveBook returns an officer's approval of the encoding of a canon.BookRoot.
func (o *Organisation) ApproveBook(officer string, root []byte, notAfter canon.Time) (canon.Signed, error) {
	document, err := canon.Encode(canon.Approval{Organisation: o.Charter.Organisation(), Object: canon.ObjectBookRoot, Digest: canon.KindBookRoot.Digest(root),
		Decision: canon.Approve, Officer: canon.Name(officer), NotAfter: notAfter})
	if err != nil {
		return canon.Signed{}, err
	}
	return o.sign(officer, canon.KindApproval, document)
}
