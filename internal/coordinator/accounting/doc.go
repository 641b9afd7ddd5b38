// Package accounting is the double-entry book: what is owed to which account, in which wallet it lies, and what is on its way. It is pure: it
// says which entries something makes; a store keeps them, in the transaction in which it learns of it.
//
// An entry is about one wallet, one asset and at most one account, and its postings move an amount from one ledger to another, so no entry can
// be out of balance, and none can have assets of the house and of clients in it: a wallet holds one kind alone, and so does an account. For every
// wallet and asset, after every entry,
//
//	holding + shortfall = owed to the accounts in it + in flight + suspense
//
// where shortfall is zero unless something left the wallet that no withdrawal explains, or a reorganisation took away what was paid out
// already. No balance is ever below zero. Entries are numbered and never change; what a reorganisation undid has an entry that reverses it.
//
// A Movement is what happened. Most have a natural key (a transaction's output, say): the same movement again makes no second entry, so whoever
// follows a chain may repeat himself after a crash.
//
// It trusts whoever says what happened, and the stored entries. It refuses entries that take more from a ledger than is there.
package accounting
