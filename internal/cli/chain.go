package cli

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/strongroom/strongroom/proto/canon"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// news is what servers said of the charter's chain when the session began.
type news struct {
	answers []answer[*pb.GetCharterChainResponse] // coordinator first, if there is one, then signers
	heads   []HeadView
	entries [][]byte // that were followed, in order
	// doubts say why this may not be the charter in force: nothing is approved while there is one.
	doubts []string
}

// Bounds of what is read of a chain.
const (
	maxEntries     = 4096
	maxEntriesFile = 64 << 20
)

// update asks coordinator and signers for the chain of amendments and follows what verifies. Nobody is believed: an entry proves itself,
// and what a signed head says beyond it is a doubt.
func (s *Session) update(ctx context.Context) {
	warned := map[string]bool{}
	from := uint64(0)
	for range maxEntries { // answers may be cut, and amendments may name new servers, which know more
		before := len(s.news.entries)
		s.news.answers = s.askChains(ctx, from)
		var entries []sourced
		for _, a := range s.news.answers {
			for _, e := range a.Value.GetEnacted() {
				entries = append(entries, sourced{a.Server, e})
			}
		}
		for _, refused := range s.followEntries(entries) {
			if !warned[refused.Error] {
				s.Note("WARNING: %s served an amendment that does not verify: %s", refused.Server, refused.Error)
			}
			warned[refused.Error] = true
		}
		if len(s.news.entries) == before {
			break
		}
		from = s.Charter.Number()
		if fork, ok := s.Chain.Forked(); ok {
			from = fork.Number + 1 // what heals it
		}
		s.Close() // the keys of servers may have changed
	}
	s.weigh()
}

// askChains asks everybody at the same time; the coordinator's answer comes first.
func (s *Session) askChains(ctx context.Context, from uint64) []answer[*pb.GetCharterChainResponse] {
	var all []answer[*pb.GetCharterChainResponse]
	var wait sync.WaitGroup
	request := &pb.GetCharterChainRequest{FromNumber: from}
	if s.Config.Coordinator != "" {
		all = append(all, answer[*pb.GetCharterChainResponse]{Server: coordinatorName})
		c, err := s.coordinator()
		all[0].Err = err
		front := &all[0]
		if err == nil {
			wait.Go(func() {
				ctx, cancel := context.WithTimeout(ctx, signerTimeout)
				defer cancel()
				front.Value, front.Err = c.GetCharterChain(ctx, request)
			})
		}
	}
	peers, err := s.signers()
	answers := askSigners(ctx, peers, func(ctx context.Context, p signerPeer) (*pb.GetCharterChainResponse, error) {
		return p.GetCharterChain(ctx, request)
	})
	if err != nil {
		answers = append(answers, answer[*pb.GetCharterChainResponse]{Server: "signers", Err: err})
	}
	wait.Wait()
	return append(all, answers...)
}

// sourced is an entry and who served it.
type sourced struct {
	server string
	entry  []byte
}

// readSourced is an entry that could be read.
type readSourced struct {
	sourced
	number uint64
	digest canon.Digest // of its amendment
}

// readEntries reads entries, each once, in the order of their numbers. It returns what cannot be read, too.
func readEntries(entries []sourced) (list []readSourced, refused []UnreachableView) {
	known := map[string]bool{}
	for _, e := range entries {
		if known[string(e.entry)] || len(known) == maxEntries {
			continue
		}
		known[string(e.entry)] = true
		digest, number, err := readEntry(e.entry)
		if err != nil {
			refused = append(refused, UnreachableView{e.server, err.Error()})
			continue
		}
		list = append(list, readSourced{e, number, digest})
	}
	slices.SortStableFunc(list, func(a, b readSourced) int { return cmp.Compare(a.number, b.number) })
	return list, refused
}

// followEntries follows entries in the order of their numbers, in which each finds the one before it. It returns those that do not
// verify, unless another entry enacts the same amendment.
func (s *Session) followEntries(entries []sourced) []UnreachableView {
	list, out := readEntries(entries)
	refused := map[canon.Digest]UnreachableView{}
	for _, e := range list {
		next, err := s.Chain.Follow(e.entry, s.now())
		if err != nil {
			refused[e.digest] = UnreachableView{e.server, fmt.Sprintf("number %d: %s", e.number, err)}
			continue
		}
		if next != s.Chain {
			s.news.entries = append(s.news.entries, e.entry)
		}
		s.adopt(next)
		delete(refused, e.digest)
	}
	for _, e := range list {
		if r, ok := refused[e.digest]; ok {
			out = append(out, r)
			delete(refused, e.digest)
		}
	}
	return out
}

// readEntry returns digest and number of the entry's amendment.
func readEntry(b []byte) (canon.Digest, uint64, error) {
	var e canon.CharterEntry
	var a canon.Amendment
	if err := canon.Decode(b, &e); err != nil {
		return canon.Digest{}, 0, err
	}
	if err := canon.Decode(e.Amendment, &a); err != nil {
		return canon.Digest{}, 0, err
	}
	return canon.KindAmendment.Digest(e.Amendment), a.Number, nil
}

// HeadView is the charter that a signer signed to be in force.
type HeadView struct {
	Signer string `json:"signer"`
	Number uint64 `json:"number"`
	Digest string `json:"digest"`
	Time   string `json:"time"`
	// Agrees says that it is the charter in force here; a signer that is behind does not agree.
	Agrees bool `json:"agrees"`
}

// weigh holds the heads that signers signed against the chain, and says aloud what does not fit.
func (s *Session) weigh() {
	n := &s.news
	if fork, ok := s.Chain.Forked(); ok {
		n.doubts = append(n.doubts, fmt.Sprintf("the charter forked: %d amendments of number %d are enacted, and until an amendment heals that nothing is signed",
			len(fork.Amendments), fork.Number))
	}
	heard := 0
	for _, a := range n.answers {
		if a.Err != nil {
			continue
		}
		heard++
		if a.Server != coordinatorName && a.Value.GetHead() != nil {
			s.weighHead(a.Server, a.Value.GetHead())
		}
	}
	current := s.Charter.Number()
	switch {
	case len(n.answers) > 0 && heard == 0:
		s.Note("WARNING: nobody who serves the charter answered. It is taken to be number %s, as known here.", current)
	case heard > 0 && len(s.Config.Signers) > 0 && len(n.heads) == 0:
		s.Note("WARNING: no signer confirmed that number %s is the charter in force.", current)
	}
	for _, d := range n.doubts {
		s.Note("WARNING: %s", d)
	}
}

// weighHead takes one head into account.
func (s *Session) weighHead(signer string, wire *pb.Signed) {
	signed, err := signedOf(wire)
	if err != nil {
		s.Note("WARNING: %s sent a head that is not signed: %s", signer, err)
		return
	}
	h, err := s.Chain.OpenHead(signed)
	if err == nil && string(h.Signer) != signer {
		err = fmt.Errorf("expected one by %s, found one by %s", signer, h.Signer)
	}
	if err != nil {
		s.Note("WARNING: %s sent a head that does not verify: %s", signer, err)
		return
	}
	n, current := &s.news, s.Charter
	n.heads = append(n.heads, HeadView{signer, h.Number, h.Charter.String(), stamp(h.Time), h.Charter == current.Digest()})
	then, known := s.Chain.Charter(h.Number)
	switch {
	case h.Number > current.Number():
		n.doubts = append(n.doubts, fmt.Sprintf("%s signed that charter number %d is in force, and no amendment leads beyond number %d here: somebody withholds it",
			signer, h.Number, current.Number()))
	case !known || then.Digest() != h.Charter:
		n.doubts = append(n.doubts, fmt.Sprintf("%s signed that charter number %d is %s, another than here: the charter forked", signer, h.Number, h.Charter))
	}
}

// trusted refuses while there is doubt which charter is in force. What stops something is never held up by it.
func (s *Session) trusted() error {
	if len(s.news.doubts) == 0 {
		return nil
	}
	return fmt.Errorf("charter: %w: %s", ErrRefused, strings.Join(s.news.doubts, "; "))
}

// followFile follows the entries of a file, one a line in base64. All of them must verify.
func (s *Session) followFile(path string) error {
	b, err := readFile(path, maxEntriesFile)
	if err != nil {
		return err
	}
	list, err := decodeEntries(b)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	entries := make([]sourced, len(list))
	for i, e := range list {
		entries[i] = sourced{path, e}
	}
	if refused := s.followEntries(entries); len(refused) > 0 {
		return fmt.Errorf("%s: %w: %s", path, ErrRefused, refused[0].Error)
	}
	return nil
}

// maxLine is more than the base64 of the largest entry, 2 MiB.
const maxLine = 3 << 20

func decodeEntries(b []byte) ([][]byte, error) {
	var out [][]byte
	lines := bufio.NewScanner(bytes.NewReader(b))
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		if len(out) == maxEntries {
			return nil, fmt.Errorf("entries: expected at most %d, found more", maxEntries)
		}
		e, err := base64.StdEncoding.Strict().DecodeString(lines.Text())
		if err != nil {
			return nil, fmt.Errorf("line %d: expected an entry in base64: %w", len(out)+1, err)
		}
		out = append(out, e)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("line %d: %w", len(out)+1, err)
	}
	return out, nil
}

func encodeEntries(entries [][]byte) []byte {
	var b bytes.Buffer
	for _, e := range entries {
		b.WriteString(base64.StdEncoding.EncodeToString(e) + "\n")
	}
	return b.Bytes()
}
