// Package durable makes of tokens that come and go one that stays: it opens a token, watches it, and opens it again when it was lost. Each time is a
// generation. Keys that were found once stay valid as Go values; in each generation they are looked up anew, because handles mean nothing in the next.
//
// What it does:
//
//   - A generation ends when a call reports hsm.ErrTokenLost or a wrong signature, or when the canary's signature fails or does not come. The canary signs
//     at fixed intervals, and before the first use after a pause, and at once after a call that timed out. While other calls succeed, a canary that
//     has to wait for its turn ends nothing.
//   - The old generation is closed before the next is opened; calls in it end with what it answers, and nothing of it is used again.
//   - The next generation is tried with growing pauses for as long as it takes, but never after hsm.ErrPIN: a wrong PIN is tried once, and after that a
//     person must start the program again. After hsm.ErrLogin, a login that may have cost a try, there is one more login, and then none either.
//   - A key in a new generation must be the key that it was: the same public key, for a sealing key one that opens what was sealed before. Another one
//     is refused with hsm.ErrKeyAttributes, and so is a token with another serial number with hsm.ErrNoToken.
//
// What it does not do: repeat anything that may have had an effect. A call that was under way when its generation ended returns the error, and its
// outcome is unknown. Only looking up a key is repeated, which signs nothing of the caller's. New calls wait for the next generation until their context
// ends or Config.Wait has passed, and then return hsm.ErrTokenLost, which says what keeps the token from being opened.
//
// It trusts the function that opens a token to return when its context ends.
package durable
