package genesis

import (
	"errors"
	"fmt"

	"github.com/strongroom/strongroom/proto/canon"
)

// devices fills in what a wallet with keys in tokens says of them. What is left out stays empty, which charter.Lint judges; what is written must have
// something in it.
func (c *compiler) devices(i int, t walletText, w *canon.Wallet) {
	field := fmt.Sprintf("wallets[%d]", i)
	if t.Devices != nil && len(t.Devices) == 0 {
		c.note(errors.New("expected at least one device, found none"), "%s.devices", field)
	}
	for j, d := range t.Devices {
		w.Devices = append(w.Devices, canon.Device{Signer: d.Signer, Attestation: c.point(d.Attestation, "%s.devices[%d].attestation", field, j)})
	}
	w.Needed, w.SingleDevice = t.Needed, t.SingleDevice
	if t.Pool != nil {
		w.Pool = t.Pool[:]
	}
	w.Recovery = c.point(t.Recovery, "%s.recovery", field)
	if t.Backup != nil {
		backup, err := word[canon.Backup]("", *t.Backup, "none", "wrap")
		c.note(err, "%s.backup", field)
		w.Backup = backup
	}
}

// point reads a compressed public key; nil stays nil.
func (c *compiler) point(key *hexBytes, format string, args ...any) []byte {
	if key == nil {
		return nil
	}
	if len(*key) != 33 {
		c.note(fmt.Errorf("expected a compressed public key of 33 bytes, found %d", len(*key)), format, args...)
	}
	return *key
}
