# make lists the targets.
.DEFAULT_GOAL := help
.PHONY: help build test check slow bench

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build the command into bin/
	CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o bin/become ./cmd/become

test: ## run all tests
	go test ./...

check: ## format, vet, and the quick tests with the race detector
	@test -z "$$(gofmt -l .)" || { gofmt -l .; exit 1; }
	go vet ./...
	go test -race -short ./...

slow: ## everything that must hold before a change lands
	bash .ci/run

bench: ## the benchmarks, peers beside us in one run
	cd bench && go run . tasks && go run . serve
