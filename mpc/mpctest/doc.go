// Package mpctest gives tests of any package threshold keys and a network of signers within one process.
//
// Its pre-parameters are published in this repository and its keys are dealt by one function that knows them whole, so that nothing made
// here protects anything. Every function takes a testing.TB: only tests can call it.
package mpctest
