package charter

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/strongroom/strongroom/proto/canon"
)

// What an amendment does to the devices of a wallet loosens, with the two exceptions below:
//
//   - a device that comes signs or attests where it did not;
//   - one that goes takes its key out of the addresses where it signs: what lies there waits for another;
//   - another pool or recovery key names keys that nobody who approved the old one has seen;
//   - another attestation key lets another token speak for the device;
//   - another number of devices needed makes other addresses where they sign, and a lower one trusts fewer where they attest;
//   - keys that may leave their tokens can come to be in more places; a charter that says they may not any more says it of keys that perhaps have;
//   - the mark of a single device is for people to see: it neither goes nor comes without them.

// attestationsNeeded rules that more attestations tighten: the addresses stay, and who meets the new number meets the old one.
func attestationsNeeded(c *comparison, p spot, old, new reflect.Value) effect {
	if c.attestsOnly(p) {
		return ordered(old, new)
	}
	return looser
}

// deviceRemoved rules that fewer devices which may attest tighten, as long as no fewer must: how many must is a change of its own.
func deviceRemoved(c *comparison, q spot) effect {
	if c.attestsOnly(*q.owner) {
		return tighter
	}
	return looser
}

// attestsOnly reports whether devices attest in both forms of a wallet, without a key in its addresses.
func (c *comparison) attestsOnly(p spot) bool {
	was, is := p.old.Interface().(canon.Wallet), p.new.Interface().(canon.Wallet)
	return attests(was, c.oldX.chains[was.Chain]) && attests(is, c.newX.chains[is.Chain])
}

// deviceWords adds to a wallet that comes or goes what its tokens do.
func deviceWords(w canon.Wallet) string {
	if len(w.Devices) == 0 {
		return ""
	}
	names := make([]string, len(w.Devices))
	for i, d := range w.Devices {
		names[i] = string(d.Signer) + attestationWords(d)
	}
	text := fmt.Sprintf(", %s with %d of %s, backup %s", showPlain(reflect.ValueOf(w.Scheme)), w.Needed, strings.Join(names, "; "), showPlain(reflect.ValueOf(w.Backup)))
	if len(w.Pool) > 0 {
		text += fmt.Sprintf(", pool of keys %x", w.Pool)
	}
	if len(w.Recovery) > 0 {
		text += fmt.Sprintf(", recovery key %x", w.Recovery)
	}
	if w.SingleDevice {
		text += ", one token and its PIN are the money"
	}
	return text
}

func attestationWords(d canon.Device) string {
	if len(d.Attestation) == 0 {
		return ""
	}
	return fmt.Sprintf(", attestation key %x", d.Attestation)
}
