package coordinator

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// Time limits of calls to signers.
const (
	probeTimeout   = 3 * time.Second
	reserveTimeout = 25 * time.Second
	signTimeout    = 2 * time.Minute
	keygenTimeout  = 10 * time.Minute
	changeTimeout  = 2 * time.Minute // a change of a book of 10^6 entries
)

// signers are the connections to the signers, with a memory of which gave trouble lately.
type signers struct {
	charter   func() *charter.Charter
	connect   func(canon.Signer) (Signer, error)
	mu        sync.Mutex
	connected map[canon.Name]connection
	trouble   map[canon.Name]int // failures since the last success
	statuses  map[canon.Name]*strongroomv1.SignerStatus
	devices   map[canon.Name][]*strongroomv1.DeviceStatus // of those that answered last
	resting   map[vaultOf]rest                            // devices that are not asked for a while
}

// connection is to the signer that has this identity.
type connection struct {
	Signer
	identity canon.PublicKey
}

func newSigners(charter func() *charter.Charter, connect func(canon.Signer) (Signer, error)) *signers {
	return &signers{charter: charter, connect: connect, connected: map[canon.Name]connection{}, trouble: map[canon.Name]int{}, statuses: map[canon.Name]*strongroomv1.SignerStatus{},
		devices: map[canon.Name][]*strongroomv1.DeviceStatus{}, resting: map[vaultOf]rest{}}
}

// open returns a connection to a signer of the charter in force.
func (s *signers) open(name canon.Name) (Signer, error) {
	member, ok := s.charter().Signer(name)
	if !ok {
		return Signer{}, status.Errorf(codes.Unavailable, "signer %s: expected one of the charter in force, found none", name)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c, ok := s.connected[name]; ok && c.identity == member.Identity {
		return c.Signer, nil
	}
	signer, err := s.connect(member)
	if err != nil {
		return Signer{}, status.Errorf(codes.Unavailable, "signer %s: %s", name, err)
	}
	s.connected[name] = connection{signer, member.Identity}
	return signer, nil
}

// answer is what one signer answered.
type answer[T any] struct {
	signer canon.Name
	value  T
	err    error
}

// ask calls the signers of these names at the same time and hands over each answer as it comes. The channel has room for all of them:
// whoever stops reading leaves nothing behind but calls that ctx ends.
func ask[T any](ctx context.Context, s *signers, names []canon.Name, timeout time.Duration, call func(context.Context, Signer) (T, error)) <-chan answer[T] {
	out := make(chan answer[T], len(names))
	var group sync.WaitGroup
	for _, name := range names {
		group.Go(func() {
			a := answer[T]{signer: name}
			c, err := s.open(name)
			if err != nil {
				a.err = err
				out <- a
				return
			}
			if c.Wake != nil {
				c.Wake()
			}
			ctx, cancel := context.WithTimeout(ctx, timeout)
			defer cancel()
			a.value, a.err = call(ctx, c)
			out <- a
		})
	}
	go func() {
		group.Wait()
		close(out)
	}()
	return out
}

// probe asks signers for their status and returns those that answered, in the order of names. learn sees every answer.
func (s *signers) probe(ctx context.Context, names []canon.Name, learn func(canon.Name, []*strongroomv1.KeyStatus)) []canon.Name {
	answers := ask(ctx, s, names, probeTimeout, func(ctx context.Context, signer Signer) (*strongroomv1.GetSignerStatusResponse, error) {
		return signer.Client.GetSignerStatus(ctx, &strongroomv1.GetSignerStatusRequest{})
	})
	var reachable []canon.Name
	for a := range answers {
		st := &strongroomv1.SignerStatus{Signer: string(a.signer)}
		if a.err != nil {
			st.Error = clean(status.Convert(a.err).Message())
		} else {
			st = a.value.GetStatus()
			if st == nil {
				st = &strongroomv1.SignerStatus{}
			}
			st.Signer, st.Reachable, st.Error = string(a.signer), true, ""
			reachable = append(reachable, a.signer)
			learn(a.signer, st.GetKeys())
			st.Error = tokenErrors(a.value.GetDevices())
		}
		s.mu.Lock()
		s.statuses[a.signer], s.devices[a.signer] = st, a.value.GetDevices()
		s.mu.Unlock()
	}
	slices.SortFunc(reachable, func(a, b canon.Name) int { return slices.Index(names, a) - slices.Index(names, b) })
	return reachable
}

// tokenErrors says which tokens of a signer cannot sign.
func tokenErrors(devices []*strongroomv1.DeviceStatus) string {
	var out []string
	for _, d := range devices {
		if d.GetError() != "" {
			out = append(out, clean(fmt.Sprintf("token of wallet %.70s: %.300s", d.GetWallet(), d.GetError())))
		}
	}
	return strings.Join(out, "; ")
}

// tokenTrouble returns in what words a signer said that its token cannot sign for a wallet when it was asked last; empty if it can. One that says nothing
// of the wallet is asked all the same, and says itself what is wrong.
func (s *signers) tokenTrouble(name, wallet canon.Name) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.devices[name] {
		if d.GetWallet() == string(wallet) && d.GetError() != "" {
			return clean(fmt.Sprintf("%.300s", d.GetError()))
		}
	}
	return ""
}

// back reports whether a signer with a token, all of whose tokens can sign, did not answer or could not when it was asked before. Working is what was
// found then, and is brought up to date.
func (s *signers) back(working map[canon.Name]bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	any := false
	for name, devices := range s.devices {
		works := len(devices) > 0 && tokenErrors(devices) == ""
		any = any || works && !working[name]
		working[name] = works
	}
	return any
}

// status returns a copy of the last known status of a signer.
func (s *signers) status(name canon.Name) *strongroomv1.SignerStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	if st := s.statuses[name]; st != nil {
		return proto.CloneOf(st)
	}
	return &strongroomv1.SignerStatus{Signer: string(name), Error: "not asked yet"}
}

// note remembers how a signer's part in a session went.
func (s *signers) note(name canon.Name, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ok {
		delete(s.trouble, name)
	} else {
		s.trouble[name]++
	}
}

// choose returns n of the candidates, sorted by name: those with the least trouble, chance deciding between equals, so that no two
// that cannot work together are paired for ever. It returns none if there are not enough.
func (s *signers) choose(candidates []canon.Name, n int) []canon.Name {
	if n < 1 || len(candidates) < n {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	list := slices.Clone(candidates)
	rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	slices.SortStableFunc(list, func(a, b canon.Name) int { return s.trouble[a] - s.trouble[b] })
	list = list[:n]
	slices.Sort(list)
	return list
}

// watchSigners keeps statuses and group keys up to date, and has withdrawals that wait for a device looked at when one is back.
func (s *Service) watchSigners(ctx context.Context) {
	working := map[canon.Name]bool{}
	every(ctx, s.Poll, func() {
		s.signers.probe(ctx, s.members(), s.keys.learn)
		if s.signers.back(working) {
			s.nudgeWaiting(ctx)
		}
	})
}

// members returns all signers of the charter in force.
func (s *Service) members() []canon.Name {
	var out []canon.Name
	for _, signer := range s.charter().Genesis().Signers {
		out = append(out, signer.Name)
	}
	return out
}

// roster returns the members that keep the ledger.
func (s *Service) roster() []canon.Name { return rosterOf(s.charter()) }

func rosterOf(c *charter.Charter) []canon.Name {
	var out []canon.Name
	for _, signer := range c.Genesis().Signers {
		if signer.Ledger {
			out = append(out, signer.Name)
		}
	}
	return out
}
