package rpc

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"pgregory.net/rapid"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

func TestAnyRefusalOfModestSizeRoundTrips(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringN(0, 100, maxText)
		want := &refusal.Refusal{Failures: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) refusal.Failure {
			return refusal.Failure{Rule: text.Draw(t, "rule"), Field: text.Draw(t, "field"), Expected: text.Draw(t, "expected"), Found: text.Draw(t, "found"), Until: rapid.Uint64().Draw(t, "until")}
		}), 1, 20).Draw(t, "failures")}
		got := refusal.Of(FromStatus(ToStatus(fmt.Errorf("wrapped: %w", want))))
		if got == nil || fmt.Sprintf("%q", got.Failures) != fmt.Sprintf("%q", want.Failures) {
			t.Fatalf("expected %q, found %q", want, got)
		}
	})
}

func TestHugeRefusalsAreCutAndStayRefusals(t *testing.T) {
	want := &refusal.Refusal{}
	for range 1000 {
		want.Failures = append(want.Failures, refusal.Failure{Rule: "r", Field: "f", Expected: strings.Repeat("\u20ac", 10_000), Found: "\xff\xfe"})
	}
	s, _ := status.FromError(ToStatus(want))
	if n := len(s.Proto().String()); n > 200<<10 {
		t.Errorf("size: expected a bounded status, found %d bytes", n)
	}
	if got := refusal.Of(FromStatus(s.Err())); got == nil || len(got.Failures) == 0 || len(got.Failures) > maxFailures {
		t.Errorf("expected 1 to %d failures, found %v", maxFailures, got)
	}
}

func TestCodesOfOtherErrors(t *testing.T) {
	for _, c := range []struct {
		err  error
		want codes.Code
	}{
		{nil, codes.OK},
		{errors.New("disk"), codes.Internal},
		{context.DeadlineExceeded, codes.DeadlineExceeded},
		{fmt.Errorf("x: %w", context.Canceled), codes.Canceled},
		{status.Error(codes.NotFound, "no such key"), codes.NotFound},
		{&Error{Code: codes.AlreadyExists, Refusal: refusal.New("a", "b", "c", "d")}, codes.AlreadyExists},
	} {
		if got := status.Code(ToStatus(c.err)); got != c.want {
			t.Errorf("%v: expected %v, found %v", c.err, c.want, got)
		}
	}
	if err := FromStatus(nil); err != nil {
		t.Errorf("no error: expected none, found %v", err)
	}
	plain := status.Error(codes.FailedPrecondition, "not a refusal of ours")
	if got := FromStatus(plain); got != plain {
		t.Errorf("status without details: expected it unchanged, found %v", got)
	}
}

func TestGrantsAreReadInOneFormOnly(t *testing.T) {
	good := Grant{Organisation: canon.Digest{0xab}, Role: Auditor, Name: "eve"}
	got, err := parseGrant(good.URI())
	if err != nil || got != good {
		t.Fatalf("expected %v, found %v, %v", good, got, err)
	}
	org := good.Organisation.String()
	for _, text := range []string{
		"strongroom:///" + org + "/auditor", "strongroom:///" + org + "/auditor/eve/x", "strongroom:///" + org + "/superuser/eve",
		"strongroom:///" + strings.ToUpper(org) + "/auditor/eve", "strongroom://host/" + org + "/auditor/eve",
		"https:///" + org + "/auditor/eve", "strongroom:///" + org + "/auditor/eve?x=1", "strongroom:///" + org + "/auditor/%65ve",
		"strongroom:///" + org + "/auditor/*", "strongroom:///" + org + "/signer/eve",
	} {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if g, err := parseGrant(u); err == nil {
			t.Errorf("%s: expected an error, found %v", text, g)
		}
	}
}

func FuzzParseGrant(f *testing.F) {
	good := Grant{Organisation: canon.Digest{0xab}, Role: Auditor, Name: "eve"}
	f.Add(good.URI().String())
	f.Add("strongroom:///x/officer/eve")
	f.Add("strongroom:opaque")
	f.Fuzz(func(t *testing.T, text string) {
		u, err := url.Parse(text)
		if err != nil {
			return
		}
		g, err := parseGrant(u)
		if err == nil && g.URI().String() != u.String() {
			t.Errorf("%q: expected a grant that reads the same, found %v", text, g)
		}
	})
}
