// Package authority is an outside authority: it states prices, attributes of clients, or decisions about requests, and signs what it states, so that
// signers can verify it by the key that the charter names. It is what an organisation runs that has nothing better: prices, attributes and lists
// come from a file that others keep up to date, and what the lists leave open a person decides.
//
// An authority has one purpose, as in the charter. Of prices it states what the file says, with the time of the statement; so whoever keeps the file
// gives each price an end. It screens requests against two lists of addresses, one refused, one left to people; an address on neither is cleared.
// For the travel rule it asks for IVMS101 data (package ivms101) that names originator, beneficiary and their accounts, from a threshold on;
// what cannot be held against a threshold needs the data too. A person's decision never outweighs the list of refused addresses.
//
// It trusts its files and nobody else. Only the coordinators whose TLS keys its configuration pins may ask; they are believed nothing: a
// decision is about a request that a client, or a treasury desk for it, signed by the charter at hand, and travel-rule data counts only if the request
// binds its digest. Where a request binds data, neither the files nor a person clear it unless the data came with the question. Whether an own wallet's
// address is one, signers work out. The list of what waits for people is bounded for each client, and reasons have at most 140 bytes.
//
// Travel-rule data is read and forgotten: it is neither kept nor logged, and no answer quotes it.
package authority
