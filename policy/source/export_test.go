package source

import (
	"maps"
	"slices"
)

// Paths returns every path that was found.
func (m *Map) Paths() []string { return slices.Sorted(maps.Keys(m.at)) }
