// Package proto holds every byte that crosses between processes or people: the gRPC API in strongroom/v1, the signed documents in
// canon, and in rpc what carries them.
//
// The Go code of strongroom/v1 is generated; `make proto` makes it again with protoc 3.21.12 and the plugins that the Makefile pins.
package proto
