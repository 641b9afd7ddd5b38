package lint

import (
	"fmt"
	"slices"

	"github.com/strongroom/strongroom/proto/canon"
)

// devices says what a person should know of wallets with keys in tokens before he approves them.
func (l *linter) devices() {
	for i, w := range l.Wallets {
		field := fmt.Sprintf("wallets[%d]", i)
		bitcoin := slices.ContainsFunc(l.Chains, func(c canon.Chain) bool { return c.ID == w.Chain && c.Kind == canon.Bitcoin })
		switch {
		case w.SingleDevice:
			l.add(SingleDevice, "", field+".single_device", "one token and its PIN are all the money of wallet %s: who has both needs nobody else, and no rule", w.Name)
		case w.Scheme == canon.SchemeHSM && w.Tier != canon.Cold:
			l.add(HotTokens, "", field+".tier", "%d processes that can reach their tokens at any time are all that wallet %s takes: a cold wallet keeps them off the network", w.Needed, w.Name)
		case w.Scheme == canon.SchemeCosign && !bitcoin:
			l.add(OnlyAttested, "", field+".scheme", "the chain knows one key of wallet %s, which the holders of %s have: as many of them as sign can do without its tokens, whose word honest holders ask for",
				w.Name, w.Key)
		}
		if len(w.Pool) > 0 {
			l.lost(field, w)
		}
		if w.Backup == canon.BackupWrap {
			l.add(LeavesToken, "", field+".backup", "keys of wallet %s may leave their token wrapped: whoever has such a file and the token that unwraps it has the keys, and no record here says that one was made", w.Name)
		}
		if len(w.Recovery) > 0 {
			l.add(RecoveryKey, "", field+".recovery", "token %s and the recovery key of wallet %s spend without the holders of %s and without any rule: different people should have them, and the recovery key no network",
				deviceNames(w)[0], w.Name, w.Key)
		}
		l.company(field, w)
	}
}

// lost says where the loss of one token is the loss of what lies on a wallet's addresses.
func (l *linter) lost(field string, w canon.Wallet) {
	spare := w.Scheme == canon.SchemeHSM && w.Needed < uint64(len(w.Devices)) || len(w.Recovery) > 0
	if !spare && w.Backup == canon.BackupNone {
		l.add(NoSpareToken, "", field+".backup", "wallet %s cannot be spent without token %s, whose keys have no copy: if it breaks, what lies there is lost", w.Name, deviceNames(w)[0])
	}
}

// company says who has more than one of the keys that should be apart.
func (l *linter) company(field string, w canon.Wallet) {
	operators := map[canon.Name]canon.Name{}
	for _, s := range l.Signers {
		operators[s.Name] = s.Operator
	}
	for j, d := range w.Devices {
		for _, k := range l.Keys {
			share := func(h canon.Name) bool { return operators[h] == operators[d.Signer] }
			if at := slices.IndexFunc(k.Holders, share); w.Key == k.ID && at >= 0 {
				l.add(SharedOperator, "", fmt.Sprintf("%s.devices[%d]", field, j), "operator %s runs token %s of wallet %s and, as %s, has a share of its MPC key: what was to take two takes one and fewer shares",
					operators[d.Signer], d.Signer, w.Name, k.Holders[at])
			}
		}
		online := func(o canon.Wallet) bool {
			return o.Tier != canon.Cold && slices.Contains(deviceNames(o), d.Signer)
		}
		if at := slices.IndexFunc(l.Wallets, online); w.Tier == canon.Cold && at >= 0 {
			l.add(ColdOnline, "", fmt.Sprintf("%s.devices[%d]", field, j), "%s signs for cold wallet %s and, on the network, for %s: whoever takes over its machine reaches both",
				d.Signer, w.Name, l.Wallets[at].Name)
		}
	}
}

func deviceNames(w canon.Wallet) []canon.Name {
	out := make([]canon.Name, len(w.Devices))
	for i, d := range w.Devices {
		out[i] = d.Signer
	}
	return out
}
