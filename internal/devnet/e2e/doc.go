// Package e2e holds no code: its tests run the whole system, as the demonstration does, and ask libraries of others what they see in
// the transactions that came of it. Each has an organisation and chains of its own, so that they run beside each other: most of the time they wait.
package e2e
