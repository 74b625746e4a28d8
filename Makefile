# make demo   see dhow work      make test   every test      make check   static checks
# make build  bin/dhow, examples  make bench  the tables of speed
export CGO_ENABLED := 0
GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
MODELS  ?= ../shared/models
SOURCES := $(shell find . -name '*.go' -not -path './bin/*') go.mod go.sum

.PHONY: demo test build check bench deps peers clean

demo: deps build
	@$(GO) build -o bin/demo ./examples/demo
	@bin/demo

build: bin/dhow
bin/dhow: $(SOURCES)
	$(GO) build -ldflags "-s -w -X main.version=$(VERSION)" -o $@ ./cmd/dhow
	$(GO) build -ldflags "-s -w" -o bin/dhow-init ./driver/containerd/initproc/dhow-init
	$(GO) build -ldflags "-s -w" -o bin ./examples/hello ./examples/orders

test: deps peers build
	$(GO) test -timeout 20m ./...

check:
	@out=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$out" || { echo "gofmt would change:"; echo "$$out"; exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck ./...
	@if test -d $(MODELS); then $(GO) run ./tools/modelgen -check -models $(MODELS); else echo "no models at $(MODELS): their tables are taken as current"; fi
	$(GO) run ./cmd/dhow coverage --check

bench: deps build
	@$(GO) run ./tools/bench

# What the platform and the demo need beyond Go; elsewhere than on Debian and
# Ubuntu it says what to install.
deps:
	@tools/deps containerd runc busybox-static

# Other people's clients that the tests drive dhow with.
peers:
	@tools/deps skopeo buildah python3-avro python3-boto3

clean:
	rm -rf bin
