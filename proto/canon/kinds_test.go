package canon

import (
	"reflect"
	"slices"
)

// kinds lists every document of the package; TestEveryDocumentIsListed compares it with the source.
var kinds = []Document{
	&Genesis{}, &Request{}, &Intent{}, &Approval{}, &Statement{}, &BookEntry{}, &Evidence{}, &Reservation{}, &Ack{},
	&Certificate{}, &Address{}, &Session{}, &Envelope{}, &Amendment{}, &Held{}, &Head{}, &CharterEntry{},
	&BookRoot{}, &BookUpdate{}, &BookChange{}, &Price{}, &Attribute{}, &Clearance{}, &Balances{},
	&KeyPool{}, &Possession{}, &Attestation{}, &Transcript{},
}

// sample returns a valid document of d's kind in which every field, to the last leaf, has a value that is not its zero.
func sample(d Document) Document {
	v := reflect.New(reflect.TypeOf(d).Elem())
	n := 0
	fill(v.Elem(), &n)
	fix(v.Interface().(Document))
	return v.Interface().(Document)
}

// fill sets every leaf below v to a value of its type that passes the type's own rules; n makes the values differ.
func fill(v reflect.Value, n *int) {
	*n++
	switch v.Interface().(type) {
	case Amount:
		v.SetBytes([]byte{byte(*n%255) + 1, byte(*n)})
		return
	case Name:
		v.SetString("name-" + string(rune('a'+*n%26)))
		return
	case ChainID:
		v.SetString("eip155:1337")
		return
	case AssetID:
		v.SetString("eip155:1337/slip44:60")
		return
	case Currency:
		v.SetString("USD")
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), n)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			b := make([]byte, 32)
			for i := range b {
				b[i] = byte(*n)
			}
			v.SetBytes(b)
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0), n)
		fill(v.Index(1), n)
	case reflect.Array:
		for i := range v.Len() {
			v.Index(i).SetUint(uint64(byte(*n + i)))
		}
	case reflect.Uint8:
		v.SetUint(1)
	case reflect.Uint64:
		v.SetUint(uint64(*n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.String:
		v.SetString("text-" + string(rune('a'+*n%26)))
	default:
		panic("no sample for " + v.Type().String())
	}
}

// fix mends what a struct's rules ask of several fields together.
func fix(d Document) {
	switch d := d.(type) {
	case *Genesis:
		d.Version, d.NotBefore, d.NotAfter = 1, 1_700_000_000, 1_900_000_000
		for i := range d.Chains {
			d.Chains[i].HRP = "bcrt"
		}
		for i := range d.Wallets {
			w := &d.Wallets[i]
			w.Scheme, w.Needed, w.Recovery = SchemeCosign, 1, sized33(w.Recovery)
			for j := range w.Devices {
				w.Devices[j].Attestation = sized33(w.Devices[j].Attestation)
			}
		}
		for i := range d.Assets {
			d.Assets[i].Decimals = uint64(8 + i)
		}
		for i := range d.Calls {
			d.Calls[i].Contract, d.Calls[i].Signature = d.Calls[i].Contract[:20], "stake(uint256,address)"
			a := d.Calls[i].Arguments
			a[0] = ArgumentRule{Allow: ArgumentEqual, Values: a[0].Values}
			a[1] = ArgumentRule{Allow: ArgumentAtMost, Max: a[1].Max, Pays: a[1].Pays[:1]}
		}
		for i := range d.Rules {
			r := &d.Rules[i]
			r.From, r.Before = 1_700_000_000, 1_800_000_000
			r.Hours[0].Zone, r.Hours[1].Zone = "Asia/Hong_Kong", "America/New_York"
			for j := range r.Hours {
				r.Hours[j].Days, r.Hours[j].From, r.Hours[j].To = []uint64{1, 5}, 540, 1020+uint64(j)
			}
			r.Tiers, d.Limits[i].Tiers = []Tier{Hot, Cold}, []Tier{Warm}
			r.Value.Above, r.Value.Max = AmountOf(uint64(i+1)), AmountOf(uint64(i+100))
			r.To = []Target{{Kind: TargetBook, Name: "exchanges"}, {Kind: TargetWallet, Name: "cold"}}
		}
		for i := range d.Limits {
			v := &d.Limits[i]
			v.Per = []Dimension{PerClient, PerDestination}
			v.To = []Target{{Kind: TargetBook, Name: "exchanges"}, {Kind: TargetTier, Name: "cold"}}
		}
		for i := range d.Allocation {
			d.Allocation[i].MaxPermill, d.Allocation[i].TargetPermill, d.Allocation[i].MinPermill = 20, 10, 5
		}
	case *Request:
		d.NotBefore, d.NotAfter = 1_700_000_000, 1_700_003_600
		d.Call = nil
	case *Intent:
		d.Mode = Exact
		for _, list := range [][]Signed{d.Prices, d.Attributes, d.Clearances, d.Balances} {
			for i := range list {
				fixSigned(&list[i])
			}
		}
		fixSigned(&d.Request)
		fixPaths(d.Inputs)
		fixPaths(d.Change)
	case *KeyPool:
		d.Receive, d.Change = 1, 2
		for i := range d.Devices {
			p := &d.Devices[i]
			key, proof := sized33(p.Keys[0]), append(p.Proofs[0], p.Proofs[0]...)
			p.Signature = append(p.Signature, p.Signature...)
			p.Keys, p.Proofs = slices.Repeat([][]byte{key}, 6), slices.Repeat([][]byte{proof}, 6)
		}
	case *Possession:
		d.Public = sized33(d.Public)
	case *Transcript:
		d.Ended = d.Began + 1
		for i := range d.Keys {
			d.Keys[i].Signature = append(d.Keys[i].Signature, d.Keys[i].Signature...)
		}
	case *Approval:
		d.NotAfter = 1_700_000_000
	case *BookEntry:
		d.Proof = 1
		d.Groups = []Name{"a", "b"}
	case *Balances:
		d.Holdings = []Holding{{"hot", "eip155:1337/slip44:60", AmountOf(7)}, {"warm", "eip155:1337/slip44:60", AmountOf(8)}}
	case *BookUpdate:
		for i := range d.Approvals {
			fixSigned(&d.Approvals[i])
		}
	case *BookChange:
		for i := range d.Add {
			d.Add[i].Proof, d.Add[i].Groups = 1, []Name{"a", "b"}
		}
	case *Evidence:
		for i := range d.Approvals {
			fixSigned(&d.Approvals[i])
		}
		for i := range d.Statements {
			fixSigned(&d.Statements[i])
		}
		fixPaths(d.Inputs)
		fixPaths(d.Change)
	case *Reservation:
		d.Stamp, d.Until, d.AnchorNumber = 1_700_000_000, 1_700_000_600, 2
	case *Certificate:
		for i := range d.Acks {
			fixSigned(&d.Acks[i])
		}
	case *Address:
		d.Path = []uint64{60, 1, 2, 1, 7}
	case *Amendment:
		d.Number, d.NotBefore = 2, 1_700_000_000
	case *Held:
		d.Since, d.Until = 1_700_000_000, 1_700_086_400
	case *CharterEntry:
		d.Step = StepEnact
		for i := range d.Approvals {
			fixSigned(&d.Approvals[i])
		}
		for i := range d.Held {
			fixSigned(&d.Held[i])
		}
	case *Session:
		d.Protocol = ProtocolSign
		d.Participants = []Name{"node-1", "node-2"}
	}
}

func fixSigned(s *Signed) { s.Scheme = SSHSig }

func fixPaths(p []OwnPath) {
	for i := range p {
		p[i].Branch = 1
	}
}

// sized33 returns 33 bytes that begin with b's.
func sized33(b []byte) []byte { return append(slices.Clone(b), b...)[:33] }
