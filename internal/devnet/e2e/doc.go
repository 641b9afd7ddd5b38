// Package e2e holds no code: its test runs the whole system, as the demonstration does, and asks libraries of others what they see in
// the transactions that came of it.
package e2e
