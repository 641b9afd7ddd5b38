package store

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"
)

// Limits on the size of pages, and the size when none is asked for.
const (
	MaxPage     = 1000
	DefaultPage = 50
)

// PageSize returns the size to use for what a caller asked for, and refuses sizes below 0 and above MaxPage.
func PageSize(asked int) (int, error) {
	if asked < 0 || asked > MaxPage {
		return 0, fmt.Errorf("store: page size: expected 0 to %d, found %d", MaxPage, asked)
	}
	if asked == 0 {
		return DefaultPage, nil
	}
	return asked, nil
}

const tokenVersion = 1

// PageToken returns an opaque token for the page after position of a query. Query is any text that differs between queries; the token
// is refused with another.
func PageToken(query string, position uint64) string {
	b := make([]byte, 0, 17)
	b = append(b, tokenVersion)
	b = append(b, fingerprint(query)...)
	b = binary.BigEndian.AppendUint64(b, position)
	return base64.RawURLEncoding.EncodeToString(b)
}

// ParsePageToken returns the position of a token of that query, and 0 for the empty token. Anything else is ErrPageToken.
func ParsePageToken(query, token string) (uint64, error) {
	if token == "" {
		return 0, nil
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(b) != 17 || b[0] != tokenVersion || string(b[1:9]) != string(fingerprint(query)) {
		return 0, ErrPageToken
	}
	position := binary.BigEndian.Uint64(b[9:])
	if position == 0 || position > math.MaxInt64 {
		return 0, ErrPageToken
	}
	return position, nil
}

func fingerprint(query string) []byte {
	sum := sha256.Sum256([]byte("strongroom/page-token/v1\x00" + query))
	return sum[:8]
}

// Fingerprint is the query's text for PageToken: everything that selects and orders, but neither size nor page.
func (q Query) Fingerprint() string {
	return fmt.Sprintf("withdrawals states=%q client=%q wallet=%q newest=%t", q.States, q.Client, q.Wallet, q.Newest)
}
