# make check: what needs no privileges, quickest first.  make test: the checks' counterpart that runs things.
.PHONY: demo check test fuzz build tools packages storage

# Of each target of `make fuzz`, in seconds.
FUZZ_TIME ?= 60

packages:
	@tests/setup/packages.sh

storage:
	@tests/setup/packages.sh storage

check: packages
	tests/setup/guards.sh
	cargo fmt --all --check
	cargo fmt --check --manifest-path tests/fuzz/Cargo.toml
	cargo clippy --workspace --all-targets --all-features -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --all-features --no-deps --quiet
	tests/setup/deny.sh
	tests/setup/check-module.sh

build: packages
	tests/setup/build.sh

tools: packages
	@tests/setup/tools.sh

# As root: a private sshd with the module, an OpenID provider, an enrolment, a login, a logout.
demo: build tools storage
	@cargo run --quiet -p iam-session-tests --bin demo

# As root: the whole-system tests make namespaces.
test: build tools storage
	tests/setup/fuzz.sh
	cargo test --workspace --all-features

# Longer than the few seconds of `make test`, as in `make fuzz FUZZ_TIME=3600`.
fuzz: packages
	tests/setup/fuzz.sh $(FUZZ_TIME)
