// Package ethereum builds, reads, renders, completes and verifies EIP-1559 transactions of three sorts: a transfer of the chain's coin,
// a call of transfer(address,uint256) on an ERC-20 token, and any other contract call with static arguments (Solidity ABI): a selector
// and up to 16 words, which a Function gives their meaning.
//
// It does no I/O and holds no key. It trusts nothing in a payload: what is signed is decoded, encoded again and compared, and every
// field must be of the form that this service builds. Other transaction types (legacy, access lists, blobs, EIP-7702 authorisations),
// contract creation, call data of another form, value sent to a token transfer and needless bytes are refused by name. Whether a contract
// call may be made is not decided here: who takes a Transaction for a payment must look at Call too. A completed transaction is accepted
// only for the sender that its signature, with low s, recovers to. All functions are safe for concurrent use and leave their arguments
// as they are.
package ethereum
