# make check: what needs no privileges, quickest first.  make test: the checks' counterpart that runs things.
.PHONY: check test packages

packages:
	@tests/setup/packages.sh

check: packages
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --all-features -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --all-features --no-deps --quiet
	@! git grep -n '#\[ignore' -- '*.rs'
	tests/setup/check-module.sh

test: packages
	cargo test --workspace --all-features
