package cli

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/proto/canon"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// inbox is what servers say waits for approval, and what they say that bears on it.
type inbox struct {
	intents     []*pending
	unreachable []UnreachableView
	asked       int
	said        *said // what officers said
	shelves     shelves
	newest      []book.Root // versions of the address book that a quorum of signers names as the newest
	noBook      error       // why there are none
}

// gather asks the coordinator and all signers for intents and verifies each of them. It fails only if nobody answered.
func (s *Session) gather(ctx context.Context) (*inbox, error) {
	box := &inbox{}
	listed, seen, err := s.askAll(ctx, box)
	if err != nil {
		return nil, err
	}
	byDigest := map[canon.Digest]*pending{}
	for _, p := range listed {
		s.add(byDigest, p.GetIntent(), coordinatorName).take(s, p)
	}
	for _, a := range seen {
		for _, document := range a.Value.GetIntents() {
			s.add(byDigest, document, a.Server)
		}
	}
	s.askDecisions(ctx, box, byDigest)
	if len(box.unreachable) == box.asked {
		return nil, fmt.Errorf("%w: %s", ErrUnreachable, firstError(box.unreachable))
	}
	for _, p := range byDigest {
		box.intents = append(box.intents, p)
		p.hear(s, box)
	}
	slices.SortFunc(box.intents, oldestFirst)
	return box, nil
}

// askAll asks everybody everything at the same time: who does not answer is waited for once.
func (s *Session) askAll(ctx context.Context, box *inbox) (listed []*pb.PendingIntent, seen []answer[*pb.ListSeenIntentsResponse], err error) {
	peers, err := s.signers() // connected before anybody asks
	if err != nil {
		return nil, nil, err
	}
	var wait sync.WaitGroup
	var noList, noStatements error
	if s.Config.Coordinator != "" {
		box.asked++
		wait.Go(func() { listed, noList = s.coordinatorIntents(ctx) })
	}
	wait.Go(func() {
		seen = askSigners(ctx, peers, func(ctx context.Context, p signerPeer) (*pb.ListSeenIntentsResponse, error) {
			return p.ListSeenIntents(ctx, &pb.ListSeenIntentsRequest{})
		})
	})
	wait.Go(func() { box.said, noStatements = s.listen(ctx) })
	wait.Go(func() { box.shelves, box.newest, box.noBook = s.newestBook(ctx) })
	wait.Wait()
	if noList != nil {
		box.unreachable = append(box.unreachable, UnreachableView{coordinatorName, errorText(noList)})
	}
	for _, a := range seen {
		box.asked++
		if a.Err != nil {
			box.unreachable = append(box.unreachable, unreachable(a))
		}
	}
	return listed, slices.DeleteFunc(seen, func(a answer[*pb.ListSeenIntentsResponse]) bool { return a.Err != nil }), noStatements
}

const coordinatorName = "coordinator"

func firstError(list []UnreachableView) string {
	if len(list) == 0 {
		return "expected a coordinator or signers in the configuration, found none"
	}
	return list[0].Server + ": " + list[0].Error
}

// askDecisions asks the coordinator what officers decided about intents that only signers listed: those are often long approved. A
// coordinator that does not answer leaves them as they are, waiting.
func (s *Session) askDecisions(ctx context.Context, box *inbox, byDigest map[canon.Digest]*pending) {
	heard := !slices.ContainsFunc(box.unreachable, func(u UnreachableView) bool { return u.Server == coordinatorName })
	if s.Config.Coordinator == "" || !heard {
		return
	}
	c, err := s.coordinator()
	if err != nil {
		return
	}
	for _, p := range byDigest {
		if slices.Contains(p.sources, coordinatorName) || p.review == nil || len(p.review.Intent.Quorum.AnyOf) == 0 {
			continue
		}
		got, err := call(ctx, c.GetIntent, &pb.GetIntentRequest{Name: "intents/" + p.digest.String()})
		if err == nil {
			p.take(s, got)
		} else if status.Code(unwrapStatus(err)) != codes.NotFound {
			return // nor will it answer about the others; each would take a whole deadline
		}
	}
}

func (s *Session) coordinatorIntents(ctx context.Context) ([]*pb.PendingIntent, error) {
	c, err := s.coordinator()
	if err != nil {
		return nil, err
	}
	return pages(func(token string) ([]*pb.PendingIntent, string, error) {
		r, err := call(ctx, c.ListPendingIntents, &pb.ListPendingIntentsRequest{PageSize: 100, PageToken: token})
		return r.GetIntents(), r.GetNextPageToken(), err
	})
}
