// Package child runs a token in a child process of its own, so that a crash, a hang or memory that a vendor's library overwrote costs that process only.
// The process with the shares in its memory goes on, and sees hsm.ErrTokenLost.
//
// Start is the parent's side: it starts a program, usually its own executable again, and returns an hsm.Token. Serve is the child's side: it
// opens the token as it is told and answers until the parent closes the socket. Between the two go length-limited frames of CBOR over
// an inherited pair of sockets, many requests at once. What opens the token is given to Serve, so that this package needs no cgo.
//
// What it does:
//
//   - The PIN goes through the socket, after the child said that it made itself unreadable to other processes (on Linux, Harden); it stands in no argument and no
//     environment variable. A socket cannot be opened again through /proc, as a pipe can, by whoever runs as the same user: so requests need no
//     authentication. That holds if the parent is hardened too: descriptors can be taken from a process that can be traced (pidfd_getfd).
//     The child's environment holds what Config lists and nothing else.
//   - What the child and the vendor's library say on standard output and standard error is dropped: nobody knows what a library logs, and the Go
//     runtime's account of a crash holds registers of code that had the PIN. Only the name of the signal is kept.
//   - The child ends with its parent: the kernel kills it (on Linux), and it ends when its socket does. It writes no core file.
//   - Every call ends at its context's end or at a limit of its own, whether or not the child answers. What an abandoned call did is unknown.
//   - A child that sends anything but a well-formed answer to a question that was asked is killed.
//   - Each signature is verified again on the parent's side, and each sealed blob opened again at the parent's request and compared there: what the child
//     found may have been found with overwritten memory.
//   - After a login whose outcome nobody knows, because the child ended in it, errors say so (hsm.ErrLogin).
//
// What it trusts: the executable that it starts, and the kernel to keep two processes apart. The child has the rights of the parent's user: code in
// the vendor's library that is hostile, not only faulty, can do what that user can. Between its start and its
// hardening the child can be traced by that user's processes, and one that attached then stays attached; the sysctl kernel.yama.ptrace_scope = 1
// forbids it. What it does not do: start a second child when one is gone. That is package durable's.
package child
