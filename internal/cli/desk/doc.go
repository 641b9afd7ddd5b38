// Package desk is the officers' inbox as one moves through it on a terminal: what waits, the full text of each entry, and what an officer
// may say about it.
//
// It decides nothing and talks to nobody: an Office verifies, signs and asks servers, never within the loop that draws. What the package
// adds is how a person is asked. An approval takes the amounts typed, not pasted and never a plain yes, and is not asked for before every
// line of the text was on the screen; a freeze takes the word, and does not wait until everybody was asked. One thing is done at a time, what came
// of it stays on the screen until a key is pressed, and nobody leaves while something is sent.
//
// Text from an Office is escaped there, because only it knows what is whose; here every character that does not print becomes a
// question mark, so that nothing but this package moves the cursor. No line is wider than the terminal, by the width of cells: what does not fit is
// wrapped, or in the list cut with three dots. Colours are not used.
package desk
