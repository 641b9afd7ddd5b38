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
	// warnings are what was said aloud, the doubts among them.
	warnings []string
}

// warn says something aloud and keeps it.
func (s *Session) warn(format string, args ...any) {
	warning := fmt.Sprintf(format, args...)
	s.news.warnings = append(s.news.warnings, warning)
	s.Note("WARNING: %s", warning)
}

// refresh asks anew what the charter has become. What was followed stays followed.
func (s *Session) refresh(ctx context.Context) {
	s.news = news{entries: s.news.entries}
	s.update(ctx)
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
				s.warn("%s served an amendment that does not verify: %s", refused.Server, refused.Error)
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
	var claims []claim
	for _, a := range n.answers {
		if a.Err != nil {
			continue
		}
		heard++
		if a.Server != coordinatorName && a.Value.GetHead() != nil {
			claims = append(claims, s.weighHead(a.Server, a.Value.GetHead())...)
		}
	}
	s.judge(claims)
	current := s.Charter.Number()
	agrees := func(h HeadView) bool { return h.Agrees }
	switch {
	case len(n.answers) > 0 && heard == 0:
		s.warn("nobody who serves the charter answered. It is taken to be number %d, as known here.", current)
	case heard > 0 && len(s.Config.Signers) > 0 && !slices.ContainsFunc(n.heads, agrees):
		s.warn("no signer confirmed that number %d is the charter in force.", current)
	}
	for _, d := range n.doubts {
		s.warn("%s", d)
	}
}

// claim is a signer's word that a charter is in force which is not the one that was followed to here.
type claim struct{ signer, says, means string }

// weighHead takes one head into account, and returns what it claims beyond the chain, if anything.
func (s *Session) weighHead(signer string, wire *pb.Signed) []claim {
	signed, err := signedOf(wire)
	if err != nil {
		s.warn("%s sent a head that is not signed: %s", signer, err)
		return nil
	}
	h, err := s.Chain.OpenHead(signed)
	if err == nil && string(h.Signer) != signer {
		err = fmt.Errorf("expected one by %s, found one by %s", signer, h.Signer)
	}
	if err != nil {
		s.warn("%s sent a head that does not verify: %s", signer, err)
		return nil
	}
	n, current := &s.news, s.Charter
	n.heads = append(n.heads, HeadView{signer, h.Number, h.Charter.String(), stamp(h.Time), h.Charter == current.Digest()})
	then, known := s.Chain.Charter(h.Number)
	switch {
	case h.Number > current.Number():
		return []claim{{signer, fmt.Sprintf("%s signed that charter number %d is in force, and no amendment leads beyond number %d here", signer, h.Number, current.Number()),
			"somebody withholds it"}}
	case !known || then.Digest() != h.Charter:
		return []claim{{signer, fmt.Sprintf("%s signed that charter number %d is %s, another than here", signer, h.Number, h.Charter), "the charter forked"}}
	}
	return nil
}

// judge decides what the word of signers is worth that another charter is in force, for which nobody shows the entries. More than f
// signers who say so are doubts, which stop approvals; up to f are a warning that names them.
//
// An honest signer with a newer charter, or with that of another branch, serves its entries in the same answer as its head, over TLS to a
// pinned key, and entries prove themselves. So a bare claim comes from a signer that lies or is broken, of which the charter expects
// up to f. Were one such claim enough, any one signer could keep all officers from approving, for as long as it likes. Whoever wants
// the contrary, an officer who approves under a charter that is no longer in force, gains nothing from claims being ignored: he would
// have to keep every honest signer's answer away, and those that lie for him claim no more than he wants believed; and what is
// approved that way still meets the signers, who judge by the charter that they have.
// More than f claims cannot be lies alone. Then the entries exist and do not arrive, or do not verify here, because this command is older
// than what they use, or the clock is wrong; or more signers than f are faulty. In none of these should anybody sign.
func (s *Session) judge(claims []claim) {
	faults := s.Charter.Genesis().Roster.Faults
	for _, c := range claims {
		if uint64(len(claims)) > faults { // each by another signer
			s.news.doubts = append(s.news.doubts, c.says+": "+c.means)
			continue
		}
		s.warn("%s. Nobody shows that it is so, and it is not believed: it would take the word of %d signers. Have %s looked after.", c.says, faults+1, c.signer)
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
