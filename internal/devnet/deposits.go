package devnet

import "strings"

// NoteDeposit remembers the deposit address of an account in a wallet.
func (d *Devnet) NoteDeposit(wallet, account, address string) {
	d.deposits[wallet+"/"+account] = address
}

// Deposit returns the deposit address of an account in a wallet, in lower case, and false if none was made.
func (d *Devnet) Deposit(wallet, account string) (string, bool) {
	a, ok := d.deposits[wallet+"/"+account]
	return strings.ToLower(a), ok
}
