package bitcoin

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/wire"
	"github.com/strongroom/strongroom/proto/canon"
	"pgregory.net/rapid"
)

// drawParams draws something between rich and hopeless.
func drawParams(t *testing.T, rt *rapid.T) BuildParams {
	value := rapid.OneOf(rapid.Int64Range(1, 3_000), rapid.Int64Range(1_000, 1_000_000), rapid.Int64Range(1_000_000, 1e11))
	p := BuildParams{ChangeScript: ScriptP2WPKH(publicOf(2000))}
	forms := rapid.SampledFrom([][]bool{{false}, {true}, {false, true}}).Draw(rt, "forms")
	for i := range rapid.IntRange(0, 12).Draw(rt, "coins") {
		if n := uint32(i); forms[i%len(forms)] {
			p.Coins = append(p.Coins, sharedCoin(t, value.Draw(rt, "value"), 2, n, n+1, n+2))
		} else {
			p.Coins = append(p.Coins, coinOf(t, n, value.Draw(rt, "value")))
		}
	}
	for i := range rapid.IntRange(1, 4).Draw(rt, "payments") {
		amount := rapid.Uint64Range(250, 2_000_000).Draw(rt, "amount")
		p.Payments = append(p.Payments, payment(uint32(1000+i), amount))
	}
	p.FeeRate = rapid.Int64Range(1, 200_000).Draw(rt, "feeRate")
	p.FeeCap = rapid.Int64Range(1, 200_000).Draw(rt, "feeCap")
	p.MaxInputs = rapid.IntRange(1, 12).Draw(rt, "maxInputs")
	if len(p.Coins) > 0 && rapid.Bool().Draw(rt, "anchored") {
		p.Anchor = &p.Coins[rapid.IntRange(0, len(p.Coins)-1).Draw(rt, "anchor")].Outpoint
	}
	return p
}

func TestBuildKeepsEveryPromise(t *testing.T) {
	built := 0
	rapid.Check(t, func(rt *rapid.T) {
		p := drawParams(t, rt)
		u, err := Build(p)
		if err != nil {
			checkRefusal(rt, p, err)
			return
		}
		built++
		var in, out int64
		anchored := p.Anchor == nil
		for i, c := range u.Coins {
			in += c.Value
			anchored = anchored || c.Outpoint == *p.Anchor
			if u.Tx.TxIn[i].PreviousOutPoint != c.Outpoint {
				rt.Fatalf("coin %d does not belong to its input", i)
			}
		}
		for i, o := range u.Tx.TxOut {
			out += o.Value
			if least, err := DustThreshold(o.PkScript); err != nil || o.Value < least {
				rt.Fatalf("output %d is dust: %d below %d, %v", i, o.Value, least, err)
			}
		}
		if in != out+u.Fee {
			rt.Fatalf("inputs %d are not outputs %d and fee %d", in, out, u.Fee)
		}
		if !anchored || len(u.Coins) > p.MaxInputs || len(u.Coins) != len(u.Tx.TxIn) {
			rt.Fatalf("anchored %v, %d coins, %d inputs, at most %d", anchored, len(u.Coins), len(u.Tx.TxIn), p.MaxInputs)
		}
		scripts := make([][]byte, len(u.Coins))
		for i, c := range u.Coins {
			scripts[i] = c.Witness
		}
		size, err := VirtualSize(scripts, u.Tx.TxOut)
		if err != nil {
			rt.Fatal(err)
		}
		least, _ := feeFor(size, p.FeeRate)
		if u.Fee > p.FeeCap || u.Fee < least {
			rt.Fatalf("fee %d is not between %d and the cap %d", u.Fee, least, p.FeeCap)
		}
		if u.Change >= 0 && u.Fee != least {
			rt.Fatalf("with change, the fee is %d instead of %d", u.Fee, least)
		}
		checkOutputs(rt, p, u)
		again := mustBuild(t, p)
		if !bytes.Equal(again.Raw, u.Raw) {
			rt.Fatal("the same parameters gave other bytes")
		}
	})
	if built == 0 {
		t.Error("no draw could be built")
	}
}

func checkOutputs(rt *rapid.T, p BuildParams, u *Unsigned) {
	for i, pay := range p.Payments {
		if o := u.Tx.TxOut[i]; !bytes.Equal(o.PkScript, pay.Address) || o.Value != pay.Amount.Int().Int64() {
			rt.Fatalf("payment %d is not output %d", i, i)
		}
	}
	switch u.Change {
	case -1:
		if len(u.Tx.TxOut) != len(p.Payments) {
			rt.Fatalf("%d outputs for %d payments without change", len(u.Tx.TxOut), len(p.Payments))
		}
	case len(p.Payments):
		if !bytes.Equal(u.Tx.TxOut[u.Change].PkScript, p.ChangeScript) || len(u.Tx.TxOut) != u.Change+1 {
			rt.Fatal("the change is not the last output, to the change script")
		}
	default:
		rt.Fatalf("change at %d of %d outputs", u.Change, len(u.Tx.TxOut))
	}
}

// checkRefusal accepts the three typed errors, each only where it is true: there must be no way to build at all.
func checkRefusal(rt *rapid.T, p BuildParams, err error) {
	var dust *DustError
	var above *FeeAboveCapError
	var funds *InsufficientFundsError
	switch {
	case errors.As(err, &dust):
		if v := p.Payments[dust.Payment].Amount.Int().Int64(); v != dust.Value || v >= dust.Threshold {
			rt.Fatalf("no dust: %v", err)
		}
		return
	case errors.As(err, &above):
		if above.Fee <= above.Cap || above.Cap != p.FeeCap {
			rt.Fatalf("not above the cap: %v", err)
		}
	case errors.As(err, &funds):
		if funds.Inputs > 0 && funds.Needed <= funds.Available {
			rt.Fatalf("funds suffice: %v", err)
		}
	default:
		rt.Fatal(err)
	}
	// Where coins of both forms lie together, what is worth most need not be what the fee cap leaves room for.
	mixed := slices.ContainsFunc(p.Coins, func(c Coin) bool { return (c.Witness == nil) != (p.Coins[0].Witness == nil) })
	if subset := solve(rt, p); subset != nil && !mixed {
		rt.Fatalf("refused, but coins %v would do: %v", subset, err)
	}
}

// solve tries every subset of the coins that are worth their input, and the anchor, and returns the first that could be built.
func solve(rt *rapid.T, p BuildParams) []int64 {
	s, err := newSelection(p)
	if err != nil {
		rt.Fatal(err)
	}
	for mask := range 1 << len(s.coins) {
		s.begin()
		for i, c := range s.coins {
			if mask>>i&1 == 1 {
				s.take(c)
			}
		}
		if n := len(s.chosen); n == 0 || n > p.MaxInputs {
			continue
		}
		outs := outputsOf(p)
		plain, _ := feeFor(virtualSize(len(s.chosen), s.witness, outs[:len(p.Payments)]), p.FeeRate)
		withChange, _ := feeFor(virtualSize(len(s.chosen), s.witness, outs), p.FeeRate)
		rest := s.total - s.pay
		change := rest-withChange >= 294
		if change && withChange <= p.FeeCap || !change && rest >= plain && rest <= p.FeeCap {
			values := make([]int64, len(s.chosen))
			for i, c := range s.chosen {
				values[i] = c.Value
			}
			return values
		}
	}
	return nil
}

// outputsOf returns the payments and, last, the change, all without value.
func outputsOf(p BuildParams) []*wire.TxOut {
	outs := make([]*wire.TxOut, 0, len(p.Payments)+1)
	for _, o := range p.Payments {
		outs = append(outs, wire.NewTxOut(0, o.Address))
	}
	return append(outs, wire.NewTxOut(0, p.ChangeScript))
}

func TestBuildPrefersCoinsThatNeedNoChange(t *testing.T) {
	p := params(coinsOf(t, 500_000, 51_200, 80_000)...)
	u := mustBuild(t, p)
	if u.Change != -1 || len(u.Coins) != 1 || u.Coins[0].Value != 51_200 {
		t.Errorf("expected the coin of 51200 alone without change, found %d coins, change %d", len(u.Coins), u.Change)
	}
}

func TestBuildTakesTheLargestCoinsOtherwise(t *testing.T) {
	u := mustBuild(t, params(coinsOf(t, 30_000, 500_000, 80_000)...))
	if u.Change != 1 || len(u.Coins) != 1 || u.Coins[0].Value != 500_000 {
		t.Errorf("expected the coin of 500000 with change, found %+v", u.Coins)
	}
}

func TestBuildMakesNoChangeThatIsDust(t *testing.T) {
	p := params()
	withChange, _ := feeFor(virtualSize(1, keyWitnessSize, outputsOf(p)), p.FeeRate)
	for rest, want := range map[int64]int64{0: -1, 293: -1, 294: 294, 295: 295} {
		p.Coins = coinsOf(t, 50_000+withChange+rest)
		u := mustBuild(t, p)
		if want < 0 && (u.Change != -1 || u.Fee != withChange+rest) {
			t.Errorf("rest %d: expected no change and all of it in the fee, found %+v", rest, u.Tx.TxOut)
		}
		if want >= 0 && (u.Change != 1 || u.Tx.TxOut[1].Value != want) {
			t.Errorf("rest %d: expected change of %d, found %+v", rest, want, u.Tx.TxOut)
		}
	}
}

func TestBuildIncludesTheAnchor(t *testing.T) {
	coins := coinsOf(t, 500_000, 2_000, 400)
	for _, anchor := range coins {
		p := params(coins...)
		p.Anchor = &anchor.Outpoint
		u := mustBuild(t, p)
		if u.Coins[0].Outpoint != anchor.Outpoint {
			t.Errorf("anchor of %d satoshis: expected first, found %+v", anchor.Value, u.Coins)
		}
	}
	p := params(coins...)
	p.Anchor = &wire.OutPoint{Index: 3}
	if _, err := Build(p); err == nil || !strings.Contains(err.Error(), "anchor") {
		t.Errorf("an anchor that is no coin: found %v", err)
	}
}

func TestBuildSaysWhatIsMissing(t *testing.T) {
	var funds *InsufficientFundsError
	if _, err := Build(params(coinsOf(t, 20_000, 30_500)...)); !errors.As(err, &funds) || funds.Available != 50_500 || funds.Needed <= 50_500 || funds.Inputs != 2 {
		t.Errorf("found %v", err)
	}
	if _, err := Build(params()); !errors.As(err, &funds) || funds.Available != 0 {
		t.Errorf("found %v", err)
	}
	p := params(coinsOf(t, 30_000, 30_000)...)
	p.MaxInputs = 1
	if _, err := Build(p); !errors.As(err, &funds) || funds.Inputs != 1 {
		t.Errorf("found %v", err)
	}
	var above *FeeAboveCapError
	p = params(coinsOf(t, 500_000)...)
	p.FeeCap = 1_000
	if _, err := Build(p); !errors.As(err, &above) || above.Cap != 1_000 || above.Fee != 1_410 {
		t.Errorf("found %v", err)
	}
	p.FeeCap, p.FeeRate = 100_000, math.MaxInt64
	if _, err := Build(p); !errors.As(err, &above) && !errors.As(err, &funds) {
		t.Errorf("found %v", err)
	}
	var dust *DustError
	p = params(coinsOf(t, 500_000)...)
	p.Payments = append(p.Payments, payment(1, 293))
	if _, err := Build(p); !errors.As(err, &dust) || dust.Payment != 1 || dust.Threshold != 294 || dust.Value != 293 {
		t.Errorf("found %v", err)
	}
}

func TestBuildRefusesParametersByName(t *testing.T) {
	big := canon.Amount(bytes.Repeat([]byte{0xff}, 32))
	for field, change := range map[string]func(*BuildParams){
		"payments: expected at least 1": func(p *BuildParams) { p.Payments = nil },
		"fee_rate":                      func(p *BuildParams) { p.FeeRate = 0 },
		"fee_cap":                       func(p *BuildParams) { p.FeeCap = -1 },
		"max_inputs":                    func(p *BuildParams) { p.MaxInputs = 0 },
		"change":                        func(p *BuildParams) { p.ChangeScript = nil },
		"payments[0].script: expected another than the change": func(p *BuildParams) { p.Payments[0].Address = p.ChangeScript },
		"payments[0].script":     func(p *BuildParams) { p.Payments[0].Address = []byte{0x6a} },
		"payments[0].amount":     func(p *BuildParams) { p.Payments[0].Amount = big },
		"coins[1].outpoint":      func(p *BuildParams) { p.Coins = append(p.Coins, p.Coins[0]) },
		"coins[0].value":         func(p *BuildParams) { p.Coins[0].Value = 0 },
		"coins[0].script":        func(p *BuildParams) { p.Coins[0].Script = []byte{0x51} },
		"coins: sum of values":   func(p *BuildParams) { p.Coins = coinsOf(t, maxMoney, maxMoney) },
		"outputs: sum of values": func(p *BuildParams) { p.Payments = []canon.Output{payment(1, maxMoney), payment(2, maxMoney)} },
	} {
		p := params(coinsOf(t, 500_000)...)
		change(&p)
		if _, err := Build(p); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("expected a refusal with %q, found %v", field, err)
		}
	}
}

// Bitcoin Core's GetDustThreshold at 3000 satoshis per 1000 virtual bytes: size of the output, and of the input that will spend it, 148
// bytes, or 32+4+1+4 and a quarter of 107 for witness programs.
func TestDustThresholdsFollowFromSizes(t *testing.T) {
	for script, want := range map[string]int64{
		"76a914" + strings.Repeat("00", 20) + "88ac":                           546,
		"a914" + strings.Repeat("00", 20) + "87":                               540,
		"0014" + strings.Repeat("00", 20):                                      294,
		"0020" + strings.Repeat("00", 32):                                      330,
		"512079be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798": 330,
	} {
		b := unhex(t, script)
		size := int64(8 + 1 + len(b) + 148)
		if b[0] == 0 || b[0] == 0x51 {
			size = int64(8 + 1 + len(b) + 32 + 4 + 1 + 107/4 + 4)
		}
		if found, err := DustThreshold(b); err != nil || found != want || found != 3*size {
			t.Errorf("%s: expected %d, found %d, %v, and %d by size", script, want, found, err, 3*size)
		}
	}
}
