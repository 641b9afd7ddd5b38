package signer

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/rpc"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

const (
	// maxBookVersions bounds the versions of an answer, a peer's that is looked at and this signer's own: the newest ones, of which a quorum may have
	// signed several, and those that are payable.
	maxBookVersions = 16
	// never is the last second that a timestamp can name (RFC 3339 has four digits for the year).
	never = canon.Time(253_402_300_799)
)

// SubmitBookUpdate takes a version of the address book with the approvals of the book's quorum. What it takes out is paid no more, here,
// when the answer leaves; what it puts in waits for the cool-down, counting from now. A version that is new is on disk by then, and is
// passed on to the other signers. A signer whose charter is forked records it too. One that is joining does not: officers who have left could
// push it ahead of all others under the charter of their time, and it promises nothing that a version could keep it from. It fetches the newest when it has joined.
func (s *Signer) SubmitBookUpdate(ctx context.Context, r *strongroomv1.SubmitBookUpdateRequest) (*strongroomv1.SubmitBookUpdateResponse, error) {
	caller, ok := rpc.CallerFrom(ctx)
	if !ok {
		return nil, status.Error(codes.Unauthenticated, "expected a caller of the charter, found nobody")
	}
	// Not together with calls about the charter: what takes an address out must not wait for those.
	done, err := s.gossip.turn(ctx, canon.Name("book/"+string(caller.Role)+"/"+string(caller.Name)))
	if err != nil {
		return nil, err
	}
	defer done()
	from := canon.Name("")
	if caller.Role == rpc.Signer {
		from = caller.Name
	}
	if err := s.updateBook(ctx, r.GetUpdate(), from); err != nil {
		if from != "" {
			s.couriers.wake(from) // its charter may name others than the one here
		}
		return nil, err
	}
	newest := s.config.Ledger.Book().Newest()[0]
	return &strongroomv1.SubmitBookUpdateResponse{Serial: newest.Serial, Root: newest.Hash[:], RecordedBy: string(s.config.Self)}, nil
}

// updateBook verifies and records a version, and passes it on; from is the peer that brought it, none for anybody else.
func (s *Signer) updateBook(ctx context.Context, update []byte, from canon.Name) error {
	if err := s.joining.hindrance(); err != nil {
		return err
	}
	version, fresh, err := s.config.Ledger.UpdateBook(update, s.now)
	if err != nil || !fresh {
		return s.noted(err)
	}
	s.couriers.spreadBook(update, from)
	s.config.Log.InfoContext(ctx, "address book", slog.Uint64("serial", version.Serial), slog.Uint64("entries", version.Size),
		slog.String("root", version.Hash.String()), slog.Any("approvers", version.Approvers), slog.String("from", string(from)))
	return nil
}

// GetBook hands out the versions of the address book that count here and now, with the times of this signer's own clock: those that it recorded,
// and without update those that others did and it could not, in which an address must be as well.
func (s *Signer) GetBook(context.Context, *strongroomv1.GetBookRequest) (*strongroomv1.GetBookResponse, error) {
	versions, chain := s.config.Ledger.Book(), s.chain()
	cooldown := chain.Current().Genesis().Delays.BookCooldown
	newest, payable := versions.Newest(), versions.Payable(s.now(), cooldown)
	out := &strongroomv1.GetBookResponse{}
	for _, v := range newest {
		out.Versions = append(out.Versions, wireVersion(v, cooldown, true, slices.Contains(payable, v)))
	}
	for _, v := range payable {
		if !slices.Contains(newest, v) {
			out.Versions = append(out.Versions, wireVersion(v, cooldown, false, true))
		}
	}
	for _, r := range s.missed.required(chain, versions) {
		if len(out.GetVersions()) < maxBookVersions {
			out.Versions = append(out.Versions, &strongroomv1.BookVersion{Serial: r.Serial, Size: r.Size, Root: r.Hash[:], Newest: true, PayableTime: timestamppb.New(never.At())})
		}
	}
	return out, nil
}

func wireVersion(v *book.Version, cooldown uint64, newest, payable bool) *strongroomv1.BookVersion {
	out := &strongroomv1.BookVersion{Serial: v.Serial, Size: v.Size, Root: v.Hash[:], Update: v.Update, Newest: newest, Payable: payable}
	if v.Update != nil {
		out.FirstSeenTime, out.PayableTime = timestamppb.New(v.Seen.At()), timestamppb.New(v.PayableAt(cooldown).At())
	}
	return out
}

// spreadBook queues a version for every peer but the one that brought it. It never waits.
func (cs *couriers) spreadBook(update []byte, from canon.Name) {
	for _, c := range cs.all {
		if c.name == from {
			continue
		}
		select {
		case c.updates <- update:
		default:
			cs.signer.config.Log.Warn("version of the address book left for the peer to fetch", slog.String("peer", string(c.name)))
		}
	}
}

// passBook brings a peer what waits for it.
func (cs *couriers) passBook(ctx context.Context, c *courier) {
	for {
		select {
		case <-ctx.Done():
			return
		case update := <-c.updates:
			if err := submitBook(ctx, c, update); err != nil && ctx.Err() == nil {
				cs.signer.config.Log.InfoContext(ctx, "version of the address book not taken", slog.String("peer", string(c.name)), slog.String("error", err.Error()))
			}
		}
	}
}

func submitBook(ctx context.Context, c *courier, update []byte) error {
	ctx, cancel := context.WithTimeout(ctx, exchangeTimeout)
	defer cancel()
	_, err := c.books.SubmitBookUpdate(ctx, &strongroomv1.SubmitBookUpdateRequest{Update: update}, grpc.WaitForReady(true))
	return err
}

// compareBook takes the versions that the peer has and this signer lacks: those with the highest serial that verify, since nothing before
// them counts any more. What the peer says about them, other than by their approvals, is not believed. It returns the first reason for which
// one was not taken.
func (cs *couriers) compareBook(ctx context.Context, c *courier) error {
	answer, err := fetchBook(ctx, c)
	if err != nil {
		return err
	}
	var updates []*strongroomv1.BookVersion
	for _, v := range answer.GetVersions() {
		if len(v.GetUpdate()) > 0 && len(updates) < maxBookVersions {
			updates = append(updates, v)
		}
	}
	slices.SortStableFunc(updates, func(a, b *strongroomv1.BookVersion) int { return cmp.Compare(b.GetSerial(), a.GetSerial()) })
	var unfit error
	for _, v := range updates {
		if newest := cs.signer.config.Ledger.Book().Newest()[0]; v.GetSerial() < newest.Serial {
			break
		}
		if err := cs.signer.updateBook(ctx, v.GetUpdate(), c.name); err != nil && unfit == nil {
			unfit = fmt.Errorf("version %d: %w", v.GetSerial(), err)
		}
	}
	cs.signer.miss(ctx, c.name, answer.GetVersions())
	return unfit
}

func fetchBook(ctx context.Context, c *courier) (*strongroomv1.GetBookResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, exchangeTimeout)
	defer cancel()
	return c.books.GetBook(ctx, &strongroomv1.GetBookRequest{}, grpc.WaitForReady(true))
}
