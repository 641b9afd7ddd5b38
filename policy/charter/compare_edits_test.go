package charter_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
)

// edit is a change of the charter with what it should do and, for some, the words for people.
type edit struct {
	name   string
	change func(*canon.Genesis)
	words  string
}

func drop[T any](list *[]T, i int) { *list = slices.Delete(slices.Clone(*list), i, i+1) }

var tightenings = []edit{
	{"limit lowered", func(g *canon.Genesis) { g.Limits[0].Amount = canon.AmountOf(100_000_000) }, "limit btc-day: amount from 20 BTC to 1 BTC"},
	{"limit for all clients", func(g *canon.Genesis) { g.Limits[1].Clients = []canon.Name{canon.Any} }, "limit btc-acme: clients from acme to all"},
	{"limit for one more client", func(g *canon.Genesis) { g.Limits[1].Clients = []canon.Name{"acme", "beta"} }, "limit btc-acme: client beta added"},
	{"limit held exactly", func(g *canon.Genesis) { g.Limits[3].Exact = true }, "limit usd-day: exact from no to yes"},
	{"limit that nothing draws on", func(g *canon.Genesis) {
		g.Limits = append(g.Limits, canon.Limit{Name: "new", Asset: chartertest.BTC, Amount: canon.AmountOf(1), Window: 60, Clients: g.Limits[0].Clients, Wallets: g.Limits[0].Wallets})
	}, "limit new added, 0.00000001 BTC in 1m"},
	{"rule draws on one more limit", func(g *canon.Genesis) { g.Rules[2].Limits = append(slices.Clone(g.Rules[2].Limits), "more") }, "rule large: limit more added"},
	{"fee cap lowered", func(g *canon.Genesis) { g.Rules[2].FeeCaps[0].Amount = canon.AmountOf(10_000) }, "0.0001 BTC"},
	{"last rule's amount lowered", func(g *canon.Genesis) { g.Rules[2].Amounts[0].Amount = canon.AmountOf(100_000_000) }, "from 10 BTC to 1 BTC"},
	{"last rule removed", func(g *canon.Genesis) { drop(&g.Rules, 2) }, "rule large removed, which says approve"},
	{"last rule for one client", func(g *canon.Genesis) { g.Rules[2].Clients = []canon.Name{"acme"} }, "rule large: clients from all to acme"},
	{"first rule's amount lowered, so that people must approve", func(g *canon.Genesis) { g.Rules[1].Amounts[0].Amount = canon.AmountOf(1) }, ""},
	{"first rule removed, so that people must approve", func(g *canon.Genesis) { drop(&g.Rules, 1) }, ""},
	{"rule no longer allows by itself", func(g *canon.Genesis) { g.Rules[1].Action, g.Rules[1].Quorum = canon.ActionApprove, g.Amendment }, "rule small: action from allow to approve"},
	{"rule denies", func(g *canon.Genesis) { g.Rules[2].Action, g.Rules[2].Quorum = canon.ActionDeny, canon.Quorum{} }, "rule large: action from approve to deny"},
	{"deny rule in front", func(g *canon.Genesis) {
		r := g.Rules[0]
		r.Name, r.Clients = "no-beta", []canon.Name{"beta"}
		g.Rules = append([]canon.Rule{r}, g.Rules...)
	}, "rule no-beta added, which says deny"},
	{"deny rule for all clients", func(g *canon.Genesis) { g.Rules[0].Clients = []canon.Name{canon.Any} }, ""},
	{"quorum raised", func(g *canon.Genesis) { g.Rules[2].Quorum.AnyOf[0][0].Count = 3 }, "rule large: quorum from 2 of officers, or 1 of officers and 1 of security to 3 of officers, or 1 of officers and 1 of security"},
	{"quorum with one part more", func(g *canon.Genesis) {
		g.Amendment.AnyOf = [][]canon.Part{{{Group: "officers", Count: 2}, {Group: "security", Count: 1}}}
	}, "quorum for amendments from"},
	{"alternative removed", func(g *canon.Genesis) { drop(&g.Rules[2].Quorum.AnyOf, 1) }, ""},
	{"book's quorum raised", func(g *canon.Genesis) {
		g.Book.Quorum = canon.Quorum{AnyOf: [][]canon.Part{{{Group: "officers", Count: 3}}}}
	}, "book: quorum"},
	{"officer's key removed", func(g *canon.Genesis) { drop(&g.Officers[0].Keys, 1) }, "officer alice: key SHA256:"},
	{"officer removed", func(g *canon.Genesis) {
		drop(&g.Officers, 1)
		g.Groups[0].Members = []canon.Name{"alice", "carol"}
		drop(&g.Groups, 2)
	}, "officer bob removed, \"Bob\""},
	{"device removed", func(g *canon.Genesis) { drop(&g.Officers[0].Devices, 0) }, "officer alice: device"},
	{"group member removed", func(g *canon.Genesis) { drop(&g.Groups[0].Members, 1) }, "group officers: member bob removed"},
	{"group removed", func(g *canon.Genesis) { drop(&g.Groups, 2) }, ""},
	{"client's key removed", func(g *canon.Genesis) { drop(&g.Clients[1].Keys, 1) }, "client beta: key"},
	{"account removed from a wallet", func(g *canon.Genesis) { drop(&g.Wallets[0].Accounts, 1) }, "wallet btc-hot: account acme-savings removed"},
	{"wallet removed", func(g *canon.Genesis) { drop(&g.Wallets, 1) }, "wallet btc-house removed"},
	{"coordinator removed", func(g *canon.Genesis) { drop(&g.Coordinator, 0) }, "coordinator coordinator removed"},
	{"signer outside the roster removed", func(g *canon.Genesis) { drop(&g.Signers, 4) }, "signer hsm-1 removed"},
	{"allocation lowered", func(g *canon.Genesis) { g.Allocation[0].MaxPermill = 1 }, "max permill from 20 to 1"},
	{"allocation bounded", func(g *canon.Genesis) {
		g.Allocation = append(g.Allocation, canon.Allocation{Asset: chartertest.ETH, Tier: canon.Hot, MaxPermill: 500})
	}, "allocation eip155:1337/slip44:60 hot added, at most 500 thousandths"},
	{"recovery key removed", func(g *canon.Genesis) { drop(&g.Recovery, 2) }, "recovery key SHA256:"},
	{"no recovery", func(g *canon.Genesis) { g.RecoveryCount, g.Delays.Recovery = 0, 0 }, ""},
	{"freeze confirmed", func(g *canon.Genesis) { g.Confirmed = append(g.Confirmed, canon.Digest{10}) }, "confirmation of freeze 0a"},
	{"build no longer runs", func(g *canon.Genesis) { drop(&g.Builds, 0) }, "build 06"},
	{"call removed", func(g *canon.Genesis) {
		drop(&g.Calls, 1)
		drop(&g.Rules[3].Calls, 1)
	}, "call deposit removed, deposit(uint256,address) of 0x2222222222222222222222222222222222222222 on eip155:1337; argument 1: up to 5000000; argument 2: the address that sends the call"},
	{"call that carries no coins any more", func(g *canon.Genesis) { g.Calls[2].Payable = false }, "call stake: payable from yes to no"},
	{"maximum of an argument lowered", func(g *canon.Genesis) { g.Calls[0].Arguments[1].Max = canon.AmountOf(1_000_000) }, "call approve: argument 2: max from 5 USD to 1 USD"},
	{"maximum of a number lowered", func(g *canon.Genesis) { g.Calls[1].Arguments[0].Max = canon.AmountOf(2) }, "call deposit: argument 1: max from 5000000 to 2"},
	{"value of an argument removed", func(g *canon.Genesis) { drop(&g.Calls[0].Arguments[0].Values, 1) }, ", that is 0x3333333333333333333333333333333333333333"},
	{"rule without one of its calls", func(g *canon.Genesis) { drop(&g.Rules[3].Calls, 1) }, "rule contracts: call deposit removed"},
	{"deny rule for all calls in front", func(g *canon.Genesis) {
		r := g.Rules[0]
		r.Name, r.Clients, r.Calls = "no-calls", []canon.Name{canon.Any}, []canon.Name{canon.Any}
		g.Rules = append([]canon.Rule{r}, g.Rules...)
	}, "rule no-calls added, which says deny"},
	{"rule with calls removed", func(g *canon.Genesis) { drop(&g.Rules, 3) }, "rule contracts removed, which says approve"},
	{"one more attestation needed", func(g *canon.Genesis) { walletOf(g, "eth-cosign").Needed = 2 }, "wallet eth-cosign: devices needed from 1 to 2"},
	{"one device fewer that may attest", func(g *canon.Genesis) { drop(&walletOf(g, "eth-cosign").Devices, 1) }, "wallet eth-cosign: device vault-2 removed, attestation key 0"},
	{"wallet of tokens removed", func(g *canon.Genesis) { drop(&g.Wallets, len(g.Wallets)-1) },
		"wallet eth-cold removed, \"ETH cold\", hsm with 1 of vault-3, backup none, pool of keys "},
	{"lift taken back", func(g *canon.Genesis) { drop(&g.Lifted, 0) }, "lift of freeze 01"},
	{"client removed with all that is his", func(g *canon.Genesis) {
		drop(&g.Clients, 2)
		drop(&g.Accounts, 3)
		drop(&g.Wallets, 1)
		drop(&g.Rules, 0) // that only denies him
	}, "client house removed"},
	{"token removed with its limit", func(g *canon.Genesis) {
		drop(&g.Assets, 2)
		drop(&g.Limits, 3)
		for _, i := range []int{1, 2} {
			drop(&g.Rules[i].Amounts, 2)
			drop(&g.Rules[i].Limits, 3)
		}
	}, "asset eip155:1337/erc20:0x5fbdb2315678afecb367f032d93f642f64180aa3 removed"},
}

var loosenings = []edit{
	{"limit raised", func(g *canon.Genesis) { g.Limits[0].Amount = canon.AmountOf(3_000_000_000) }, "limit btc-day: amount from 20 BTC to 30 BTC"},
	{"limit removed", func(g *canon.Genesis) { drop(&g.Limits, 0) }, "limit btc-day removed, 20 BTC in 24h"},
	{"limit renamed, and its record forgotten", func(g *canon.Genesis) {
		g.Limits[0].Name = "btc-daily"
		for i := range g.Rules {
			for j := range g.Rules[i].Limits {
				g.Rules[i].Limits[j] = canon.Name(strings.Replace(string(g.Rules[i].Limits[j]), "btc-day", "btc-daily", 1))
			}
		}
	}, ""},
	{"limit for one client only", func(g *canon.Genesis) { g.Limits[0].Clients = []canon.Name{"acme"} }, ""},
	{"limit with one client less", func(g *canon.Genesis) { g.Limits[1].Clients = nil }, ""},
	{"rule draws on one limit less", func(g *canon.Genesis) { drop(&g.Rules[1].Limits, 0) }, "rule small: limit btc-day removed"},
	{"amount of a rule raised", func(g *canon.Genesis) { g.Rules[1].Amounts[0].Amount = canon.AmountOf(20_000_000) }, "rule small: amount of"},
	{"rule for one more account", func(g *canon.Genesis) {
		g.Rules[1].Accounts = append(slices.Clone(g.Rules[1].Accounts), "acme-savings")
	}, ""},
	{"rule for all accounts", func(g *canon.Genesis) { g.Rules[1].Accounts = []canon.Name{canon.Any} }, ""},
	{"fee cap raised", func(g *canon.Genesis) { g.Rules[1].FeeCaps[0].Amount = canon.AmountOf(1_000_000) }, ""},
	{"fee cap added", func(g *canon.Genesis) {
		g.Rules[1].FeeCaps = append(slices.Clone(g.Rules[1].FeeCaps), canon.AssetAmount{Asset: "x", Amount: canon.AmountOf(1)})
	}, ""},
	{"rules in another order", func(g *canon.Genesis) { g.Rules[1], g.Rules[2] = g.Rules[2], g.Rules[1] }, "rule list in another order"},
	{"rule added at the end", func(g *canon.Genesis) { r := g.Rules[1]; r.Name = "last"; g.Rules = append(g.Rules, r) }, "rule last added, which says allow"},
	{"deny rule removed", func(g *canon.Genesis) { drop(&g.Rules, 0) }, "rule house-blocked removed, which says deny"},
	{"deny rule up to less", func(g *canon.Genesis) { g.Rules[0].Amounts[0].Amount = canon.AmountOf(1) }, ""},
	{"deny rule for another client", func(g *canon.Genesis) { g.Rules[0].Clients = []canon.Name{"beta"} }, ""},
	{"rule allows by itself", func(g *canon.Genesis) { g.Rules[2].Action, g.Rules[2].Quorum = canon.ActionAllow, canon.Quorum{} }, "rule large: action from approve to allow"},
	{"deny rule that now allows", func(g *canon.Genesis) { g.Rules[0].Action = canon.ActionAllow }, ""},
	{"approval removed in front of a rule that allows", func(g *canon.Genesis) {
		g.Rules[1], g.Rules[2] = g.Rules[2], g.Rules[1]
		drop(&g.Rules, 1)
	}, ""},
	{"count lowered", func(g *canon.Genesis) { g.Rules[2].Quorum.AnyOf[0][0].Count = 1 }, ""},
	{"alternative added", func(g *canon.Genesis) {
		g.Amendment.AnyOf = append(slices.Clone(g.Amendment.AnyOf), []canon.Part{{Group: "security", Count: 3}})
	}, ""},
	{"part of an alternative removed", func(g *canon.Genesis) { drop(&g.Rules[2].Quorum.AnyOf[1], 1) }, ""},
	{"officer added", func(g *canon.Genesis) { g.Officers = append(g.Officers, canon.Officer{Name: "eve", Label: "Eve"}) }, "officer eve added, \"Eve\""},
	{"officer's key rotated", func(g *canon.Genesis) {
		g.Officers[1].Keys = []canon.OfficerKey{{Public: chartertest.SSH("bob-2"), Class: canon.ClassFile}}
	}, "officer bob: key SHA256:"},
	{"group member added", func(g *canon.Genesis) { g.Groups[0].Members = append(slices.Clone(g.Groups[0].Members), "dave") }, ""},
	{"weaker class counts", func(g *canon.Genesis) { g.Groups[1].Weakest = canon.ClassFile }, "group security: weakest from token to file"},
	{"client's key added", func(g *canon.Genesis) {
		g.Clients[0].Keys = append(slices.Clone(g.Clients[0].Keys), chartertest.Public("x"))
	}, ""},
	{"coordinator's key changed", func(g *canon.Genesis) { g.Coordinator[0].TLS[0] ^= 1 }, ""},
	{"signer of the roster removed", func(g *canon.Genesis) { drop(&g.Signers, 3) }, ""},
	{"signer added", func(g *canon.Genesis) { g.Signers = append(g.Signers, canon.Signer{Name: "node-5"}) }, ""},
	{"operator changed", func(g *canon.Genesis) { g.Signers[0].Operator = "other" }, "signer node-1: operator from operator-of-node-1 to other"},
	{"account added to a wallet", func(g *canon.Genesis) {
		g.Wallets[1].Accounts = append(slices.Clone(g.Wallets[1].Accounts), "beta-main")
	}, ""},
	{"wallet is hot", func(g *canon.Genesis) { g.Wallets[1].Tier = canon.Warm }, "wallet btc-house: tier from hot to warm"},
	{"token's decimals", func(g *canon.Genesis) { g.Assets[2].Decimals = 7 }, "decimals from 6 to 7"},
	{"token's symbol", func(g *canon.Genesis) { g.Assets[2].Symbol = "EUR" }, ""},
	{"label", func(g *canon.Genesis) { g.Officers[0].Label = "Bob" }, "officer alice: label from \"Alice\" to \"Bob\""},
	{"book's root", func(g *canon.Genesis) { g.Book.Root[0] ^= 1 }, ""},
	{"allocation removed", func(g *canon.Genesis) { g.Allocation = nil }, ""},
	{"freeze lifted", func(g *canon.Genesis) { g.Lifted = append(slices.Clone(g.Lifted), canon.Digest{3}) }, "lift of freeze 03"},
	{"freeze that lapses again", func(g *canon.Genesis) { drop(&g.Confirmed, 0) }, "confirmation of freeze 08"},
	{"confirmed freeze lifted", func(g *canon.Genesis) {
		drop(&g.Confirmed, 1)
		g.Lifted = append(g.Lifted, canon.Digest{9})
	}, "lift of freeze 09"},
	{"confirmed freeze lifted while another lapses again", func(g *canon.Genesis) {
		g.Confirmed = nil
		g.Lifted = append(g.Lifted, canon.Digest{9})
	}, "confirmation of freeze 08"},
	{"build that may run too", func(g *canon.Genesis) { g.Builds = append(g.Builds, canon.Digest{8}) }, "build 08"},
	{"build replaced", func(g *canon.Genesis) { g.Builds = []canon.Digest{{6}, {8}} }, "build 08"},
	{"any build", func(g *canon.Genesis) { g.Builds = nil }, "build 06"},
	{"call added", func(g *canon.Genesis) {
		r := g.Calls[2]
		r.Name, r.Label = "stake-more", "More"
		g.Calls = append(g.Calls, r)
	}, "call stake-more added, stake(address,bool) of 0x3333333333333333333333333333333333333333 on eip155:1337, which may carry coins; " +
		"argument 1: an address in the client's address book; argument 2: any value"},
	{"call that may carry coins", func(g *canon.Genesis) { g.Calls[1].Payable = true }, "call deposit: payable from no to yes"},
	{"call of another contract", func(g *canon.Genesis) { g.Calls[1].Contract = pool }, "contract from 0x2222222222222222222222222222222222222222 to 0x3333"},
	{"call of another function", func(g *canon.Genesis) { g.Calls[1].Signature = "redeem(uint256,address)" }, "signature from deposit(uint256,address) to redeem"},
	{"maximum of an argument raised", func(g *canon.Genesis) { g.Calls[0].Arguments[1].Max = canon.AmountOf(6_000_000) }, "max from 5 USD to 6 USD"},
	{"number that is no payment any more", func(g *canon.Genesis) { g.Calls[0].Arguments[1].Pays = nil }, "call approve: argument 2: payment of eip155:1337/erc20:"},
	{"value of an argument added", func(g *canon.Genesis) {
		g.Calls[0].Arguments[0].Values = append(g.Calls[0].Arguments[0].Values, word(bytes.Repeat([]byte{0x44}, 20)))
	}, ", that is 0x4444444444444444444444444444444444444444"},
	{"value of an argument replaced", func(g *canon.Genesis) {
		g.Calls[0].Arguments[0].Values[1] = word(bytes.Repeat([]byte{0x44}, 20))
	}, ", that is 0x4444444444444444444444444444444444444444"},
	{"any spender", func(g *canon.Genesis) { g.Calls[0].Arguments[0] = canon.ArgumentRule{Allow: canon.ArgumentAny} }, "argument 1: allow from one of the values to any value"},
	{"book instead of own address", func(g *canon.Genesis) { g.Calls[1].Arguments[1].Allow = canon.ArgumentBook }, "argument 2: allow from the address that sends the call to"},
	{"rule for one more call", func(g *canon.Genesis) { g.Rules[3].Calls = append(g.Rules[3].Calls, "stake") }, "rule contracts: call stake added"},
	{"rule for all calls", func(g *canon.Genesis) { g.Rules[3].Calls = []canon.Name{canon.Any} }, "rule contracts: calls from approve, deposit to all"},
	{"rule for payments in place of calls", func(g *canon.Genesis) { g.Rules[3].Calls = nil }, "rule contracts: calls from approve, deposit to none"},
	{"rule for payments in place of calls that are gone", func(g *canon.Genesis) { g.Rules[3].Calls, g.Calls = nil, nil }, "rule contracts: calls from approve, deposit to none"},
	{"deny rule for calls in place of payments", func(g *canon.Genesis) { g.Rules[0].Calls = []canon.Name{canon.Any} }, "rule house-blocked: calls from none to all"},
	{"call that a less strict rule has too taken from a rule", func(g *canon.Genesis) {
		drop(&g.Rules[3].Calls, 1)
		r := chartertest.Genesis().Rules[2]
		r.Name, r.Calls, r.Limits = "vaults", []canon.Name{"deposit"}, nil
		g.Rules = append(g.Rules, r)
	}, "rule contracts: call deposit removed"},
	{"recovery key added", func(g *canon.Genesis) { g.Recovery = append(slices.Clone(g.Recovery), chartertest.SSH("recovery-4")) }, ""},
	{"wallet of tokens added", func(g *canon.Genesis) {
		w := *walletOf(g, "btc-recover")
		w.Name = "another"
		g.Wallets = append(g.Wallets, w)
	}, "wallet another added, \"BTC with a token and a recovery key\", cosign with 1 of vault-2, backup none, pool of keys "},
	{"device that signs added", func(g *canon.Genesis) {
		w := walletOf(g, "btc-cosign")
		w.Devices = append(w.Devices, canon.Device{Signer: "vault-2"})
	}, "wallet btc-cosign: device vault-2 added"},
	{"device that signs removed", func(g *canon.Genesis) { drop(&walletOf(g, "btc-cold").Devices, 2) }, "wallet btc-cold: device vault-3 removed"},
	{"device that signs replaced", func(g *canon.Genesis) { walletOf(g, "btc-cosign").Devices[0].Signer = "vault-3" }, "wallet btc-cosign: device vault-1 removed"},
	{"device that attests added", func(g *canon.Genesis) {
		w := walletOf(g, "eth-cosign")
		w.Devices = append(w.Devices, canon.Device{Signer: "vault-3", Attestation: []byte{2, 1}})
	}, "wallet eth-cosign: device vault-3 added, attestation key 0201"},
	{"device that attests replaced", func(g *canon.Genesis) { walletOf(g, "eth-cosign").Devices[1].Signer = "vault-3" }, "wallet eth-cosign: device vault-2 removed"},
	{"devices in another order", func(g *canon.Genesis) { slices.Reverse(walletOf(g, "btc-cold").Devices) }, "wallet btc-cold: device list in another order"},
	{"another attestation key", func(g *canon.Genesis) { walletOf(g, "eth-cosign").Devices[0].Attestation = []byte{2, 1} }, "wallet eth-cosign: device vault-1: attestation key from 0"},
	{"fewer attestations needed", func(g *canon.Genesis) { walletOf(g, "eth-cosign").Needed = 0 }, "wallet eth-cosign: devices needed from 1 to 0"},
	{"fewer devices and fewer attestations", func(g *canon.Genesis) {
		w := walletOf(g, "eth-cosign")
		drop(&w.Devices, 1)
		w.Needed = 0
	}, "wallet eth-cosign: devices needed"},
	{"more attestations of a wallet that is of tokens now", func(g *canon.Genesis) {
		w := walletOf(g, "eth-cosign")
		w.Needed, w.Scheme = 2, canon.SchemeHSM
	}, "wallet eth-cosign: scheme from cosign to hsm"},
	{"more tokens needed", func(g *canon.Genesis) { walletOf(g, "btc-cold").Needed = 3 }, "wallet btc-cold: devices needed from 2 to 3"},
	{"fewer tokens needed", func(g *canon.Genesis) { walletOf(g, "btc-cold").Needed = 1 }, "wallet btc-cold: devices needed from 2 to 1"},
	{"another pool", func(g *canon.Genesis) { walletOf(g, "btc-cold").Pool = []byte{7, 8} }, " to 0708"},
	{"no pool", func(g *canon.Genesis) { walletOf(g, "btc-cold").Pool = nil }, " to none"},
	{"another recovery key", func(g *canon.Genesis) { walletOf(g, "btc-recover").Recovery = []byte{2, 1} }, "wallet btc-recover: recovery key from 0"},
	{"recovery key removed from a wallet", func(g *canon.Genesis) { walletOf(g, "btc-recover").Recovery = nil }, " to none"},
	{"keys that may leave their tokens", func(g *canon.Genesis) { walletOf(g, "btc-cold").Backup = canon.BackupWrap }, "wallet btc-cold: backup from none to wrap"},
	{"mark of one device dropped", func(g *canon.Genesis) { walletOf(g, "eth-cold").SingleDevice = false }, "wallet eth-cold: single device from yes to no"},
	{"authority removed", func(g *canon.Genesis) { g.Authorities = nil }, ""},
	{"name twice", func(g *canon.Genesis) { g.Limits = append(g.Limits, g.Limits[0]) }, ""},
}

func TestEditsTightenOrLoosen(t *testing.T) {
	for want, edits := range map[string][]edit{"tighter": tightenings, "looser": loosenings} {
		for _, e := range edits {
			t.Run(e.name, func(t *testing.T) {
				old, g := full(), full()
				if e.name == "approval removed in front of a rule that allows" {
					old.Rules[1], old.Rules[2] = old.Rules[2], old.Rules[1]
				}
				e.change(&g)
				d := charter.Compare(&old, &g)
				if got := effectOf(d); got != want {
					t.Errorf("expected %s, found %s: %v", want, got, d.Changes)
				}
				if !slices.ContainsFunc(d.Changes, func(c charter.Change) bool { return strings.Contains(c.Words, e.words) }) {
					t.Errorf("expected the words %q, found %v", e.words, d.Changes)
				}
				if d.OnlyUnfreezes() != (e.name == "freeze lifted" || e.name == "confirmed freeze lifted") {
					t.Errorf("only unfreezes: found %v", d.OnlyUnfreezes())
				}
			})
		}
	}
}
