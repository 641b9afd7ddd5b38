package hostile

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/proto/rpc"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// Time limits of calls to signers. A session that only refused partners could end takes the long one.
const (
	shortCall = 30 * time.Second
	longCall  = 90 * time.Second
)

// answer is what a signer answered.
type answer[T any] struct {
	value T
	err   error
}

// ask calls the signers at the same time and waits for all answers.
func ask[T any](ctx context.Context, names []canon.Name, timeout time.Duration, call func(context.Context, canon.Name) (T, error)) map[canon.Name]answer[T] {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	answers := make([]answer[T], len(names))
	var group sync.WaitGroup
	for i, name := range names {
		group.Go(func() {
			v, err := call(ctx, name)
			answers[i] = answer[T]{v, rpc.FromStatus(err)}
		})
	}
	group.Wait()
	out := make(map[canon.Name]answer[T], len(names))
	for i, name := range names {
		out[name] = answers[i]
	}
	return out
}

// NotRefusedError says that a signer went along with an attack, failed instead of refusing, or did not name the field.
type NotRefusedError struct {
	Attack string
	Signer canon.Name
	Field  string // that the refusal should have named
	Err    error  // what the signer answered; nil if it did what it was asked
}

// Error names attack, signer and field.
func (e *NotRefusedError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("%s: %s: expected a refusal of %s, found consent", e.Attack, e.Signer, e.Field)
	}
	return fmt.Sprintf("%s: %s: expected a refusal of %s, found: %v", e.Attack, e.Signer, e.Field, e.Err)
}

// Unwrap returns what the signer answered.
func (e *NotRefusedError) Unwrap() error { return e.Err }

// refusals takes the failure that names the field out of every answer. An answer without one is an error.
func refusals[T any](attack, field string, answers map[canon.Name]answer[T]) (map[canon.Name]refusal.Failure, error) {
	out := map[canon.Name]refusal.Failure{}
	for _, name := range slices.Sorted(maps.Keys(answers)) {
		r := refusal.Of(answers[name].err)
		if r == nil {
			return nil, &NotRefusedError{attack, name, field, answers[name].err}
		}
		i := slices.IndexFunc(r.Failures, func(f refusal.Failure) bool { return strings.Contains(f.Field, field) })
		if i < 0 {
			return nil, &NotRefusedError{attack, name, field, answers[name].err}
		}
		out[name] = r.Failures[i]
	}
	return out, nil
}

// reserve asks signers for their acks.
func (c *Coordinator) reserve(ctx context.Context, names []canon.Name, q Question) map[canon.Name]answer[canon.Signed] {
	return ask(ctx, names, shortCall, func(ctx context.Context, name canon.Name) (canon.Signed, error) {
		r, err := c.signers[name].Reserve(ctx, &pb.ReserveRequest{Evidence: q.Evidence, Reservation: q.Reservation})
		return canon.Signed{Document: r.GetAck().GetDocument(), Scheme: canon.Scheme(r.GetAck().GetScheme()), Signature: r.GetAck().GetSignature()}, err
	})
}

// acks asks signers for acks that they owe and returns them in the order of the names.
func (c *Coordinator) acks(ctx context.Context, names []canon.Name, q Question) ([]canon.Signed, error) {
	answers := c.reserve(ctx, names, q)
	var out []canon.Signed
	for _, name := range names {
		if err := answers[name].err; err != nil {
			return nil, fmt.Errorf("valid reservation: %s: expected an ack, found: %w", name, err)
		}
		out = append(out, answers[name].value)
	}
	return out, nil
}

// sign asks signers to take part in sessions, each with as many partners as the key needs: what none of them refused would be signed.
func (c *Coordinator) sign(ctx context.Context, names []canon.Name, threshold int, evidence, certificate []byte) map[canon.Name]answer[*pb.SignResponse] {
	c.attempts++
	attempt := c.attempts
	return ask(ctx, names, longCall, func(ctx context.Context, name canon.Name) (*pb.SignResponse, error) {
		return c.signers[name].Sign(ctx, &pb.SignRequest{
			Evidence: evidence, Certificate: certificate, Participants: c.partners(name, threshold), Attempt: attempt,
		})
	})
}

// signAttested asks signers of the MPC key to sign what devices attest to, or what they are said to attest to.
func (c *Coordinator) signAttested(ctx context.Context, names []canon.Name, threshold int, q Question, certificate []byte, attestations ...canon.Signed) map[canon.Name]answer[*pb.SignResponse] {
	c.attempts++
	attempt := c.attempts
	var said []*pb.Signed
	for _, a := range attestations {
		said = append(said, &pb.Signed{Document: a.Document, Scheme: uint32(a.Scheme), Signature: a.Signature})
	}
	return ask(ctx, names, longCall, func(ctx context.Context, name canon.Name) (*pb.SignResponse, error) {
		return c.signers[name].Sign(ctx, &pb.SignRequest{
			Evidence: q.Evidence, Certificate: certificate, Participants: c.partners(name, threshold), Attempt: attempt, Attestations: said,
		})
	})
}

// cosign asks a device to sign.
func (c *Coordinator) cosign(ctx context.Context, device canon.Name, evidence, certificate []byte) map[canon.Name]answer[*pb.CosignResponse] {
	c.attempts++
	attempt := c.attempts
	return ask(ctx, []canon.Name{device}, longCall, func(ctx context.Context, name canon.Name) (*pb.CosignResponse, error) {
		return c.signers[name].Cosign(ctx, &pb.CosignRequest{Evidence: evidence, Certificate: certificate, Attempt: attempt})
	})
}

// partners returns the signers with which this one would sign: threshold neighbours, the same for all of them.
func (c *Coordinator) partners(name canon.Name, threshold int) []string {
	i := slices.Index(c.names, name)
	first := max(0, min(i/threshold*threshold, len(c.names)-threshold))
	var out []string
	for _, n := range c.names[first:min(first+threshold, len(c.names))] {
		out = append(out, string(n))
	}
	return out
}
