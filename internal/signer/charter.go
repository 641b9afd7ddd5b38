package signer

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/strongroom/strongroom/internal/signer/ledger"
	"github.com/strongroom/strongroom/policy/amendment"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/proto/rpc"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// Bounds of one answer of GetCharterChain, in bytes, together below the limit of messages.
const (
	maxEnacted   = 6 << 20
	maxProposals = 6 << 20
)

// chain returns the charter in force with the amendments that wait. It never changes: whoever looks at it twice takes it once.
func (s *Signer) chain() *amendment.Chain { return s.config.Ledger.Chain() }

// charter returns the charter in force.
func (s *Signer) charter() *charter.Charter { return s.chain().Current() }

// mayPromise refuses to promise, sign or attest anything while the charter is forked, while this signer has not made sure that it has the
// charter in force, when that charter names it no more, and when it lists builds and not the one that runs here. Such a signer goes on to
// record and pass on what officers say, and speaks for amendments: one of them may list its build.
func (s *Signer) mayPromise(chain *amendment.Chain) error {
	var failures refusal.List
	if fork, ok := chain.Forked(); ok {
		failures.Add("fork", "charter", fmt.Sprintf("one amendment of number %d, or one that heals the fork", fork.Number), rivals(fork))
	}
	if _, ok := chain.Current().Signer(s.config.Self); !ok {
		failures.Add("charter", "signer", "a signer of the charter in force", string(s.config.Self))
	}
	if builds := chain.Current().Genesis().Builds; len(builds) > 0 && !slices.Contains(builds, s.config.Build) {
		failures.Add("build", "build", fmt.Sprintf("one of the %d executables that the charter lists", len(builds)), s.config.Build.String())
	}
	failures.Join("join", "charter", s.joining.hindrance())
	return failures.Err()
}

func rivals(f amendment.Fork) string {
	names := make([]string, len(f.Amendments))
	for i, d := range f.Amendments {
		names[i] = d.String()
	}
	return strings.Join(names, " and ")
}

// hindrance says why this signer promises nothing, empty if it does.
func (s *Signer) hindrance() string {
	if err := s.mayPromise(s.chain()); err != nil {
		return err.Error()
	}
	return ""
}

// SubmitCharterEntry takes a proposal, which is verified and recorded with the time at which it was first seen, or the entry that enacts
// it. What is new is on disk when the answer leaves, and is passed on to the other signers.
func (s *Signer) SubmitCharterEntry(ctx context.Context, r *strongroomv1.SubmitCharterEntryRequest) (*strongroomv1.SubmitCharterEntryResponse, error) {
	caller, done, err := s.charterTurn(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	from := canon.Name("")
	if caller.Role == rpc.Signer {
		from = caller.Name
	}
	if err := s.take(ctx, r.GetEntry(), from); err != nil {
		if isBehind(err) {
			s.couriers.wake(from)
		}
		return nil, err
	}
	now := s.charter()
	return &strongroomv1.SubmitCharterEntryResponse{Number: now.Number(), Digest: now.Digest().String(), RecordedBy: string(s.config.Self)}, nil
}

// charterTurn lets each caller have one call about the charter at a time: the signatures of an entry, and of the proposals, may be many.
func (s *Signer) charterTurn(ctx context.Context) (caller rpc.Caller, done func(), err error) {
	caller, ok := rpc.CallerFrom(ctx)
	if !ok {
		return caller, nil, status.Error(codes.Unauthenticated, "expected a caller of the charter, found nobody")
	}
	done, err = s.gossip.turn(ctx, canon.Name(string(caller.Role)+"/"+string(caller.Name)))
	return caller, done, err
}

func (s *Signer) now() canon.Time { return canon.TimeOf(s.config.Now()) }

// isBehind reports whether the reason may be that this signer lacks what others have.
func isBehind(err error) bool {
	r := refusal.Of(err)
	return r != nil && slices.ContainsFunc(r.Failures, func(f refusal.Failure) bool { return f.Rule == "chain" })
}

// take records an entry of either sort; from is the peer that brought it, none for anybody else.
func (s *Signer) take(ctx context.Context, entry []byte, from canon.Name) error {
	var e canon.CharterEntry
	if err := canon.Decode(entry, &e); err != nil {
		return refusal.New("entry", "document", "a canonical charter entry", err.Error())
	}
	if e.Step == canon.StepPropose {
		return s.propose(ctx, entry, from)
	}
	_, err := s.enact(ctx, entry, from)
	return err
}

func (s *Signer) propose(ctx context.Context, entry []byte, from canon.Name) error {
	p, fresh, err := s.config.Ledger.Propose(entry, s.now)
	if err != nil {
		return s.noted(err)
	}
	if !fresh {
		return nil
	}
	s.config.Log.InfoContext(ctx, "amendment proposed", slog.String("amendment", p.Digest.String()), slog.Uint64("number", p.Amendment.Number),
		slog.Bool("loosens", p.Loosens), slog.Uint64("delay", p.Delay), slog.String("from", string(from)))
	s.couriers.spread(entry, from)
	return nil
}

// enact puts an amendment in force, and reports whether it was new. What a peer enacted is followed: the word of q signers that they held
// it decides, also where this signer has since learned of a veto. From anybody else it is held against what officers said up to now.
func (s *Signer) enact(ctx context.Context, entry []byte, from canon.Name) (bool, error) {
	verify := s.config.Ledger.Enact
	if from != "" {
		verify = s.config.Ledger.Follow
	}
	chain, fresh, err := verify(entry, s.now)
	if err != nil || !fresh {
		return false, s.noted(err)
	}
	now := chain.Current()
	if fork, forked := chain.Forked(); forked {
		s.config.Log.ErrorContext(ctx, "charter forked: nothing is signed until an amendment heals it", slog.Uint64("number", fork.Number),
			slog.String("amendments", rivals(fork)))
	} else {
		s.config.Log.InfoContext(ctx, "charter in force", slog.Uint64("number", now.Number()), slog.String("digest", now.Digest().String()),
			slog.String("from", string(from)))
	}
	s.parameters.again() // there may be keys to make
	s.couriers.spread(entry, from)
	return true, nil
}

// GetCharterChain hands out what this signer has of the chain of amendments, its word on the charter in force, and for each proposal that
// it held for long enough its word on that. A signer that is joining gives no word.
func (s *Signer) GetCharterChain(ctx context.Context, r *strongroomv1.GetCharterChainRequest) (*strongroomv1.GetCharterChainResponse, error) {
	_, done, err := s.charterTurn(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	out := &strongroomv1.GetCharterChainResponse{}
	var enacted []ledger.Enacted
	var chain *amendment.Chain
	seen, vetoes := map[canon.Digest]canon.Time{}, map[canon.Digest][]*strongroomv1.Signed{}
	err = s.config.Ledger.Read(func(x *ledger.Index) error {
		enacted, chain = x.Enacted(r.GetFromNumber()), x.Chain()
		for _, p := range chain.Proposals() {
			first, waits := x.FirstSeen(p.Digest)
			if !waits {
				continue
			}
			seen[p.Digest] = first
			vetoes[p.Digest] = vetoesOf(x, p.Digest)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	out.Enacted = upTo(enacted, maxEnacted)
	size := 0
	for _, p := range chain.Proposals() {
		first, waits := seen[p.Digest]
		if !waits {
			continue
		}
		pending, err := s.pending(ctx, p, first)
		if err != nil {
			return nil, err
		}
		if size += len(pending.GetEntry()); size > maxProposals {
			break
		}
		pending.Vetoes = vetoes[p.Digest]
		out.Proposals = append(out.Proposals, pending)
	}
	if s.joining.hindrance() == nil {
		out.Head = s.head(ctx, chain)
	}
	return out, nil
}

// upTo returns the entries up to a size, but never some of one number without the others.
func upTo(enacted []ledger.Enacted, most int) [][]byte {
	var all [][]byte
	size := 0
	for i, e := range enacted {
		if size += len(e.Entry); size > most && i > 0 && enacted[i-1].Number != e.Number {
			break
		}
		all = append(all, e.Entry)
	}
	return all
}

func vetoesOf(x *ledger.Index, amendment canon.Digest) []*strongroomv1.Signed {
	var all []*strongroomv1.Signed
	for _, signed := range x.Statements(amendment) {
		if recorded, ok := x.Set().Get(canon.KindStatement.Digest(signed.Document)); ok && recorded.Verb == canon.StateVeto {
			all = append(all, wireSigned(signed))
		}
	}
	return all
}

// pending describes a proposal. If it may be held by now, that is said.
func (s *Signer) pending(ctx context.Context, p *amendment.Proposal, seen canon.Time) (*strongroomv1.PendingAmendment, error) {
	entry, err := p.Entry(nil)
	if err != nil {
		return nil, fmt.Errorf("signer: proposal %s: %w", p.Digest, err)
	}
	out := &strongroomv1.PendingAmendment{
		Entry: entry, Digest: p.Digest.String(), FirstSeenTime: timestamppb.New(seen.At()),
		ReadyTime: timestamppb.New(max(seen+canon.Time(p.Delay), p.Amendment.NotBefore).At()),
	}
	if held, ok := s.sayHeld(ctx, p.Digest); ok {
		out.Held = append(out.Held, wireSigned(held))
	}
	return out, nil
}

// sayHeld returns this signer's word that it held the proposal, if there is nothing against it now.
func (s *Signer) sayHeld(ctx context.Context, amendment canon.Digest) (canon.Signed, bool) {
	if s.joining.hindrance() != nil {
		return canon.Signed{}, false
	}
	held, err := s.config.Ledger.SayHeld(amendment, canon.TimeOf(s.config.Now()), func(h canon.Held) (canon.Signed, error) { return s.sign(h) })
	if err != nil && refusal.Of(err) == nil {
		s.config.Log.ErrorContext(ctx, "amendment not said to be held", slog.String("amendment", amendment.String()), slog.String("error", s.noted(err).Error()))
	}
	return held, err == nil
}

// head returns this signer's word on the charter in force, none of a forked one.
func (s *Signer) head(ctx context.Context, chain *amendment.Chain) *strongroomv1.Signed {
	now := canon.TimeOf(s.config.Now())
	h, err := chain.Head(s.config.Self, now)
	if err != nil {
		return nil
	}
	signed, err := s.sign(*h)
	if err != nil {
		s.config.Log.ErrorContext(ctx, "head not signed", slog.String("error", err.Error()))
		return nil
	}
	return wireSigned(signed)
}
