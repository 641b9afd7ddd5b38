package rpc

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/strongroom/strongroom/proto/refusal"
)

// A refusal travels as one google.rpc.ErrorInfo for each failure, in order, with this domain and reason.
const (
	Domain        = "strongroom"
	ReasonRefused = "REFUSED"
)

// Bounds of a refusal on the wire: details travel in trailers, which have limits of their own.
const (
	maxFailures  = 64
	maxText      = 512
	maxTextTotal = 48 << 10
)

// Error is a status that carries a refusal. errors.As finds the *refusal.Refusal within.
type Error struct {
	Code    codes.Code
	Refusal *refusal.Refusal
}

// Error lists the failures.
func (e *Error) Error() string { return e.Refusal.Error() }

// Unwrap returns the refusal.
func (e *Error) Unwrap() error { return e.Refusal }

// GRPCStatus returns the status with its details, so that a server may return an *Error with a code of its choice.
func (e *Error) GRPCStatus() *status.Status {
	failures := e.Refusal.Failures
	if len(failures) > maxFailures {
		failures = failures[:maxFailures]
	}
	s := status.New(e.Code, clip((&refusal.Refusal{Failures: failures}).Error(), 4*maxText))
	budget := maxTextTotal
	for _, f := range failures {
		info := &errdetails.ErrorInfo{Domain: Domain, Reason: ReasonRefused, Metadata: map[string]string{}}
		for key, text := range map[string]string{"rule": f.Rule, "field": f.Field, "expected": f.Expected, "found": f.Found} {
			info.Metadata[key] = clip(text, maxText)
			budget -= len(info.Metadata[key])
		}
		if f.Until != 0 {
			info.Metadata["until"] = strconv.FormatUint(f.Until, 10)
		}
		if budget < 0 {
			break
		}
		with, err := s.WithDetails(info)
		if err != nil {
			break // only a code of OK gets here, which a refusal never has
		}
		s = with
	}
	return s
}

// clip keeps text valid UTF-8, as protobuf strings must be, and at most n bytes long.
func clip(text string, n int) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) <= n {
		return text
	}
	return strings.ToValidUTF8(text[:n], "") + "…"
}

// ToStatus makes err fit for the wire: a refusal becomes FailedPrecondition with its failures as details, a status stays, the end of a
// context becomes its code. Everything else becomes codes.Internal without a word: what it says is for the log of this process.
func ToStatus(err error) error {
	if err == nil {
		return nil
	}
	var refused *Error
	if errors.As(err, &refused) {
		return refused.GRPCStatus().Err()
	}
	if r := refusal.Of(err); r != nil {
		return (&Error{Code: codes.FailedPrecondition, Refusal: r}).GRPCStatus().Err()
	}
	if s, ok := status.FromError(err); ok {
		return s.Err()
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return status.Error(codes.DeadlineExceeded, "deadline exceeded")
	case errors.Is(err, context.Canceled):
		return status.Error(codes.Canceled, "canceled")
	}
	return status.Error(codes.Internal, "internal error")
}

// FromStatus gives back the refusal that a status carries, as an *Error. Any other error is returned as it is.
func FromStatus(err error) error {
	s, ok := status.FromError(err)
	if err == nil || !ok || s.Code() == codes.OK {
		return err
	}
	r := &refusal.Refusal{}
	for _, d := range s.Details() {
		info, ok := d.(*errdetails.ErrorInfo)
		if !ok || info.GetDomain() != Domain || info.GetReason() != ReasonRefused {
			continue
		}
		m := info.GetMetadata()
		until, err := strconv.ParseUint(m["until"], 10, 64)
		if err != nil {
			until = 0 // also where there is none: time does not help, as far as this side knows
		}
		r.Failures = append(r.Failures, refusal.Failure{Rule: m["rule"], Field: m["field"], Expected: m["expected"], Found: m["found"], Until: until})
	}
	if len(r.Failures) == 0 {
		return err
	}
	return &Error{Code: s.Code(), Refusal: r}
}
