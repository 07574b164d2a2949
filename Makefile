# What is worth running here; `make` alone lists it.

DEMO_SIZE ?= 300
PORT      ?= 5001
ONCE      ?=
MODEL_SCHEDULES ?= 100000
ROUNDS    ?= 108
SEED      ?=
FIGURES   ?=
SMALL     ?=

# Programs that need databases run inside this: it starts them, sets PG_URL and
# MONGODB_URI, and stops them again.
WITH := go run ./internal/devstack/cmd/with --

# A checkout that git does not trust (somebody else's) cannot be stamped with
# its revision; it builds all the same.
VCS := $(if $(shell git rev-parse HEAD 2>/dev/null),auto,false)

.DEFAULT_GOAL := help
.PHONY: help build demo test check fmt vet staticcheck arrows migrations race model chaos bench clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build bin/amanat and bin/demo
	go build -buildvcs=$(VCS) -o bin/ ./cmd/amanat ./cmd/demo

demo: build ## two servers, live traffic, three domains moved and back (ONCE=1 ends by itself; DEMO_SIZE, PORT)
	@DEMO_SIZE=$(DEMO_SIZE) PORT=$(PORT) ONCE=$(ONCE) bin/demo -amanat bin/amanat

# What is about FerretDB, or about whole processes, runs on that, or on mongod
# where there is one; the rest on mongosim, and the contract of the stores on
# both.
ON_FERRET := ./internal/devstack ./internal/e2e

test: ## run every test, on databases that it starts for itself
	MONGO=sim $(WITH) go test -timeout 60m $$(go list ./... | grep -v -E '/internal/(devstack|e2e)$$')
	MONGO= $(WITH) go test -timeout 60m $(ON_FERRET)
	MONGO= $(WITH) go test -timeout 60m -run '^Test(Contract|User|Marketplace|Payments|QueriesAreAnsweredAsInMemory)$$' ./cutover/mongodb

check: fmt vet staticcheck arrows migrations model test race ## what CI runs: all of the following, and test

fmt: ## gofmt
	@unformatted=$$(gofmt -l .); test -z "$$unformatted" || \
		{ echo "not formatted (run gofmt -w on them):"; echo "$$unformatted"; exit 1; }

vet: ## go vet
	go vet ./...

staticcheck: ## staticcheck, in the version that go.mod names
	go tool staticcheck ./...

arrows: ## which package may import which, and who may touch a transaction
	go test -count=1 -v ./internal/arrows

migrations: ## what migrations make of an empty database, compared with what the code expects
	$(WITH) go test -count=1 -v -run '^TestUp_|^TestCompare_|^TestADatabase' ./cutover/postgresql ./internal/migrations

race: ## the race detector on the engine and the stores
	@command -v $$(go env CC) >/dev/null || \
		{ echo "the race detector needs a C compiler: apt-get install gcc libc6-dev"; exit 1; }
	MONGO=sim CGO_ENABLED=1 $(WITH) go test -race -timeout 60m ./cutover/... ./internal/storetest

model: ## seeded schedules of the engine, with crashes, on toy databases (MODEL_SCHEDULES=n)
	MODEL_SCHEDULES=$(MODEL_SCHEDULES) go test -count=1 -timeout 60m -v -run '^TestModel$$' ./cutover/model

chaos: ## kill, freeze and cut off processes and databases in moves under traffic (ROUNDS=n SEED=n)
	go build -buildvcs=$(VCS) -tags chaos -o bin/amanat-chaos ./cmd/amanat
	go run ./internal/devstack/cmd/chaos -amanat bin/amanat-chaos -rounds $(ROUNDS) $(if $(SEED),-seed $(SEED))

bench: build ## figures against hand-written peers, one line each (FIGURES=a,b only some; SMALL=1 a quick try)
	go build -buildvcs=$(VCS) -o bin/ ./bench ./bench/peer
	@bin/bench -amanat bin/amanat -peer bin/peer -figures "$(FIGURES)" $(if $(SMALL),-small)

clean: ## remove what was built
	rm -rf bin
