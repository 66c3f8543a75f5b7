# Targets are documented with "##"; "make" alone lists them.
.DEFAULT_GOAL := help
.PHONY: help pg build run test check fuzz lint fmt golden bench

# Pinned here and run by "go run", so that go.mod lists only what the program needs.
GOFUMPT      := mvdan.cc/gofumpt@v0.12.0
STATICCHECK  := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOLANGCILINT := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

# The race detector needs a C compiler.
RACE = $(shell command -v "$$(go env CC)" >/dev/null 2>&1 && echo -race)

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

pg: ## Get the PostgreSQL server programs, if the machine has none
	@sh adapters/embeddedpg/install.sh

build: ## Build bin/daybook and bin/daybook-audit
	go build -trimpath -o bin/ ./cmd/daybook ./cmd/daybook-audit

run: pg build ## Play sample deliveries into a private database and keep serving
	bin/daybook demo

test: pg ## Run every test
	go test ./...

check: pg build ## What CI runs: vet, staticcheck, format, tidy, tests with the race detector
	go vet ./...
	go run $(STATICCHECK) ./...
	@out="$$(go run $(GOFUMPT) -d .)" && test -z "$$out" || { echo "$$out"; echo 'run "make fmt"'; exit 1; }
	go mod tidy -diff
	@test -n "$(RACE)" || echo 'no C compiler: the tests run without the race detector'
	go test $(RACE) -timeout 14m ./...

# How long each target of "make fuzz" runs: FUZZTIME=5m before a release.
FUZZTIME ?= 10s

fuzz: ## Fuzz every decoder and every check of a sender, FUZZTIME (10s) each
	@grep -rno --include='*_test.go' '^func Fuzz[A-Za-z]*' domain projections adapters | \
		sed 's|^\(.*\)/[^/]*:[0-9]*:func |\1 |' | sort | while read -r dir name; do \
			echo "$$dir $$name"; \
			go test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) "./$$dir" || exit 1; \
		done

lint: ## Run golangci-lint, which takes a minute to build the first time
	go run $(GOLANGCILINT) run

fmt: ## Format the source
	go run $(GOFUMPT) -w .

golden: pg ## Rewrite the expected results in testdata; review the diff
	UPDATE_GOLDEN=1 go test ./...

# "make bench BENCH='-only rebuild'" measures one section; "-help" lists the flags.
bench: pg ## Measure intake, append, catch-up and rebuild on a cluster of its own
	go run ./cmd/bench $(BENCH)
