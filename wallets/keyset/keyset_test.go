package keyset

import (
	"bytes"
	"slices"
	"testing"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/wallets"
	"github.com/strongroom/strongroom/wallets/bitcoin"
	"github.com/strongroom/strongroom/wallets/ethereum"
)

// childOf derives by itself what the MPC key signs with at an address.
func childOf(t testing.TB, coin uint64, account canon.Account, branch, index uint64) wallets.Child {
	t.Helper()
	p, err := wallets.NewPath(coin, 7, account.Number, branch, index)
	if err != nil {
		t.Fatal(err)
	}
	g := group()
	c, err := wallets.Derive(g.Public, wallets.ChainCode(organisation, g.ID, g.Public), p)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestEverySchemeHasItsAddress(t *testing.T) {
	device := func(signer canon.Name, index uint64) [33]byte {
		return [33]byte(tokenKey(signer, Label("vault", main.Name, 0, index)).PubKey().SerializeCompressed())
	}
	multi := func(needed int, keys ...[33]byte) []byte {
		script, err := bitcoin.SortedMulti(needed, keys)
		if err != nil {
			t.Fatal(err)
		}
		return script
	}
	evmAddress := func(public [33]byte) []byte { a := ethereum.AddressOf(public); return a[:] }
	child, evmChild := childOf(t, 1, main, 0, 1).Public, childOf(t, 60, main, 0, 0).Public
	recovery := publicOf("recovery")
	recoverable := wallet(btc, canon.SchemeCosign, 1, "vault-1")
	recoverable.Recovery = recovery[:]
	single := func(chain canon.Chain) canon.Wallet {
		w := wallet(chain, canon.SchemeHSM, 1, "vault-1")
		w.SingleDevice, w.Tier = true, canon.Cold
		return w
	}
	for name, c := range map[string]struct {
		chain      canon.Chain
		wallet     canon.Wallet
		index      uint64
		address    []byte
		witness    []byte
		mpc        bool
		devices    []canon.Name
		signatures int
	}{
		"mpc on bitcoin":    {btc, wallet(btc, canon.SchemeMPC, 0), 1, bitcoin.ScriptP2WPKH(child), nil, true, nil, 1},
		"mpc on evm":        {evm, wallet(evm, canon.SchemeMPC, 0), 0, evmAddress(evmChild), nil, true, nil, 1},
		"cosign on bitcoin": {btc, wallet(btc, canon.SchemeCosign, 1, "vault-1"), 1, nil, multi(2, child, device("vault-1", 1)), true, []canon.Name{"vault-1"}, 2},
		"cosign, recovery":  {btc, recoverable, 1, nil, multi(2, child, device("vault-1", 1), recovery), true, []canon.Name{"vault-1"}, 2},
		"cosign on evm":     {evm, wallet(evm, canon.SchemeCosign, 2, "vault-1", "vault-2"), 0, evmAddress(evmChild), nil, true, nil, 1},
		"hsm 2 of 3": {btc, wallet(btc, canon.SchemeHSM, 2, "vault-1", "vault-2", "vault-3"), 1, nil, multi(2, device("vault-1", 1), device("vault-2", 1), device("vault-3", 1)),
			false, []canon.Name{"vault-1", "vault-2", "vault-3"}, 2},
		"hsm 2 of 2":              {btc, wallet(btc, canon.SchemeHSM, 2, "vault-2", "vault-1"), 1, nil, multi(2, device("vault-1", 1), device("vault-2", 1)), false, []canon.Name{"vault-2", "vault-1"}, 2},
		"single hsm on bitcoin":   {btc, single(btc), 1, bitcoin.ScriptP2WPKH(device("vault-1", 1)), nil, false, []canon.Name{"vault-1"}, 1},
		"single hsm on evm":       {evm, single(evm), 0, evmAddress(device("vault-1", 0)), nil, false, []canon.Name{"vault-1"}, 1},
		"single hsm, first index": {btc, single(btc), 0, bitcoin.ScriptP2WPKH(device("vault-1", 0)), nil, false, []canon.Name{"vault-1"}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			spot := mustAt(t, setOf(t, c.chain, c.wallet), main, 0, c.index)
			if c.witness != nil {
				c.address = bitcoin.ScriptP2WSH(c.witness)
			}
			if !bytes.Equal(spot.Address, c.address) || !bytes.Equal(spot.Witness, c.witness) {
				t.Errorf("expected %x over %x, found %x over %x", c.address, c.witness, spot.Address, spot.Witness)
			}
			if spot.MPC != c.mpc || spot.MPC != (spot.Child != wallets.Child{}) || spot.Needed != int(c.wallet.Needed) || spot.Signatures() != c.signatures {
				t.Errorf("expected %d signatures, the MPC key's %t, found %+v", c.signatures, c.mpc, spot)
			}
			var signers []canon.Name
			for _, d := range spot.Devices {
				signers = append(signers, d.Signer)
				if want := tokenKey(d.Signer, d.Label).PubKey().SerializeCompressed(); !bytes.Equal(want, d.Public[:]) {
					t.Errorf("%s: expected the key under %s, %x, found %x", d.Signer, d.Label, want, d.Public)
				}
			}
			if !slices.Equal(signers, c.devices) {
				t.Errorf("expected devices %v, found %v", c.devices, signers)
			}
			if c.witness == nil {
				return
			}
			if needed, keys, err := bitcoin.ParseSortedMulti(spot.Witness); err != nil || needed != spot.Signatures() || len(keys) < needed {
				t.Errorf("expected a script that needs %d signatures, found %d of %d (%v)", spot.Signatures(), needed, len(keys), err)
			}
		})
	}
}

// No two addresses of wallets are the same, and every one of an hsm wallet has keys of its own.
func TestAddressesAreDistinct(t *testing.T) {
	for name, w := range map[string]canon.Wallet{
		"mpc": wallet(btc, canon.SchemeMPC, 0), "cosign": wallet(btc, canon.SchemeCosign, 1, "vault-1"), "hsm": wallet(btc, canon.SchemeHSM, 2, "vault-1", "vault-2"),
	} {
		s := setOf(t, btc, w)
		seen, keys := map[string]bool{}, map[[33]byte]bool{}
		for _, account := range []canon.Account{main, reserve} {
			for branch, count := range []uint64{3, 2} {
				for index := range count {
					spot := mustAt(t, s, account, uint64(branch), index)
					if seen[string(spot.Address)] {
						t.Errorf("%s: %s %d/%d: address again", name, account.Name, branch, index)
					}
					seen[string(spot.Address)] = true
					for _, d := range spot.Devices {
						if keys[d.Public] {
							t.Errorf("%s: %s %d/%d: key again", name, account.Name, branch, index)
						}
						keys[d.Public] = true
					}
				}
			}
		}
	}
}

// A pool that is used up ends an hsm wallet's addresses; a cosign wallet takes its keys in turn, and the MPC key keeps the addresses apart.
func TestPoolsEndForTokensAloneAndTurnForCosign(t *testing.T) {
	hsm := setOf(t, btc, wallet(btc, canon.SchemeHSM, 2, "vault-1", "vault-2"))
	cosign := setOf(t, btc, wallet(btc, canon.SchemeCosign, 1, "vault-1"))
	for branch, count := range []uint64{3, 2} {
		for _, index := range []uint64{count, count + 1, 1<<31 - 1} {
			_, err := hsm.At(main, uint64(branch), index)
			refused(t, err, "index")
			again, first := mustAt(t, cosign, main, uint64(branch), index), mustAt(t, cosign, main, uint64(branch), index%count)
			if again.Devices[0] != first.Devices[0] || bytes.Equal(again.Address, first.Address) || again.Child == first.Child {
				t.Errorf("%d/%d: expected the key of %d/%d at another address, found %+v and %+v", branch, index, branch, index%count, again, first)
			}
		}
	}
	for _, s := range []Set{hsm, cosign} {
		_, err := s.At(canon.Account{Name: "globex-main", Number: 9, Kind: canon.Segregated}, 0, 0)
		refused(t, err, "account")
	}
	noChange := cosign
	noChange.Pool = open(t, poolOf(t, noChange.Wallet, 3, 0))
	noChange.Wallet.Pool = noChange.Pool.digest[:]
	_, err := noChange.At(main, 1, 0)
	refused(t, err, "index")
}

// Whoever has a token that has the recovery key too could spend without the MPC key.
func TestARecoveryKeyIsInNoTokenOfTheWallet(t *testing.T) {
	s := setOf(t, btc, wallet(btc, canon.SchemeCosign, 1, "vault-1"))
	own := slices.Clone(s.Pool.Document().Devices[0].Keys[3])
	negative := slices.Clone(own)
	negative[0] ^= 1
	for _, key := range [][]byte{own, negative} {
		s.Wallet.Recovery = key
		for index := range uint64(4) {
			_, err := s.At(main, 0, index)
			refused(t, err, "wallet.recovery")
		}
	}
	recovery := publicOf("recovery")
	s.Wallet.Recovery = recovery[:]
	mustAt(t, s, main, 0, 0)
}

func TestWhatIsNoAddressIsRefused(t *testing.T) {
	cosign := wallet(btc, canon.SchemeCosign, 1, "vault-1")
	hsm := wallet(btc, canon.SchemeHSM, 2, "vault-1", "vault-2")
	recovery := publicOf("recovery")
	omnibus := canon.Account{Name: main.Name, Client: "acme", Number: 3, Kind: canon.Omnibus}
	for name, c := range map[string]struct {
		set     Set
		change  func(s *Set)
		account canon.Account
		branch  uint64
		index   uint64
		field   string
	}{
		"branch beyond change":     {setOf(t, btc, cosign), nil, main, 2, 0, "path"},
		"hardened index":           {setOf(t, btc, cosign), nil, main, 0, 1 << 31, "path"},
		"second address on evm":    {setOf(t, evm, wallet(evm, canon.SchemeMPC, 0)), nil, main, 0, 1, "branch, index"},
		"change on evm":            {setOf(t, evm, wallet(evm, canon.SchemeMPC, 0)), nil, main, 1, 0, "branch, index"},
		"omnibus account":          {setOf(t, btc, cosign), nil, omnibus, 0, 0, "account"},
		"no pool":                  {setOf(t, btc, cosign), func(s *Set) { s.Pool = nil }, main, 0, 0, "wallet.pool"},
		"no digest of a pool":      {setOf(t, btc, hsm), func(s *Set) { s.Wallet.Pool = nil }, main, 0, 0, "wallet.pool"},
		"another pool":             {setOf(t, btc, hsm), func(s *Set) { s.Pool = open(t, poolOf(t, hsm, 2, 2)) }, main, 0, 0, "wallet.pool"},
		"pool of another wallet":   {setOf(t, btc, hsm), func(s *Set) { s.Wallet.Name = "vault-two" }, main, 0, 0, "pool"},
		"devices in another order": {setOf(t, btc, hsm), func(s *Set) { slices.Reverse(s.Wallet.Devices) }, main, 0, 0, "pool"},
		"one device less":          {setOf(t, btc, hsm), func(s *Set) { s.Wallet.Devices, s.Wallet.Needed = s.Wallet.Devices[:1], 1 }, main, 0, 0, "pool"},
		"more needed than devices": {setOf(t, btc, hsm), func(s *Set) { s.Wallet.Needed = 3 }, main, 0, 0, "wallet"},
		"none needed":              {setOf(t, btc, hsm), func(s *Set) { s.Wallet.Needed = 0 }, main, 0, 0, "wallet"},
		"unknown scheme":           {setOf(t, btc, cosign), func(s *Set) { s.Wallet.Scheme = 4 }, main, 0, 0, "wallet"},
		"two devices next to MPC":  {setOf(t, btc, wallet(btc, canon.SchemeCosign, 1, "vault-1", "vault-2")), nil, main, 0, 0, "wallet.devices"},
		"two devices on evm":       {setOf(t, evm, wallet(evm, canon.SchemeHSM, 2, "vault-1", "vault-2")), nil, main, 0, 0, "wallet.devices"},
		"recovery key of tokens":   {setOf(t, btc, hsm), func(s *Set) { s.Wallet.Recovery = recovery[:] }, main, 0, 0, "wallet.recovery"},
		"recovery key on evm":      {setOf(t, evm, wallet(evm, canon.SchemeCosign, 1, "vault-1")), func(s *Set) { s.Wallet.Recovery = recovery[:] }, main, 0, 0, "wallet.recovery"},
		"short recovery key":       {setOf(t, btc, cosign), func(s *Set) { s.Wallet.Recovery = recovery[:32] }, main, 0, 0, "wallet"},
		"recovery key is no point": {setOf(t, btc, cosign), func(s *Set) { s.Wallet.Recovery = bytes.Repeat([]byte{2}, 33); s.Wallet.Recovery[0] = 5 }, main, 0, 0, "keys"},
		"recovery key is the device's": {setOf(t, btc, cosign), func(s *Set) {
			s.Wallet.Recovery = tokenKey("vault-1", Label("vault", main.Name, 0, 0)).PubKey().SerializeCompressed()
		}, main, 0, 0, "wallet.recovery"},
		"another key":      {setOf(t, btc, cosign), func(s *Set) { s.Group.ID = "cold" }, main, 0, 0, "wallet.key"},
		"no key":           {setOf(t, btc, cosign), func(s *Set) { s.Group = GroupKey{} }, main, 0, 0, "wallet.key"},
		"key is no point":  {setOf(t, btc, cosign), func(s *Set) { s.Group.Public = [33]byte{5} }, main, 0, 0, "index"},
		"another chain":    {setOf(t, btc, cosign), func(s *Set) { s.Chain = evm }, main, 0, 0, "chain"},
		"unknown chain":    {setOf(t, btc, cosign), func(s *Set) { s.Chain.Kind = 3 }, main, 0, 0, "chain"},
		"pooled elsewhere": {setOf(t, btc, hsm), func(s *Set) { s.Chain.ID, s.Wallet.Chain = "bip122:other", "bip122:other" }, main, 0, 0, "pool"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.change != nil {
				c.set.Wallet.Devices = slices.Clone(c.set.Wallet.Devices)
				c.change(&c.set)
			}
			spot, err := c.set.At(c.account, c.branch, c.index)
			refused(t, err, c.field)
			if spot.Address != nil || spot.Devices != nil {
				t.Errorf("expected no address next to the refusal, found %+v", spot)
			}
		})
	}
}

// An EVM cosign wallet asks for no pool: its devices attest.
func TestCosignOnEVMHasNoPool(t *testing.T) {
	s := setOf(t, evm, wallet(evm, canon.SchemeCosign, 1, "vault-1", "vault-2"))
	if s.Pool != nil {
		t.Fatal("expected no pool")
	}
	spot := mustAt(t, s, main, 0, 0)
	if plain := mustAt(t, setOf(t, evm, wallet(evm, canon.SchemeMPC, 0)), main, 0, 0); !bytes.Equal(plain.Address, spot.Address) {
		t.Errorf("expected the address of the MPC key alone, %x, found %x", plain.Address, spot.Address)
	}
}

func TestLabelsFitAToken(t *testing.T) {
	longest := canon.Name(bytes.Repeat([]byte{'a'}, 63))
	for _, label := range []string{Label(longest, longest, 1, canon.MaxPoolKeys-1), AttestationLabel(longest)} {
		if len(label) > 140 {
			t.Errorf("expected at most 140 characters, found %d: %s", len(label), label)
		}
	}
}
