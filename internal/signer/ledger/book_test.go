package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
	"golang.org/x/crypto/ssh/agent"
)

// following is a configuration of a ledger that follows the test charter.
func following(t testing.TB) Config {
	t.Helper()
	g := chartertest.Genesis()
	genesis, digest, err := canon.Seal(g)
	if err != nil {
		t.Fatal(err)
	}
	c := config(t)
	c.Genesis, c.Organisation = genesis, digest
	return c
}

// signed is a document as an officer of the test charter signs it.
func signed(t testing.TB, officer canon.Name, d canon.Document) canon.Signed {
	t.Helper()
	document, err := canon.Encode(d)
	if err != nil {
		t.Fatal(err)
	}
	ring := agent.NewKeyring()
	if err := ring.Add(agent.AddedKey{PrivateKey: chartertest.Key(string(officer))}); err != nil {
		t.Fatal(err)
	}
	key, err := approval.FromAgent(ring, chartertest.SSH(string(officer)))
	if err != nil {
		t.Fatal(err)
	}
	out, err := key.Sign(d.Kind(), document, approval.NamespaceApproval)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// edited is a version of the book with any root, approved by alice and bob.
func edited(t testing.TB, c Config, serial uint64, previous, hash canon.Digest) (update []byte, root canon.Digest) {
	t.Helper()
	r := canon.BookRoot{Organisation: c.Organisation, Serial: serial, Previous: previous, Size: 3, Root: hash}
	document, digest, err := canon.Seal(r)
	if err != nil {
		t.Fatal(err)
	}
	u := canon.BookUpdate{Organisation: c.Organisation, Root: document}
	for _, officer := range []canon.Name{"alice", "bob"} {
		u.Approvals = append(u.Approvals, signed(t, officer, canon.Approval{Organisation: c.Organisation, Object: canon.ObjectBookRoot, Digest: digest,
			Decision: canon.Approve, Officer: officer, NotAfter: 1_000_000}))
	}
	update, err = canon.Encode(u)
	if err != nil {
		t.Fatal(err)
	}
	return update, digest
}

// first is the root of the genesis's own version.
func first() canon.Digest { return chartertest.Genesis().Book.Root }

func revocation(t testing.TB, c Config, officer canon.Name) canon.Signed {
	t.Helper()
	return signed(t, officer, canon.Statement{Organisation: c.Organisation, Officer: officer, Serial: 1, Verb: canon.StateRevoke,
		Object: approval.KeyDigest(chartertest.SSH(string(officer)))})
}

func TestVersionsOfTheBookAreKeptWithTheirTimes(t *testing.T) {
	c := following(t)
	l := open(t, c)
	second, _ := edited(t, c, 2, first(), digest("two"))
	third, _ := edited(t, c, 3, digest("two"), digest("three"))
	if v, fresh, err := l.UpdateBook(second, at(5000)); err != nil || !fresh || v.Serial != 2 || v.Seen != 5000 {
		t.Fatalf("expected version 2 seen at 5000, found %+v, fresh %t, %v", v, fresh, err)
	}
	if v, fresh, err := l.UpdateBook(second, at(6000)); err != nil || fresh || v.Seen != 5000 {
		t.Errorf("again: expected the one seen at 5000, found %+v, fresh %t, %v", v, fresh, err)
	}
	if _, fresh, err := l.UpdateBook(third, at(7000)); err != nil || !fresh {
		t.Fatalf("expected version 3, found fresh %t, %v", fresh, err)
	}
	// What officers say afterwards takes nothing back, here or when it is read again.
	if err := keep(l, revocation(t, c, "alice")); err != nil {
		t.Fatal(err)
	}
	state, before := l.State(), l.Book()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t, c)
	if again.State() != state || state.Length != 4 || !reflect.DeepEqual(again.Book(), before) {
		t.Errorf("expected the same three versions, found %+v", again.Book().Newest())
	}
	if n, m := again.Book().Newest(), again.Book().Payable(5000+86_400, 86_400); n[0].Serial != 3 || n[0].Seen != 7000 || m[0].Serial != 2 || m[0].Seen != 5000 {
		t.Errorf("expected versions 3 and 2 with their times, found %+v, %+v", n[0], m[0])
	}
	// A new one by a revoked key does not count.
	fourth, _ := edited(t, c, 9, first(), digest("four"))
	_, _, err := again.UpdateBook(fourth, at(8000))
	refused(t, err, "approvals", "update.approvals")
}

func TestAVersionIsVerifiedOutsideTheLockAndAgainAfterAChange(t *testing.T) {
	c := following(t)
	l := open(t, c)
	update, root := edited(t, c, 2, first(), digest("two"))
	reject := signed(t, "carol", canon.Statement{Organisation: c.Organisation, Officer: "carol", Serial: 1, Verb: canon.StateReject, Object: root})
	calls := 0
	_, _, err := l.UpdateBook(update, func() canon.Time {
		if calls++; calls == 1 { // outside the lock, which this needs
			if err := keep(l, reject); err != nil {
				t.Error(err)
			}
		}
		return 5000
	})
	refused(t, err, "approvals", "update.approvals")
	if l.State().Length != 2 || len(l.Book().Newest()[0].Update) != 0 {
		t.Errorf("expected the rejection recorded alone, found %d records", l.State().Length)
	}
}

func TestARecordOfABookThatCouldNotBeHereIsDamage(t *testing.T) {
	c := following(t)
	second, root := edited(t, c, 2, first(), digest("two"))
	reject := statementRecord{Statement: signed(t, "carol", canon.Statement{Organisation: c.Organisation, Officer: "carol", Serial: 1, Verb: canon.StateReject, Object: root}), Seen: 5000}
	late := bookRecord{Update: second, Seen: 2_000_000} // the approvals have ended
	good := bookRecord{Update: second, Seen: 5000}
	other := c.Organisation
	other[0] ^= 1
	foreign, _ := edited(t, Config{Organisation: other}, 2, first(), digest("two"))
	for name, records := range map[string][]any{
		"twice":                          {good, good},
		"after a rejection":              {reject, good},
		"after the approvals ended":      {late},
		"of another organisation":        {bookRecord{Update: foreign, Seen: 5000}},
		"of no update":                   {bookRecord{Update: []byte{1}, Seen: 5000}},
		"by officers who were revoked":   {statementRecord{Statement: revocation(t, c, "alice"), Seen: 4000}, good},
		"":                               {good, reject},
		"(before the revocation counts)": {good, statementRecord{Statement: revocation(t, c, "alice"), Seen: 6000}},
	} {
		t.Run(name, func(t *testing.T) {
			c := c
			c.Dir = privateDir(t)
			previous, file := canon.Digest{}, []byte(nil)
			for _, v := range append([]any{openRecord{Format: format, Organisation: c.Organisation, Signer: "node-1", Incarnation: 1}}, records...) {
				k := map[bool]kind{true: kindStatement, false: kindBook}[reflect.TypeOf(v) == reflect.TypeFor[statementRecord]()]
				if len(file) == 0 {
					k = kindOpen
				}
				r, b, err := newRecord(k, previous, v)
				if err != nil {
					t.Fatal(err)
				}
				previous, file = r.hash, append(file, b...)
			}
			if err := os.WriteFile(filepath.Join(c.Dir, recordsName), file, 0o600); err != nil {
				t.Fatal(err)
			}
			c.Create = false
			l, err := Open(c)
			if whole := name == "" || name[0] == '('; whole != (err == nil) || !whole && !errors.Is(err, ErrDamaged) {
				t.Errorf("expected damage %t, found %v", !whole, err)
			}
			if err == nil {
				if err := l.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestABookRecordCutAnywhereIsRepaired(t *testing.T) {
	c := following(t)
	l := open(t, c)
	second, _ := edited(t, c, 2, first(), digest("two"))
	path := filepath.Join(c.Dir, recordsName)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := l.UpdateBook(second, at(5000)); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	c.Create = false
	for cut := len(before); cut <= len(whole); cut += 7 {
		rewrite(t, c, whole[:cut])
		l, err := Open(c)
		if err != nil {
			t.Fatalf("cut at %d of %d: expected a repair, found %v", cut, len(whole), err)
		}
		if n := l.Book().Newest()[0].Serial; (n == 2) != (cut == len(whole)) {
			t.Errorf("cut at %d of %d: found version %d", cut, len(whole), n)
		}
		// What was not acknowledged is recorded when it comes again.
		if _, fresh, err := l.UpdateBook(second, at(6000)); err != nil || fresh != (cut != len(whole)) {
			t.Errorf("cut at %d: expected it recorded once, found fresh %t, %v", cut, fresh, err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestVersionsOfTheBookAreBounded(t *testing.T) {
	c := following(t)
	l := open(t, c)
	second, _ := edited(t, c, 2, first(), digest("two"))
	for name, fill := range map[string]func(*Index){
		"versions": func(x *Index) { x.bookVersions, x.bookBytes = MaxBookVersions, 0 },
		"bytes":    func(x *Index) { x.bookVersions, x.bookBytes = 0, MaxBookBytes-len(second)+1 },
	} {
		if err := l.Read(func(x *Index) error { fill(x); return nil }); err != nil {
			t.Fatal(err)
		}
		_, _, err := l.UpdateBook(second, at(5000))
		refused(t, err, "book", "update")
		if l.State().Length != 1 {
			t.Errorf("%s: expected nothing written, found %d records", name, l.State().Length)
		}
	}
	_, _, err := l.UpdateBook(make([]byte, MaxBookUpdate+1), at(5000))
	refused(t, err, "book", "update")
	if err := l.Read(func(x *Index) error {
		x.bookVersions, x.bookBytes = MaxBookVersions-1, MaxBookBytes-len(second)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if _, fresh, err := l.UpdateBook(second, at(5000)); err != nil || !fresh {
		t.Errorf("the last that fits: expected it recorded, found fresh %t, %v", fresh, err)
	}
}

func TestALedgerWithoutACharterKeepsNoBook(t *testing.T) {
	l := open(t, config(t))
	if _, _, err := l.UpdateBook([]byte{1}, at(1)); !errors.Is(err, errNoCharter) || l.Book() != nil {
		t.Errorf("expected %v, found %v", errNoCharter, err)
	}
}

func TestAFailedWriteKeepsTheBookAsItWas(t *testing.T) {
	c := following(t)
	l := open(t, c)
	good := l.file
	l.file = &failing{file: good, sync: fmt.Errorf("no")}
	second, _ := edited(t, c, 2, first(), digest("two"))
	before := l.Book()
	for range 2 {
		if _, fresh, err := l.UpdateBook(bytes.Clone(second), at(5000)); !errors.Is(err, ErrPoisoned) || fresh || l.Book() != before {
			t.Errorf("expected ErrPoisoned and the book as it was, found fresh %t, %v", fresh, err)
		}
	}
	l.file = good
}
