package coordinator

import (
	"context"
	"crypto/ed25519"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/strongroom/strongroom/proto/canon"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// desk is an outside authority that says what the test tells it to.
type desk struct {
	*world
	name canon.Name
	key  ed25519.PrivateKey

	mu        sync.Mutex
	down      bool
	hang      bool
	undecided bool
	refuses   string // reason
	forge     func(*canon.Signed)
	price     canon.Amount
	value     canon.Text
	asked     int
	data      []byte // that came with the last question
}

func (d *desk) set(f func(*desk)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f(d)
}

// authority names an authority of that purpose in the genesis.
func authority(name canon.Name, purpose canon.Purpose) func(*organisation, *canon.Genesis) {
	return func(o *organisation, g *canon.Genesis) {
		_, key, err := ed25519.GenerateKey(nil)
		if err != nil {
			panic(err)
		}
		o.authorities[name] = key
		g.Authorities = append(g.Authorities, canon.Authority{Name: name, Purpose: purpose, Key: public(key)})
	}
}

// desk gives the coordinator a connection to an authority, from the next time that it is opened.
func (w *world) desk(name canon.Name) *desk {
	d := &desk{world: w, name: name, key: w.authorities[name]}
	w.desks[name] = d
	return d
}

func (d *desk) begin(ctx context.Context) error {
	d.mu.Lock()
	d.asked++
	hang, down := d.hang, d.down
	d.mu.Unlock()
	if hang {
		<-ctx.Done()
		return status.FromContextError(ctx.Err()).Err()
	}
	if down {
		return status.Error(codes.Unavailable, "dial tcp 192.0.2.1:7600: connection refused")
	}
	return nil
}

// state signs what the desk says; the desk is locked.
func (d *desk) state(doc canon.Document) (*strongroomv1.Signed, error) {
	b, err := canon.Encode(doc)
	if err != nil {
		return nil, err
	}
	s := canon.Signed{Document: b, Scheme: canon.Ed25519, Signature: ed25519.Sign(d.key, doc.Kind().Message(b))}
	if d.forge != nil {
		d.forge(&s)
	}
	return toSigned(s), nil
}

func (d *desk) StatePrice(ctx context.Context, r *strongroomv1.StatePriceRequest, _ ...grpc.CallOption) (*strongroomv1.StatePriceResponse, error) {
	if err := d.begin(ctx); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	p, err := d.state(canon.Price{Organisation: d.charter.Organisation(), Authority: d.name, Asset: canon.AssetID(r.GetAsset()), Currency: canon.Currency(r.GetCurrency()),
		Value: d.price, At: canon.TimeOf(d.now())})
	return &strongroomv1.StatePriceResponse{Price: p}, err
}

func (d *desk) StateAttribute(ctx context.Context, r *strongroomv1.StateAttributeRequest, _ ...grpc.CallOption) (*strongroomv1.StateAttributeResponse, error) {
	if err := d.begin(ctx); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	at := canon.TimeOf(d.now())
	a, err := d.state(canon.Attribute{Organisation: d.charter.Organisation(), Authority: d.name, Client: canon.Name(r.GetClient()), Name: canon.Name(r.GetAttribute()),
		Value: d.value, At: at, NotAfter: at + 3600})
	return &strongroomv1.StateAttributeResponse{Attribute: a}, err
}

func (d *desk) DecideClearance(ctx context.Context, r *strongroomv1.DecideClearanceRequest, _ ...grpc.CallOption) (*strongroomv1.DecideClearanceResponse, error) {
	if err := d.begin(ctx); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.data = r.GetTravelRuleData()
	if d.undecided {
		return &strongroomv1.DecideClearanceResponse{PendingReason: "an analyst looks at it"}, nil
	}
	var request canon.Request
	if err := canon.Decode(r.GetRequest().GetDocument(), &request); err != nil {
		return nil, err
	}
	at := canon.TimeOf(d.now())
	v, err := d.state(canon.Clearance{Organisation: d.charter.Organisation(), Authority: d.name, Request: canon.KindRequest.Digest(r.GetRequest().GetDocument()),
		Cleared: d.refuses == "", Reason: canon.Text(d.refuses), At: at, NotAfter: at + 3600, Data: request.TravelData})
	return &strongroomv1.DecideClearanceResponse{Clearance: v}, err
}

// reopen makes the coordinator anew, as after a restart.
func (w *world) reopen() {
	w.t.Helper()
	w.close()
	w.open()
	w.learn()
}

// screened has a rule that lets through small payments that the screening desk cleared.
func screened(t *testing.T, changes ...func(*organisation, *canon.Genesis)) (*world, *desk) {
	t.Helper()
	clear := func(_ *organisation, g *canon.Genesis) { g.Rules[0].Clearances = []canon.Name{"screening"} }
	w := newWorld(t, "", append([]func(*organisation, *canon.Genesis){authority("screening", canon.PurposeScreening), clear}, changes...)...)
	d := w.desk("screening")
	w.reopen()
	w.fund(30_000_000, 20_000_000)
	return w, d
}
