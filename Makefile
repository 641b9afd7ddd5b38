# Two commands do everything: `make demo` and `make test`. Both install what is missing (Debian or Ubuntu, through apt) and say what they
# could not. They need Go, gcc, make and Node.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

TOOLS := $(CURDIR)/.tools
DEVNET := $(CURDIR)/.devnet
BIN := $(DEVNET)/bin
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.7.0
PROTOC_GEN_GO_GRPC := google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.0
export GOFLAGS := -buildvcs=false

# Counts the packages that the compiler names, and passes on whatever else it says.
COUNT := awk '/^[a-z0-9.]+[a-zA-Z0-9._\/-]*$$/ { n++; if (n % 20 == 0) { printf "  %d packages compiled\n", n; fflush() }; next } { print }'

# Packages whose tests need chain nodes. What else is in internal/devnet runs with the unit tests.
CHAINS := grep -rlE '^//go:build .*\bchains\b' --include=*_test.go wallets internal | xargs -n1 dirname | sort -u | sed 's,^,./,'

# Packages whose tests exercise concurrency; they run under the race detector too.
RACE := ./hsm/... ./mpc/transport/... ./proto/rpc/... ./internal/signer/... ./internal/coordinator/...

.PHONY: demo devnet test test-unit test-race test-chains test-peers test-long bench lint build deps peers tools proto clean

demo: deps build ## play the main job on a devnet of its own
	@$(BIN)/strongroom-devnet demo --dir $(DEVNET) --tools $(TOOLS)

devnet: deps build ## start the same and leave it running until Ctrl-C
	@$(BIN)/strongroom-devnet up --dir $(DEVNET) --tools $(TOOLS)

build:
	@mkdir -p $(BIN)
	@echo "building the binaries (the first time takes a few minutes)"
	@go build -v -o $(BIN)/ ./cmd/... ./internal/devnet/cmd/... 2>&1 | $(COUNT)

test: deps lint test-unit test-race peers test-peers test-chains ## all tests

test-unit:
	go test ./...

test-race:
	go test -race -short -timeout 30m $(RACE)

# The whole system on real btcd, go-ethereum and SoftHSM, and the chain nodes by themselves.
test-chains: peers
	go test -tags chains -timeout 30m -count=1 $$($(CHAINS))

# Libraries that are not ours, on transactions of ours.
test-peers: peers
	cd internal/devnet/peers && npm test

test-long: deps peers ## what is too slow for every change
	go test -tags "chains long" -timeout 2h -count=1 ./...
	for target in $$(grep -rlE '^func Fuzz' --include=*_test.go . | xargs -n1 dirname | sort -u); do \
		for f in $$(grep -hoE '^func Fuzz[A-Za-z0-9_]*' $$target/*_test.go | sed 's/^func //'); do \
			go test -run '^$$' -fuzz "^$$f\$$" -fuzztime 30s $$target; done; done

# What a decision costs, next to Open Policy Agent and Cedar: a module of its own, so that the product depends on neither.
bench:
	cd internal/devnet/compare && go vet ./... && go run .
	go test -run '^$$' -bench . -benchtime 1x ./hsm/durable # signatures of a token in a child process; of-loop is their ratio to a bare loop on its module

lint: tools
	@out=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$out" ]; then echo "not gofmt'd:" $$out; exit 1; fi
	go vet ./...
	go vet -tags "chains long" $$($(CHAINS)) ./internal/devnet/... ./mpc/...
	$(TOOLS)/staticcheck ./...
	$(TOOLS)/staticcheck -tags "chains long" $$($(CHAINS)) ./internal/devnet/... ./mpc/...

tools: $(TOOLS)/staticcheck

$(TOOLS)/staticcheck:
	@mkdir -p $(TOOLS)
	GOBIN=$(TOOLS) go install $(STATICCHECK)

peers: internal/devnet/peers/node_modules/.installed

internal/devnet/peers/node_modules/.installed: internal/devnet/peers/package-lock.json
	cd internal/devnet/peers && npm ci --ignore-scripts --no-audit --no-fund
	@touch $@

# Debian packages: a PKCS#11 module to run against, and OpenSSH as a peer for officers' signatures.
deps:
	@.ci/install-packages

# Needs protoc 3.21.12 (Debian 12: protobuf-compiler libprotobuf-dev).
proto:
	@mkdir -p $(TOOLS)
	GOBIN=$(TOOLS) go install google.golang.org/protobuf/cmd/protoc-gen-go
	GOBIN=$(TOOLS) go install $(PROTOC_GEN_GO_GRPC)
	PATH=$(TOOLS):$$PATH protoc -I proto -I /usr/include --go_out=. --go_opt=module=github.com/strongroom/strongroom \
		--go-grpc_out=. --go-grpc_opt=module=github.com/strongroom/strongroom proto/strongroom/v1/*.proto

clean:
	rm -rf $(DEVNET) $(TOOLS) internal/devnet/peers/node_modules
