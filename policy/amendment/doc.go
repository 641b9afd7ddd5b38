// Package amendment follows the charter from the genesis through its amendments, as every signer does by itself.
//
// An amendment carries the whole next charter. Officers approve its digest by the ordinary quorum of the charter in force; if anything
// in it loosens (charter.Compare) also by that of the charter it makes, so that nobody is locked out by his own change. It is proposed,
// each signer of the roster holds it for as long as it must wait (see Delay), and then says so in a signed canon.Held, unless a veto
// reached it. An entry with Held of q distinct members of the roster enacts it: for an amendment that only tightens too, where the
// wait is zero. That certificate decides. Whoever holds the same entries has the same charter, in whatever order they came, and an
// offline or a new signer takes the certificate instead of waiting. So a veto, a withdrawal and a revocation count when a signer gives
// its Held, and Chain.Enact looks once more; Chain.Follow, for a signer that the others have left behind, does not.
//
// A veto only stops what loosens: else an officer could veto his own removal. Recovery keys may replace lost officers after a delay of
// their own, which any officer who is left can use for a veto.
//
// Where both officers and recovery keys approved, the officers' quorum goes first if it is met and the charter is valid.
// What Chain.Enact accepts, Chain.Follow accepts: votes that statements take away never turn into something that refuses the record.
//
// An amendment may change who signs the next version of the address book, never the book itself (charter.Succeed). A freeze that an amendment
// confirms does not lapse; confirming waits for nothing, lifting for the delay of unfreezing, and letting it lapse again for that of loosening.
//
// Nothing of the charter that an amendment carries is read before the quorum of the charter in force, or its recovery keys, signed the
// amendment; only Chain.Review, for officers' tools, does. The members of the roster, q and f cannot be amended. Signers outside it, such as those whose
// tokens hold keys of wallets, come and go; whether another pool of keys has the keys of the one before no charter says (keyset.Extends does).
//
// Two enacted amendments of one number are a fork: signing must stop (Chain.Forked) until an amendment that names both heals it, approved
// by the quorum and officers of the genesis and by those of the charter that forked, and held by the roster that both branches follow.
//
// The package trusts the pinned digest of the genesis and the statements and the time that its caller passes in. It does no I/O. A Chain
// never changes: its methods return another one.
package amendment
