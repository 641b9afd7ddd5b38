package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/strongroom/strongroom/proto/canon"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// settled are the states after which no more is to be expected of a withdrawal; refusing are those of them that are a no.
var (
	refusing = []string{"denied", "rejected", "expired"}
	settled  = append([]string{"confirmed", "burnt", "closed", "failed"}, refusing...)
)

// outcome makes an error of a state that is a no, or a failure.
func outcome(v WithdrawalView) error {
	switch {
	case slices.Contains(refusing, v.State):
		return fmt.Errorf("withdrawal %s is %s: %w", v.ID[:16], v.State, ErrRefused)
	case v.State == "failed" || v.State == "burnt" || v.State == "closed":
		return fmt.Errorf("withdrawal %s is %s", v.ID[:16], v.State)
	}
	return nil
}

// Withdraw signs a request and sends it. With wait it follows the withdrawal until nothing more is to be expected.
func (s *Session) Withdraw(ctx context.Context, o Order, wait bool) error {
	if o.ToWallet != "" {
		if err := s.place(ctx, &o); err != nil {
			return err
		}
	}
	data, digest, err := s.travelData(o.TravelFile)
	if err != nil {
		return err
	}
	o.travelHash = digest
	r, signed, err := s.request(o)
	if err != nil {
		return err
	}
	return s.submit(ctx, r, signed, data, wait)
}

// submit sends a signed request, with the travel-rule data that it binds.
func (s *Session) submit(ctx context.Context, r canon.Request, signed canon.Signed, travel []byte, wait bool) error {
	id := r.WithdrawalID()
	c, err := s.coordinator()
	if err != nil {
		return err
	}
	s.Note("Withdrawal %s, request id %s", id, r.RequestID)
	got, err := call(ctx, c.CreateWithdrawal, &pb.CreateWithdrawalRequest{Request: wireOf(signed), TravelRuleData: travel})
	if err != nil {
		if status.Code(unwrapStatus(err)) == codes.AlreadyExists {
			s.Note("There is a withdrawal with this request id already. To see it:")
			s.NoteLine("  strongroom withdrawal show %s", id)
		}
		return err
	}
	v := s.withdrawalView(got, id)
	if wait && !slices.Contains(settled, v.State) {
		if v, err = s.follow(ctx, c, id); err != nil {
			return err
		}
	}
	if err := s.Print(v); err != nil {
		return err
	}
	return errors.Join(v.doubt(), outcome(v))
}

// resumeAfter is how long to wait before a broken stream of events is taken up again.
const resumeAfter = 2 * time.Second

// follow waits until the withdrawal is settled, and tells of its states meanwhile.
func (s *Session) follow(ctx context.Context, c *coordinator, id canon.Digest) (WithdrawalView, error) {
	next := uint64(1)
	for {
		err := s.events(ctx, c, next, id.String(), func(e EventView) bool {
			next = e.Sequence + 1
			s.Note("%s  %s", e.Time, e.State)
			return !slices.Contains(settled, e.State)
		})
		if err == nil {
			got, err := call(ctx, c.GetWithdrawal, &pb.GetWithdrawalRequest{Name: withdrawalName(id)})
			return s.withdrawalView(got, id), err
		}
		if ctx.Err() != nil || ExitCode(err) != ExitUnreachable {
			return WithdrawalView{}, err
		}
		s.Note("the coordinator does not answer: %s", errorText(err))
		select {
		case <-ctx.Done():
			return WithdrawalView{}, ctx.Err()
		case <-time.After(resumeAfter):
		}
	}
}

func withdrawalName(id canon.Digest) string { return "withdrawals/" + id.String() }

// events hands over events from a sequence number on until each returns false; id is empty for all withdrawals.
func (s *Session) events(ctx context.Context, c *coordinator, from uint64, id string, each func(EventView) bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	request := &pb.WatchWithdrawalEventsRequest{FromSequence: from}
	if id != "" {
		request.Name = "withdrawals/" + id
	}
	stream, err := c.WatchWithdrawalEvents(ctx, request)
	if err != nil {
		return err
	}
	for {
		e, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("%w: the coordinator ended the stream of events", ErrUnreachable)
		}
		if err != nil {
			return err
		}
		if !each(eventView(e)) {
			return nil
		}
	}
}

// Withdrawal prints one withdrawal.
func (s *Session) Withdrawal(ctx context.Context, name string) error {
	id, err := canon.ParseDigest(strings.TrimPrefix(name, "withdrawals/"))
	if err != nil {
		return fmt.Errorf("withdrawal: %w", err)
	}
	c, err := s.coordinator()
	if err != nil {
		return err
	}
	got, err := call(ctx, c.GetWithdrawal, &pb.GetWithdrawalRequest{Name: withdrawalName(id)})
	if err != nil {
		return err
	}
	v := s.withdrawalView(got, id)
	if err := s.Print(v); err != nil {
		return err
	}
	return v.doubt()
}

// Withdrawals prints all withdrawals that this person may see, or those in one state.
func (s *Session) Withdrawals(ctx context.Context, state string) error {
	c, err := s.coordinator()
	if err != nil {
		return err
	}
	list, err := pages(func(token string) ([]*pb.Withdrawal, string, error) {
		r, err := call(ctx, c.ListWithdrawals, &pb.ListWithdrawalsRequest{PageSize: 100, PageToken: token, State: state})
		return r.GetWithdrawals(), r.GetNextPageToken(), err
	})
	if err != nil {
		return err
	}
	v := WithdrawalsView{Withdrawals: []WithdrawalView{}}
	for _, w := range list {
		id, err := canon.ParseDigest(strings.TrimPrefix(w.GetName(), "withdrawals/"))
		if err != nil {
			return fmt.Errorf("coordinator: name: expected withdrawals/ and a digest, found %q", w.GetName())
		}
		v.Withdrawals = append(v.Withdrawals, s.withdrawalView(w, id))
	}
	return s.Print(v)
}

// Watch prints events as they happen, each on a line, until the context ends or the coordinator goes away.
func (s *Session) Watch(ctx context.Context, from uint64, name string) error {
	c, err := s.coordinator()
	if err != nil {
		return err
	}
	var failed error
	err = s.events(ctx, c, from, strings.TrimPrefix(name, "withdrawals/"), func(e EventView) bool {
		failed = s.Print(e)
		return failed == nil
	})
	if ctx.Err() != nil {
		return nil // asked to stop
	}
	return errors.Join(failed, err)
}
