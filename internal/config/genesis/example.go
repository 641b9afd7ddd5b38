package genesis

import _ "embed"

// Example is a documented genesis for TOML authors.
//
//go:embed example.toml
var Example string

// ExampleBook is a documented address book that goes with Example.
//
//go:embed example-book.toml
var ExampleBook string
