// Package layout holds no code: its tests hold the module's imports against the rules of docs/ARCHITECTURE.md.
package layout
