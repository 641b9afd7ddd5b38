package demo

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"

	"github.com/strongroom/strongroom/internal/devnet"
	"github.com/strongroom/strongroom/policy/amendment"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/rpc"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// watcher follows withdrawals over the public API as the auditor, from event to event.
type watcher struct {
	conn *grpc.ClientConn
	api  strongroomv1.WithdrawalServiceClient
	law  strongroomv1.CharterServiceClient
}

func newWatcher(d *devnet.Devnet) (*watcher, error) {
	dir := d.Auditor.Dir
	cert, err := tls.LoadX509KeyPair(filepath.Join(dir, "tls.pem"), filepath.Join(dir, "tls.key"))
	if err != nil {
		return nil, err
	}
	pinned := d.Charter.Genesis().Coordinator[0].TLS
	conn, err := rpc.Dial(d.CoordinatorAddress(), rpc.ClientTLS(cert, pinned), 0)
	if err != nil {
		return nil, err
	}
	return &watcher{conn: conn, api: strongroomv1.NewWithdrawalServiceClient(conn), law: strongroomv1.NewCharterServiceClient(conn)}, nil
}

// await follows a withdrawal's events until it is in one of the states; another state that it cannot leave is an error.
func (w *watcher) await(ctx context.Context, name string, states ...string) (*strongroomv1.Withdrawal, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for {
		state, err := w.follow(ctx, name, states)
		if err == nil {
			got, err := w.api.GetWithdrawal(ctx, &strongroomv1.GetWithdrawalRequest{Name: name})
			if err != nil {
				return nil, err
			}
			return got, nil
		}
		if errors.Is(err, errUnexpected) || ctx.Err() != nil {
			return nil, fmt.Errorf("%s: expected %s, found %s: %w", name, strings.Join(states, " or "), state, err)
		}
		// The stream broke, as it does when the coordinator dies; it is resumed from the beginning.
		select {
		case <-ctx.Done():
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// until looks at a withdrawal again and again until it is as it should be.
func (w *watcher) until(ctx context.Context, id, what string, is func(*strongroomv1.Withdrawal) bool) (*strongroomv1.Withdrawal, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for {
		got, err := w.api.GetWithdrawal(ctx, &strongroomv1.GetWithdrawalRequest{Name: "withdrawals/" + id}, grpc.WaitForReady(true))
		if err == nil && is(got) {
			return got, nil
		}
		select {
		case <-ctx.Done():
			return got, fmt.Errorf("%s: expected it %s, found %s%s: %w", id, what, got.GetState(), refusals(got.GetRefusals()), errors.Join(err, ctx.Err()))
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// final are the states that nothing follows, except that a payment that is confirmed counts as arrived.
var final = []string{"denied", "rejected", "expired", "confirmed", "burnt", "closed", "failed"}

var errUnexpected = errors.New("it will not change any more")

func (w *watcher) follow(ctx context.Context, name string, states []string) (string, error) {
	stream, err := w.api.WatchWithdrawalEvents(ctx, &strongroomv1.WatchWithdrawalEventsRequest{Name: name})
	if err != nil {
		return "nothing", err
	}
	state := "nothing"
	for {
		event, err := stream.Recv()
		if err != nil {
			return state, err
		}
		state = event.GetState()
		if slices.Contains(states, state) {
			return state, nil
		}
		if slices.Contains(final, state) {
			return state + refusals(event.GetRefusals()), errUnexpected
		}
	}
}

func refusals(all []*strongroomv1.Refusal) string {
	var b strings.Builder
	for _, r := range all {
		fmt.Fprintf(&b, "; %s", refusalText(r))
	}
	return b.String()
}

func refusalText(r *strongroomv1.Refusal) string {
	return fmt.Sprintf("%s: %s: expected %s, found %s", r.GetRule(), r.GetField(), r.GetExpected(), r.GetFound())
}

// followed reports whether the coordinator has the charter of that number.
func (w *watcher) followed(ctx context.Context, number uint64) (bool, error) {
	chain, err := w.law.GetCharterChain(ctx, &strongroomv1.GetCharterChainRequest{FromNumber: number})
	return len(chain.GetEnacted()) > 0, err
}

// charter follows the amendments that the coordinator serves, from the pinned genesis, and returns the charter in force.
func (w *watcher) charter(ctx context.Context, genesis []byte) (*charter.Charter, error) {
	chain, err := amendment.Open(genesis, canon.KindGenesis.Digest(genesis))
	if err != nil {
		return nil, err
	}
	served, err := w.law.GetCharterChain(ctx, &strongroomv1.GetCharterChainRequest{})
	if err != nil {
		return nil, err
	}
	for _, entry := range served.GetEnacted() {
		if chain, err = chain.Follow(entry, canon.TimeOf(time.Now())); err != nil {
			return nil, err
		}
	}
	return chain.Current(), nil
}
