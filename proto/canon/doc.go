// Package canon owns every struct whose bytes somebody signs: one file a kind, deterministic encoding, strict decoding, digests.
//
// The encoding is deterministic CBOR (RFC 8949 section 4.2.1): definite lengths, shortest forms, integer map keys in order, no
// floats, no tags, no nulls. Decode refuses whatever Encode would not have written: it checks the size first, then nesting,
// unknown and duplicate keys, trailing bytes and every field's own rules, and at last encodes again and compares. What was signed
// is stored and passed on as received; nobody verifies bytes that he encoded himself from a struct.
//
// The package trusts nothing and checks form only: whether a key is entitled to sign is the charter's question. All functions are
// safe for concurrent use.
package canon
