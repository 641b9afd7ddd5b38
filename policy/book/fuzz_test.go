package book_test

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"testing"

	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// FuzzReview changes a genuine update: whatever is taken is the version that officers approved.
func FuzzReview(f *testing.F) {
	c := open(f)
	r := second(c)
	good := approved(f, c, r)
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add(append(bytes.Clone(good), 0))
	f.Add(update(f, c, r))
	f.Add(update(f, c, rootOf(c, 3, r.Root, 3), sign(f, "alice", approvalOf(f, c, r, "alice")), sign(f, "bob", approvalOf(f, c, r, "bob"))))
	f.Add(encode(f, canon.BookUpdate{Organisation: c.Organisation(), Root: []byte{0xa0}}))
	f.Add(make([]byte, 256<<10+1))
	begin := book.Begin(c)
	f.Fuzz(func(t *testing.T, b []byte) {
		n, fresh, err := begin.Review(c, b, now, nil)
		switch {
		case err != nil:
			if refusal.Of(err) == nil || n != nil || fresh {
				t.Errorf("expected a refusal, found %v, %v, %v", n, fresh, err)
			}
		case fresh:
			if n.Document != r || !slices.Equal(n.Approvers, []canon.Name{"alice", "bob"}) || !bytes.Equal(n.Update, b) {
				t.Errorf("expected the version that alice and bob approved, found %v by %v", n.Document, n.Approvers)
			}
		default:
			if n.Root != book.Of(c) {
				t.Errorf("expected the genesis's own version, found %v", n.Root)
			}
		}
	})
}

// FuzzLoad reads what a coordinator says is an entry: what is taken is found again, under its own key.
func FuzzLoad(f *testing.F) {
	tree := build(f, entries(2))
	f.Add(tree.Encoded(0))
	f.Add(encode(f, canon.BookEntry{Chain: "eip155:1", Address: make([]byte, 128), Client: "a", Account: "*", Proof: 2, Evidence: make([]byte, 32), Label: "ä"}))
	f.Add([]byte{0xa0})
	f.Add(make([]byte, 1<<10+1))
	f.Fuzz(func(t *testing.T, b []byte) {
		tree, err := book.Load(slices.Values([][]byte{b}))
		if err != nil {
			return
		}
		e := tree.Entry(0)
		if at, ok := tree.Find(keyOf(e)); !ok || at != 0 || !bytes.Equal(tree.Encoded(0), b) {
			t.Errorf("expected to find %v, found %v", keyOf(e), ok)
		}
	})
}

// FuzzCheck changes a genuine proof: no other ever verifies.
func FuzzCheck(f *testing.F) {
	list := entries(11)
	tree := build(f, list)
	c := withBook(f, tree)
	for _, e := range list[:3] {
		p, _ := tree.Prove(e.Chain, e.Address, e.Client)
		f.Add(p.Entry, p.Index, bytes.Join(parts(p.Path), nil))
	}
	f.Add([]byte{}, uint64(1<<63), []byte{})
	f.Fuzz(func(t *testing.T, entry []byte, index uint64, path []byte) {
		p := canon.BookProof{Entry: entry, Index: index, Root: tree.Root()}
		for part := range slices.Chunk(path, len(canon.Digest{})) {
			var d canon.Digest
			copy(d[:], part)
			p.Path = append(p.Path, d)
		}
		e, err := book.Of(c).Check(c, p)
		if err != nil {
			if refusal.Of(err) == nil {
				t.Errorf("expected a refusal, found %v", err)
			}
			return
		}
		if want, ok := tree.Prove(e.Chain, e.Address, e.Client); !ok || !bytes.Equal(want.Entry, entry) || want.Index != index || !slices.Equal(want.Path, p.Path) {
			t.Errorf("expected a proof that the tree gives, found %x at %d", entry, index)
		}
	})
}

func parts(path []canon.Digest) [][]byte {
	var out [][]byte
	for _, d := range path {
		out = append(out, d[:])
	}
	return out
}

// FuzzParseDeposit reads what people hand in: what is taken is written again as it was.
func FuzzParseDeposit(f *testing.F) {
	for _, d := range deposits(f) {
		f.Add([]byte(d.Text()))
	}
	f.Add([]byte("Strongroom micro-deposit\norganisation: \n"))
	f.Add(make([]byte, 2<<10+1))
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := book.ParseDeposit(text)
		if err != nil {
			if refusal.Of(err) == nil {
				t.Errorf("expected a refusal, found %v", err)
			}
			return
		}
		if d.Text() != string(text) {
			t.Errorf("expected %q, found %q", text, d.Text())
		}
		if evidence, err := book.CheckDeposit(bitcoinChain, d); err == nil && evidence != sha256.Sum256(text) {
			t.Errorf("expected the digest of the text, found %s", evidence)
		}
	})
}

// FuzzCheckOwnership changes genuine signatures: nothing else is evidence.
func FuzzCheckOwnership(f *testing.F) {
	b, signBitcoin := onBitcoin(f)
	e, signEVM := onEVM(f)
	good := map[bool][]byte{false: signBitcoin(b.Message()), true: signEVM(e.Message())}
	f.Add(false, good[false])
	f.Add(true, good[true])
	f.Add(true, good[false])
	f.Add(false, make([]byte, 8<<10+1))
	f.Fuzz(func(t *testing.T, evm bool, signature []byte) {
		o, chain := b, bitcoinChain
		if evm {
			o, chain = e, evmChain
		}
		_, err := book.CheckOwnership(chain, o, signature)
		if err != nil && refusal.Of(err) == nil {
			t.Errorf("expected a refusal, found %v", err)
		}
		// BIP-322's prefix, and v as 0 or 1, make other texts of the same signature.
		same := bytes.Equal(bytes.TrimPrefix(signature, []byte("smp")), good[false])
		if evm {
			same = len(signature) == len(good[true]) && bytes.Equal(signature[:130], good[true][:130])
		}
		if err == nil && !same {
			t.Errorf("expected the genuine signature alone, found %q", signature)
		}
	})
}
