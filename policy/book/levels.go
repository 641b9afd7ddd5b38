package book

import (
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// levels are the hashes of a tree: of its entries, of the complete pairs of those, of the complete pairs of pairs, and so on. What is not
// complete yet, at the right edge, is computed from them.
type levels [][]tlog.Hash

// grown returns the levels over the hashes of the entries, which are there.
func (l levels) grown() levels {
	below := l[0]
	for len(below) > 1 {
		above := make([]tlog.Hash, len(below)/2)
		for i := range above {
			above[i] = tlog.NodeHash(below[2*i], below[2*i+1])
		}
		l = append(l, above)
		below = above
	}
	return l
}

// ReadHashes implements tlog.HashReader.
func (l levels) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		level, at := tlog.SplitStoredHashIndex(index)
		if level >= len(l) || at >= int64(len(l[level])) {
			return nil, fmt.Errorf("hash: expected one of a complete subtree of %d levels, found number %d of level %d", len(l), at, level)
		}
		out[i] = l[level][at]
	}
	return out, nil
}
