package coordinator

import (
	"context"
	"encoding/hex"
	"errors"
	"math"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/strongroom/strongroom/internal/coordinator/store"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

const (
	withdrawalPrefix = "withdrawals/"
	intentPrefix     = "intents/"
)

// toWithdrawal shows a row. What it says beside the signed documents carries no authority.
func (s *Service) toWithdrawal(w withdrawal.Withdrawal) *strongroomv1.Withdrawal {
	out := &strongroomv1.Withdrawal{
		Name: withdrawalPrefix + w.ID.String(), State: string(w.State), Client: string(w.Client), Account: string(w.Account), Wallet: string(w.Wallet),
		Chain: string(w.Chain), Rule: string(w.Rule), Refusals: toRefusals(w.Refusals), Request: toSigned(w.Request), Intent: w.Intent,
		Approvals: toSigneds(w.Approvals), Statements: toSigneds(w.Statements), Confirmations: w.Confirmations,
		CreateTime: timestamppb.New(w.Created), UpdateTime: timestamppb.New(w.Updated), RequestId: w.RequestID,
	}
	if w.Intent != nil {
		out.IntentDigest = w.IntentDigest.String()
	}
	var r canon.Request
	if canon.Decode(w.Request.Document, &r) == nil {
		for _, o := range r.Outputs {
			out.Payments = append(out.Payments, &strongroomv1.Payment{Address: s.addressText(r.Chain, o.Address), Asset: string(o.Asset), Amount: o.Amount.String()})
		}
	}
	for _, a := range w.Acks {
		out.AckedBy = append(out.AckedBy, string(a.Signer))
	}
	for _, name := range signedBy(w) {
		out.SignedBy = append(out.SignedBy, string(name))
	}
	if w.Exact != nil {
		out.UnsignedTransaction, out.Fee = w.Exact.Unsigned, w.Exact.Fee.String()
	}
	if w.Prepared != nil {
		out.UnsignedTransaction, out.Fee = w.Prepared.Unsigned, w.Prepared.Fee.String()
	}
	if w.Transaction != nil {
		out.SignedTransaction, out.Txid, out.Fee = w.Transaction.Raw, w.Transaction.TxID, w.Transaction.Fee.String()
	}
	return out
}

func toSigneds(in []canon.Signed) []*strongroomv1.Signed {
	out := make([]*strongroomv1.Signed, len(in))
	for i, s := range in {
		out[i] = toSigned(s)
	}
	return out
}

func toRefusals(in []refusal.Failure) []*strongroomv1.Refusal {
	out := make([]*strongroomv1.Refusal, len(in))
	for i, f := range in {
		out[i] = &strongroomv1.Refusal{Rule: clean(f.Rule), Field: clean(f.Field), Expected: clean(f.Expected), Found: clean(f.Found)}
		if f.Until != 0 {
			out[i].Found += "; passes at " + canon.Time(min(f.Until, math.MaxUint32)).At().UTC().Format(time.RFC3339)
		}
	}
	return out
}

// clean keeps text valid UTF-8, as protobuf strings must be: refusals may quote what others wrote.
func clean(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// digestOf reads a resource name of the form prefix and 64 hexadecimal digits.
func digestOf(field, prefix, name string) (canon.Digest, error) {
	text, ok := strings.CutPrefix(name, prefix)
	d, err := canon.ParseDigest(text)
	if !ok || err != nil || hex.EncodeToString(d[:]) != text {
		return d, status.Errorf(codes.InvalidArgument, "%s: expected %s and 64 hexadecimal digits, found %.100q", field, prefix, name)
	}
	return d, nil
}

// placeOf reads wallets/{wallet}/accounts/{account}.
func placeOf(parent string) (wallet, account canon.Name, err error) {
	parts := strings.Split(parent, "/")
	if len(parts) == 4 && parts[0] == "wallets" && parts[2] == "accounts" {
		wallet, account = canon.Name(parts[1]), canon.Name(parts[3])
		if wallet != canon.Any && account != canon.Any && wallet.Check() == nil && account.Check() == nil {
			return wallet, account, nil
		}
	}
	return "", "", status.Errorf(codes.InvalidArgument, "parent: expected wallets/{wallet}/accounts/{account}, found %.200q", parent)
}

// pageSize refuses negative sizes and cuts large ones, as google.aip.dev/158 has it.
func pageSize(n int32) (int, error) {
	if n < 0 {
		return 0, status.Errorf(codes.InvalidArgument, "page_size: expected at least 0, found %d", n)
	}
	if n == 0 {
		return 50, nil
	}
	return int(min(n, 1000)), nil
}

// roomInMessage is how many bytes of rows go into one page, well below what one message may have (rpc.MaxPlain).
const roomInMessage = 2 << 20

// fill reads withdrawals in small steps and hands each to add, which returns its size, until there are as many as the query asks for or
// the message is full. It returns the token of what follows: a page may be shorter than asked for, as google.aip.dev/158 has it.
func (s *Service) fill(ctx context.Context, q store.Query, add func(withdrawal.Withdrawal) (int, error)) (string, error) {
	const step = 10
	room, wanted := roomInMessage, q.Size
	q.Unreadable = s.unreadable
	for {
		q.Size = min(step, wanted)
		page, next, err := s.Store.List(ctx, q)
		if err != nil {
			return "", coded(err)
		}
		for _, w := range page {
			size, err := add(w)
			if err != nil {
				return "", err
			}
			room -= size
		}
		if wanted -= len(page); wanted <= 0 || room <= 0 || next == "" {
			return next, nil
		}
		q.Page = next
	}
}

// coded gives errors of the store their codes.
func coded(err error) error {
	var missing *store.NotFoundError
	var exists *store.ExistsError
	switch {
	case errors.As(err, &missing):
		return status.Errorf(codes.NotFound, "%s %s: not found", missing.What, missing.Name)
	case errors.As(err, &exists):
		return status.Errorf(codes.AlreadyExists, "request_id: expected the request that was stored under it, digest %s, found %s", exists.Stored, exists.Offered)
	case errors.Is(err, store.ErrPageToken):
		return status.Error(codes.InvalidArgument, "page_token: expected one that this query returned, found another")
	}
	return err
}
