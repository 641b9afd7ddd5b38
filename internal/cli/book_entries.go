package cli

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
	"github.com/strongroom/strongroom/wallets"
)

// Bounds of the entries of a book.
const (
	maxBookEntry = 1 << 10 // bytes of an entry's encoding
	bookPage     = 4096    // entries of a page
	maxCached    = 4 << 30 // bytes of a book that is kept
	maxEntriesOf = 8 << 20 // entries of a book that this command reads: far more than anybody has, and what fits into memory
	keptBooks    = 4       // that are kept: the newest, the payable one, and what they follow
)

// bookOf returns the book with that root: the one kept beside the configuration, or the one that the coordinator lists. Whichever it is,
// its root is computed here.
func (s *Session) bookOf(ctx context.Context, r book.Root) (*book.Tree, error) {
	if r.Size > maxEntriesOf {
		return nil, refusal.New("book", "size", fmt.Sprintf("at most %d entries, what this command reads", maxEntriesOf), fmt.Sprint(r.Size))
	}
	path := s.keptBook(r)
	kept, err := readBook(path, r)
	if err == nil {
		return kept, nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		s.Note("The address book in %s does not count, it is fetched anew: %s", path, errorText(err))
	}
	if s.Offline {
		return nil, fmt.Errorf("%w: address book: expected version %d in %s, as nobody is asked for it, found none", ErrUnreachable, r.Serial, path)
	}
	entries, err := s.fetchBook(ctx, r)
	if err != nil {
		return nil, err
	}
	tree, err := treeOf(entries, r, coordinatorName)
	if err != nil {
		return nil, err
	}
	if err := keepBook(path, tree); err != nil {
		s.Note("The address book cannot be kept, and is fetched anew next time: %s", err)
	}
	return tree, nil
}

// treeOf builds the book, and refuses one that is not the one that the signers name.
func treeOf(entries [][]byte, r book.Root, from string) (*book.Tree, error) {
	tree, err := book.Load(slices.Values(entries))
	if err != nil {
		return nil, refusal.New("book", "entries", fmt.Sprintf("those of version %d from the %s", r.Serial, from), err.Error())
	}
	if found := tree.Version(r.Serial); found != r {
		return nil, refusal.New("book", "entries", fmt.Sprintf("%d with root %s, that of version %d, from the %s", r.Size, r.Hash, r.Serial, from),
			fmt.Sprintf("%d with root %s", found.Size, found.Hash))
	}
	return tree, nil
}

// fetchBook asks the coordinator for all entries of the version.
func (s *Session) fetchBook(ctx context.Context, r book.Root) ([][]byte, error) {
	if r.Size == 0 {
		return nil, nil
	}
	c, err := s.coordinator()
	if err != nil {
		return nil, err
	}
	var all [][]byte
	token := ""
	for {
		reply, err := call(ctx, c.ListBookEntries, &pb.ListBookEntriesRequest{Root: r.Hash[:], PageSize: bookPage, PageToken: token})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", coordinatorName, err)
		}
		page, following := reply.GetEntries(), reply.GetNextPageToken()
		if n := uint64(len(all) + len(page)); n > r.Size || len(page) == 0 {
			return nil, refusal.New("book", "entries", fmt.Sprintf("%d of version %d from the %s", r.Size, r.Serial, coordinatorName), fmt.Sprintf("%d and a page of %d", len(all), len(page)))
		}
		if i := slices.IndexFunc(page, func(e []byte) bool { return len(e) > maxBookEntry }); i >= 0 {
			return nil, refusal.New("book", "entries", fmt.Sprintf("entries of at most %d bytes from the %s", maxBookEntry, coordinatorName), fmt.Sprintf("one of %d", len(page[i])))
		}
		all = append(all, page...)
		if token = following; token == "" {
			return all, nil
		}
	}
}

// keptBook is where the book with that root is kept.
func (s *Session) keptBook(r book.Root) string {
	return filepath.Join(filepath.Dir(s.path), "address-book", r.Hash.String())
}

// readBook reads a book that keepBook wrote. Its root must be the one that is asked for.
func readBook(path string, r book.Root) (*book.Tree, error) {
	b, err := readFile(path, min(maxCached, int64(r.Size)*(maxBookEntry+binary.MaxVarintLen16)))
	if err != nil {
		return nil, err
	}
	entries, err := parseBook(b)
	if err != nil {
		return nil, err
	}
	return treeOf(entries, r, "file")
}

// keptTree reads a book that keepBook wrote, of whatever size. Its root must be the one that is asked for.
func (s *Session) keptTree(root canon.Digest) (*book.Tree, error) {
	b, err := readFile(s.keptBook(book.Root{Hash: root}), maxCached)
	if err != nil {
		return nil, err
	}
	entries, err := parseBook(b)
	if err != nil {
		return nil, err
	}
	tree, err := book.Load(slices.Values(entries))
	if err == nil && tree.Root() != root {
		err = fmt.Errorf("expected entries with root %s, found %s", root, tree.Root())
	}
	return tree, err
}

// parseBook parts entries, each after its length.
func parseBook(b []byte) ([][]byte, error) {
	var all [][]byte
	for len(b) > 0 {
		n, used := binary.Uvarint(b)
		if used <= 0 || n > maxBookEntry || uint64(len(b)-used) < n {
			return nil, fmt.Errorf("entry %d: expected a length of at most %d and as many bytes, found %d left", len(all), maxBookEntry, len(b))
		}
		all, b = append(all, b[used:used+int(n)]), b[used+int(n):]
	}
	return all, nil
}

// keepBook writes a book beside the configuration, for its owner only: it says who pays whom.
func keepBook(path string, tree *book.Tree) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	var b bytes.Buffer
	for at := range tree.Size() {
		e := tree.Encoded(at)
		b.Write(binary.AppendUvarint(nil, uint64(len(e))))
		b.Write(e)
	}
	if err := replace(path, b.Bytes(), 0o600); err != nil {
		return err
	}
	return forgetBooks(filepath.Dir(path))
}

// forgetBooks removes all but the books that were written last.
func forgetBooks(dir string) error {
	all, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var books []os.FileInfo
	for _, f := range all {
		if _, err := canon.ParseDigest(f.Name()); err != nil {
			continue // not one of ours
		}
		if info, err := f.Info(); err == nil && info.Mode().IsRegular() {
			books = append(books, info)
		}
	}
	slices.SortFunc(books, func(a, b os.FileInfo) int { return b.ModTime().Compare(a.ModTime()) })
	for _, old := range books[min(len(books), keptBooks):] {
		if err := os.Remove(filepath.Join(dir, old.Name())); err != nil {
			return err
		}
	}
	return nil
}

// EntryOfBook is an entry of the address book.
type EntryOfBook struct {
	Chain   string `json:"chain"`
	Address string `json:"address"`
	Client  string `json:"client"`
	Account string `json:"account"` // * for all of the client's
	Label   string `json:"label"`
	// Groups are those that rules may name.
	Groups []string `json:"groups,omitempty"`
	// Ownership is what kind of evidence the entry names: none, signed-message or micro-deposit.
	Ownership string `json:"ownership"`
	Evidence  string `json:"evidence,omitempty"` // SHA-256 of it
	// Shown says that the evidence was given to this command, and that it is what the entry names.
	Shown bool `json:"shown,omitempty"`
	// Replaced says of an entry that goes that another one for the same address and client comes.
	Replaced bool `json:"replaced,omitempty"`

	whose string // the client with its label
}

// entryOfBook writes an entry for people. Bytes that are no address of a chain of the charter are written as bytes.
func (s *Session) entryOfBook(e canon.BookEntry) EntryOfBook {
	address := fmt.Sprintf("bytes %x", e.Address)
	if chain, ok := s.Charter.Chain(e.Chain); ok {
		if text, err := wallets.AddressText(chain, e.Address); err == nil {
			address = text
		}
	}
	v := EntryOfBook{Chain: string(e.Chain), Address: address, Client: string(e.Client), Account: string(e.Account), Label: string(e.Label), Groups: toStrings(e.Groups),
		Ownership: proofKinds[min(e.Proof, uint64(len(proofKinds)-1))], Evidence: hex.EncodeToString(e.Evidence), whose: string(e.Client)}
	if client, ok := s.Charter.Client(e.Client); ok {
		v.whose = labelled(client.Name, client.Label)
	}
	return v
}

// checkEntry refuses an entry that the charter cannot place, or whose address is none.
func (s *Session) checkEntry(e canon.BookEntry) error {
	if err := s.Charter.CheckBookEntry(e); err != nil {
		return err
	}
	chain, _ := s.Charter.Chain(e.Chain)
	if _, err := wallets.AddressText(chain, e.Address); err != nil {
		return refusal.New("book", "entry.address", "an address of "+string(e.Chain), err.Error())
	}
	return nil
}

// proofKinds are the kinds of evidence of ownership as the TOML of a book names them; canon knows no others.
var proofKinds = []string{"none", "signed-message", "micro-deposit"}

func (e EntryOfBook) writeText(t *text) {
	t.say("  %s", e.Address)
	account := "account " + e.Account
	if e.Account == string(canon.Any) {
		account = "any account"
	}
	t.say("    on %s, for %s, %s", e.Chain, e.whose, account)
	t.wrap("    label: ", quoted(e.Label), 12)
	if len(e.Groups) > 0 {
		t.say("    groups: %s", strings.Join(e.Groups, ", "))
	}
	switch {
	case e.Replaced:
		t.say("    another entry for this address and client takes its place, see above")
	case e.Evidence == "":
		t.say("    ownership: nothing shows it")
	case e.Shown && e.Ownership == proofKinds[book.ProofDeposit]:
		t.say("    ownership: micro-deposit, its text checked here; look for it on the chain")
	case e.Shown:
		t.say("    ownership: signed message, verified here")
	default:
		t.say("    ownership: %s, NOT checked here; SHA-256 %s", strings.ReplaceAll(e.Ownership, "signed-", "signed "), e.Evidence)
	}
}

// quoted writes a text of others between quotes, with its own marked, so that it cannot be taken for a line of this command.
func quoted(label string) string {
	return `"` + strings.ReplaceAll(wallets.EscapeText(label), `"`, `\"`) + `"`
}

// addresses counts them for people.
func addresses(n uint64) string {
	if n == 1 {
		return "1 address"
	}
	return fmt.Sprintf("%d addresses", n)
}

func keyOfEntry(e canon.BookEntry) canon.BookKey {
	return canon.BookKey{Chain: e.Chain, Address: e.Address, Client: e.Client}
}

func sameKey(a, b canon.BookKey) bool {
	return a.Chain == b.Chain && a.Client == b.Client && bytes.Equal(a.Address, b.Address)
}

// placed parses the text of an address on a chain of the charter.
func (s *Session) placed(chain canon.ChainID, address string) (canon.Chain, []byte, error) {
	c, ok := s.Charter.Chain(chain)
	if !ok {
		ids := make([]canon.ChainID, 0, len(s.Charter.Genesis().Chains))
		for _, known := range s.Charter.Genesis().Chains {
			ids = append(ids, known.ID)
		}
		slices.Sort(ids)
		return c, nil, fmt.Errorf("chain: expected one of the charter, %s, found %q", names(ids), chain)
	}
	b, err := wallets.ParseAddress(c, address)
	if err != nil {
		return c, nil, fmt.Errorf("address: %w", err)
	}
	return c, b, nil
}
