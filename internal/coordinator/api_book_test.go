package coordinator

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/proto/rpc"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

func TestChangesThatDoNotFitAreRefused(t *testing.T) {
	w := newWorld(t, "")
	e := w.serve(false)
	good := w.next(w.first(), nil, []canon.BookEntry{payee(script(1))}, "alice", "bob")
	alter := func(change func(*canon.BookChange)) []byte {
		var c canon.BookChange
		if err := canon.Decode(good.change, &c); err != nil {
			t.Fatal(err)
		}
		change(&c)
		return encode(t, c)
	}
	ahead := edition{tree: w.book, serial: 5}
	for name, test := range map[string]struct {
		change []byte
		field  string
	}{
		"garbage":              {[]byte("garbage"), "change"},
		"other organisation":   {alter(func(c *canon.BookChange) { c.Organisation[0] ^= 1 }), "change.organisation"},
		"another entry":        {alter(func(c *canon.BookChange) { c.Add[0].Address[5] ^= 1 }), "change"},
		"an entry more":        {alter(func(c *canon.BookChange) { c.Add = append(c.Add, payee(script(2))) }), "change"},
		"removes what is not":  {alter(func(c *canon.BookChange) { c.Remove = keyed(script(9)) }), "change"},
		"adds what is there":   {alter(func(c *canon.BookChange) { c.Add[0] = payee(w.payee) }), "change"},
		"one officer":          {w.next(w.first(), keyed(w.payee), nil, "alice").change, "update.approvals"},
		"the serial of before": {w.next(edition{tree: w.book, serial: 0}, keyed(w.payee), nil, "alice", "bob").change, "root.serial"},
		"a serial far ahead":   {w.next(edition{tree: w.book, serial: 1 << 30}, keyed(w.payee), nil, "alice", "bob").change, "root.serial"},
		"update is garbage":    {alter(func(c *canon.BookChange) { c.Update = []byte("x") }), "update"},
	} {
		_, err := e.submit(test.change)
		if r := refusal.Of(err); r == nil || status.Code(err) != codes.InvalidArgument || r.Failures[0].Field != test.field {
			t.Errorf("%s: expected a refusal of %s, found %v", name, test.field, err)
		}
	}
	officer := strongroomv1.NewBookServiceClient(e.as(rpc.Officer, "alice"))
	_, err := officer.SubmitBookUpdate(w.ctx, &strongroomv1.SubmitBookUpdateRequest{Update: good.update})
	if r := refusal.Of(err); r == nil || !strings.Contains(r.Failures[0].Expected, "SubmitBookChange") {
		t.Errorf("an update without its change: expected a refusal that says so, found %v", err)
	}
	if found := w.serials(); !slices.Equal(found, []uint64{1, 1, 1, 1}) || w.service.Books.all().Newest()[0].Serial != 1 {
		t.Errorf("expected that nothing changed, found %v", found)
	}
	skips := w.next(ahead, keyed(w.payee), nil, "alice", "bob") // follows a version that is not here, by the entries of the one that is
	for range 2 {
		if got, err := e.submit(skips.change); err != nil || got.GetSerial() != 6 || len(got.GetRecordedBy()) != 4 {
			t.Errorf("skipped serials: expected version 6 recorded, found %v, %v", got, err)
		}
	}
	got, err := officer.SubmitBookUpdate(w.ctx, &strongroomv1.SubmitBookUpdateRequest{Update: skips.update})
	if err != nil || got.GetSerial() != 6 || !bytes.Equal(got.GetRoot(), rootOf(skips)) || got.GetRecordedBy() != "" {
		t.Errorf("known update: expected it passed on, found %v, %v", got, err)
	}
	if err := w.service.Store.Verify(w.ctx); err != nil {
		t.Error(err)
	}
}

func rootOf(e edition) []byte {
	root := e.tree.Root()
	return root[:]
}

func TestTheBookOverTheAPI(t *testing.T) {
	w := newWorld(t, "")
	e := w.serve(false)
	var add []canon.BookEntry
	for n := range byte(50) {
		add = append(add, payee(script(n)))
	}
	second := w.next(w.first(), nil, add, "alice", "bob")
	if _, err := e.submit(second.change); err != nil {
		t.Fatal(err)
	}
	got, err := strongroomv1.NewBookServiceClient(e.as(rpc.Auditor, "eve")).GetBook(w.ctx, &strongroomv1.GetBookRequest{})
	if err != nil || len(got.GetVersions()) != 2 {
		t.Fatalf("expected two versions, found %v, %v", got, err)
	}
	newest, payable := got.GetVersions()[0], got.GetVersions()[1]
	if newest.GetSerial() != 2 || !newest.GetNewest() || newest.GetPayable() || !bytes.Equal(newest.GetUpdate(), second.update) ||
		newest.GetPayableTime().AsTime().Sub(newest.GetFirstSeenTime().AsTime()) != 24*time.Hour {
		t.Errorf("newest: expected version 2 that cools down for a day, found %v", newest)
	}
	if payable.GetSerial() != 1 || payable.GetNewest() || !payable.GetPayable() || payable.GetFirstSeenTime() != nil {
		t.Errorf("payable: expected the genesis's version, found %v", payable)
	}
	officer := strongroomv1.NewBookEntryServiceClient(e.as(rpc.Officer, "alice"))
	var entries []canon.BookEntry
	request := &strongroomv1.ListBookEntriesRequest{Root: newest.GetRoot(), PageSize: 20}
	for pages := 1; ; pages++ {
		page, err := officer.ListBookEntries(w.ctx, request)
		if err != nil || page.GetTotalSize() != 52 || len(page.GetEntries()) > 20 {
			t.Fatalf("expected a page of 52, found %d, %v", len(page.GetEntries()), err)
		}
		for _, b := range page.GetEntries() {
			var entry canon.BookEntry
			if err := canon.Decode(b, &entry); err != nil {
				t.Fatal(err)
			}
			entries = append(entries, entry)
		}
		if request.PageToken = page.GetNextPageToken(); request.PageToken == "" {
			if pages != 3 {
				t.Errorf("expected three pages, found %d", pages)
			}
			break
		}
	}
	if tree, err := book.Build(entries); err != nil || tree.Root() != second.tree.Root() {
		t.Errorf("expected entries that give the root, found %d, %v", len(entries), err)
	}
	all, err := officer.ListBookEntries(w.ctx, &strongroomv1.ListBookEntriesRequest{Root: payable.GetRoot()})
	if err != nil || len(all.GetEntries()) != 2 || all.GetNextPageToken() != "" {
		t.Errorf("payable: expected two entries, found %v, %v", all, err)
	}
	token := func() string {
		page, err := officer.ListBookEntries(w.ctx, &strongroomv1.ListBookEntriesRequest{Root: newest.GetRoot(), PageSize: 1})
		if err != nil {
			t.Fatal(err)
		}
		return page.GetNextPageToken()
	}()
	for name, test := range map[string]struct {
		request *strongroomv1.ListBookEntriesRequest
		code    codes.Code
	}{
		"no root":       {&strongroomv1.ListBookEntriesRequest{}, codes.InvalidArgument},
		"unknown root":  {&strongroomv1.ListBookEntriesRequest{Root: make([]byte, 32)}, codes.NotFound},
		"large page":    {&strongroomv1.ListBookEntriesRequest{Root: newest.GetRoot(), PageSize: 4097}, codes.InvalidArgument},
		"other's token": {&strongroomv1.ListBookEntriesRequest{Root: payable.GetRoot(), PageToken: token}, codes.InvalidArgument},
	} {
		if _, err := officer.ListBookEntries(w.ctx, test.request); status.Code(err) != test.code {
			t.Errorf("%s: expected %s, found %v", name, test.code, err)
		}
	}
}
