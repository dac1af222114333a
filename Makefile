# Spillway. `make run` to try it, `make test` to trust it.

GO       ?= go
BIN      := bin/spillway
TOOLS    := $(CURDIR)/.tools
LINT     := $(TOOLS)/golangci-lint
# Pinned: a new linter's opinions come with a commit of ours, not by themselves.
LINT_VERSION := v2.15.0
FUZZTIME ?= 10m
VERSION  := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS  := -X main.version=$(VERSION)

.PHONY: run build test check race fuzz bench bench-sweep bench-trouble drill mutants clean help

help: ## show this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: ## build, start a private PostgreSQL and Spillway before it; Ctrl-C ends both
	@./scripts/run.sh

build: ## build bin/spillway
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN) ./cmd/spillway

test: ## install what tests need, vet, test, test again under the race detector
	@./scripts/test.sh

race: ## only the race detector's pass
	@./scripts/test.sh race

check: $(LINT) ## gofmt, vet, golangci-lint with the import rules, shellcheck if installed
	@./scripts/check.sh $(LINT)

$(LINT):
	GOBIN=$(TOOLS) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)

fuzz: ## every fuzz target for FUZZTIME (default 10m), one after the other
	@FUZZTIME=$(FUZZTIME) ./scripts/fuzz.sh

mutants: ## break the core on purpose, fault by fault: each must be noticed by the test named with it (about 3 minutes)
	$(GO) run ./test/mutants $(ARGS)

bench: ## Spillway against the distribution's PgBouncer; writes docs/benchmarks.md
	$(GO) run ./bench

clean: ## remove what was built (not the data of `make run`: that is .run/)
	rm -rf bin
	$(GO) clean -testcache

bench-sweep: ## spillway sweep against a big DELETE, the report's script and DELETE … LIMIT (ARGS=-full: 50 million rows)
	$(GO) run ./bench/sweep $(ARGS)

bench-trouble: ## the proxy while its log's disk is full, another PostgreSQL is away, its alarms' endpoint hangs (ARGS="-minutes 10 -rounds 8 -write"); needs root
	$(GO) run ./bench/trouble $(ARGS)

drill: build ## every drill at full scale, bare and behind Spillway (about 3 minutes each); pages go to .run/drills
	@./scripts/drill.sh $(BIN)
