# make check: what needs no privileges, quickest first.  make test: the checks' counterpart that runs things.
.PHONY: demo check test old-kernel fuzz build package rpm deb tools packages storage

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

# A binary and a source RPM in target/package. DIST=el9 or el8 for another name than el7's: the programs
# are the same. RPM_SIGN_KEY=… signs.
rpm: build
	@packaging/rpm/build.sh

deb: build
	@packaging/deb/build.sh

# All of them, and a second release to upgrade to: what the whole-system tests install.
package: build
	@tests/setup/package.sh

tools: packages
	@tests/setup/tools.sh

# As root: a private sshd with the module, an OpenID provider, an enrolment, a login, a logout.
demo: package tools storage
	@cargo run --quiet -p iam-session-tests --bin demo

# As root: the whole-system tests make namespaces.
test: package tools storage
	tests/setup/fuzz.sh
	cargo test --workspace --all-features
	KERNEL=3.10 cargo test -p iam-session-tests --test system -- $(OLD_KERNEL)

# Families of tests that `make test` also runs on the system calls of CentOS 7's kernel; `make old-kernel` runs all.
OLD_KERNEL = login:: file:: tokens:: linger:: endings:: passphrase:: forget:: boundaries::

old-kernel: package tools storage
	KERNEL=3.10 cargo test -p iam-session-tests --test system --test farm --test storage

# Longer than the few seconds of `make test`, as in `make fuzz FUZZ_TIME=3600`.
fuzz: packages
	tests/setup/fuzz.sh $(FUZZ_TIME)
