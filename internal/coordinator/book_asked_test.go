package coordinator

import (
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/proto/canon"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

func TestWhatASignerAsksForFollowsTheClock(t *testing.T) {
	at := func(serial uint64) book.Root {
		return book.Root{Serial: serial, Size: 1, Hash: canon.Digest{byte(serial)}}
	}
	a := &asked{newest: []awaited{{at(7), 1000}}, payable: []book.Root{at(5)}}
	for now, want := range map[canon.Time]int{999: 2, 1000: 1} {
		if found := a.required(now); len(found) != want || !found[0].Newest || found[0].Serial != 7 {
			t.Errorf("at %d: expected %d versions, found %v", now, want, found)
		}
	}
	rivals := &asked{newest: []awaited{{book.Root{Serial: 7, Hash: canon.Digest{71}}, 1000}, {at(7), 1000}}, payable: []book.Root{at(5), at(7)}}
	if found := rivals.required(10); len(found) != 3 || len(rivals.roots()) != 3 {
		t.Errorf("rivals: expected three versions, found %v", found)
	}
	if a.lacks(&book.Version{Root: at(7)}) || a.lacks(&book.Version{Root: at(6)}) || !a.lacks(&book.Version{Root: at(8)}) ||
		!a.lacks(&book.Version{Root: book.Root{Serial: 7, Hash: canon.Digest{9}}}) {
		t.Error("lacks: expected a later version and a rival, found otherwise")
	}
}

func FuzzReadAsked(f *testing.F) {
	good, err := proto.Marshal(&strongroomv1.GetBookResponse{Versions: []*strongroomv1.BookVersion{
		{Serial: 2, Size: 3, Root: make([]byte, 32), Newest: true, PayableTime: timestamppb.Now()}, {Serial: 1, Root: make([]byte, 32), Payable: true}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Fuzz(func(t *testing.T, b []byte) {
		var r strongroomv1.GetBookResponse
		if proto.Unmarshal(b, &r) != nil {
			return
		}
		a, err := readAsked(&r)
		if err != nil {
			return
		}
		if found := a.required(canon.TimeOf(time.Now())); len(found) == 0 || len(found) > maxAsked || len(a.roots()) < 1 {
			t.Errorf("expected 1 to %d versions, found %d", maxAsked, len(found))
		}
	})
}
