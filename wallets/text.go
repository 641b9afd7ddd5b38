package wallets

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// EscapeText returns text of others so that it can neither move the cursor, hide, nor change the reading direction of what stands
// around it: everything that is not a letter, mark, number, punctuation, symbol or plain space becomes a backslash escape.
func EscapeText(text string) string {
	var b strings.Builder
	for len(text) > 0 {
		r, n := utf8.DecodeRuneInString(text)
		if plain(r, n) {
			b.WriteString(text[:n])
		} else {
			b.WriteString(strings.Trim(strconv.QuoteToASCII(text[:n]), `"`))
		}
		text = text[n:]
	}
	return b.String()
}

// plain reports whether a decoded rune shows as it is. A backslash does not, or escapes could be imitated.
func plain(r rune, size int) bool {
	return (r != utf8.RuneError || size > 1) && r != '\\' && unicode.IsPrint(r)
}
