# make check: what needs no privileges, quickest first.  make test: the checks' counterpart that runs things.
# Each target makes all that it needs, in any order and again.
.PHONY: demo check test bench source-rpm aarch64 old-kernel issuers readers machine fuzz build package rpm deb tools packages storage

# Of each target of `make fuzz`, in seconds.
FUZZ_TIME ?= 60

ifeq ($(origin ARCH),environment)
unexport ARCH
endif

TARGET := $(or $(CARGO_TARGET_DIR),target)
# Everything with all features, whatever is wanted of it: what demo, packages and tests share is then built once.
ALL := --locked --workspace --all-features

packages:
	@tests/setup/packages.sh

storage: packages
	@tests/setup/packages.sh storage

check: packages
	tests/setup/guards.sh
	cargo fmt --all --check
	cargo fmt --check --manifest-path tests/fuzz/Cargo.toml
	cargo clippy $(ALL) --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc $(ALL) --no-deps --quiet
	tests/setup/deny.sh
	tests/setup/check-module.sh

# ARCH=aarch64, here and with rpm and deb, builds for another architecture, on Debian. One in the environment means
# something else: kernels are built with it.
build:
	@tests/setup/packages.sh build
	tests/setup/build.sh

# A binary and a source RPM in target/package. DIST=el9 or el8 for another name than el7's: the programs
# are the same. RPM_SIGN_KEY=… signs.
rpm: build
	@packaging/rpm/build.sh

deb: packages build
	@packaging/deb/build.sh

# All of them, and a second release to upgrade to: what the tests look at, and what their machines install.
package: packages build
	@tests/setup/package.sh

tools: packages
	@tests/setup/tools.sh

# $(call on-a-machine,TOOLS): runs the program of tests/ that is named as the target; what it needs is made side by side.
define on-a-machine
@tests/setup/beside.sh tests/setup/build.sh "$(1)" "cargo build $(ALL) --quiet --bin $@ --bin old-kernel"
@tests/setup/installed.sh
@$(TARGET)/debug/$@
endef

# As root: a private sshd with the module, an OpenID provider, an enrolment, a login, a logout.
demo: packages storage
	$(call on-a-machine,tests/setup/tools.sh)

# As root: the whole-system tests make namespaces. Most tests wait more than they compute: those of the whole system run
# several at once, and beside them all others, and then the families on an old kernel.
test: packages storage
	tests/setup/beside.sh tests/setup/build.sh tests/setup/tools.sh "cargo test $(ALL) --quiet --no-run"
	tests/setup/package.sh
	tests/setup/beside.sh \
	    "cargo test $(ALL) --no-fail-fast --test system -- --test-threads=5 $(addprefix --skip=,$(TIMED))" \
	    "cargo test $(ALL) --no-fail-fast $(OTHERS) -- --test-threads=3 $(addprefix --skip=,$(TIMED) $(REBUILD) aarch64::); \
	     cargo test $(ALL) --doc; \
	     KERNEL=3.10 cargo test $(ALL) --test system -- --test-threads=2 $(OLD_KERNEL)"
	cargo test $(ALL) --no-fail-fast -- --test-threads=1 $(TIMED)

# All targets with tests but `system`, and the documentation's.
OTHERS = --lib --bins --test '[!s]*' --test 's[!y]*'

# Compiles all of it once more, by rpmbuild: for some minutes nothing else has a processor. For before a release.
REBUILD = rpm::a_source_package_of_another_release_is_rebuilt

source-rpm: package
	cargo test $(ALL) --test package -- $(REBUILD)

# On Debian, before a release: the packages for aarch64, whose programs qemu runs; they are then in target/package/aarch64.
aarch64: package
	@ARCH=aarch64 tests/setup/packages.sh build
	ARCH=aarch64 tests/setup/build.sh
	ARCH=aarch64 PACKAGES=$(TARGET)/package/aarch64 DIST=el9 packaging/rpm/build.sh binary
	ARCH=aarch64 PACKAGES=$(TARGET)/package/aarch64 packaging/deb/build.sh
	@mkdir -p $(TARGET)/package/aarch64/root
	rpm2cpio $(TARGET)/package/aarch64/iam-session-[0-9]*.rpm | (cd $(TARGET)/package/aarch64/root && cpio --quiet -idmu)
	ARCH=aarch64 cargo test $(ALL) --test package -- elf:: aarch64::

# Families with a ceiling of a few seconds, a hint that a busy machine shows too late, and a crowd that leaves others no
# processor: one after the other, when all others are done.
TIMED = neighbours:: broken:: clients:: endings:: coordination::a_thousand status::a_user_who_has_not_enrolled_is_told

# Families of tests that `make test` also runs on the system calls of CentOS 7's kernel; `make old-kernel` runs all.
OLD_KERNEL = login:: file:: tokens:: linger:: endings:: passphrase:: forget:: boundaries::

old-kernel: package tools storage
	KERNEL=3.10 cargo test $(ALL) --test system --test farm --test storage

# As root, and not for every change: a real Keycloak, which Maven fetches (180 MB), and a table of what holds there.
issuers: packages
	@tests/setup/packages.sh issuers
	$(call on-a-machine,tests/setup/tools.sh && tests/setup/keycloak.sh)

# As root, and not for every change: what programs of PyPI and the distribution do with BEARER_TOKEN_FILE, a table.
readers: packages storage
	@tests/setup/packages.sh readers
	$(call on-a-machine,tests/setup/tools.sh && tests/setup/readers.sh)

# As root, on a quiet machine, fifteen minutes at most: a day of a farm, and us and the peers side by side. Writes
# docs/farm.md, docs/benchmarks.md and their pictures. BENCH_SCALE=0.1 tries it with a tenth of the rounds.
bench: packages
	@tests/setup/packages.sh bench
	@tests/setup/beside.sh tests/setup/build.sh tests/setup/tools.sh
	@cargo build $(ALL) --quiet --release --bin bench --bin simulate --bin old-kernel
	@tests/setup/installed.sh
	@$(TARGET)/release/simulate --nodes 1000 --sessions 200 --users 5000 --hours 24 --docs docs
	@cargo bench $(ALL) --quiet --bench hot
	@$(TARGET)/release/bench

# As root, and before a release: a Debian 12 that boots in qemu, with systemd, logind, journald, NFS and SELinux, and a
# table of what holds there. ROWS='dead power..' looks at the row 'dead', and at 'power' and all after it.
machine: packages build tools
	@tests/setup/packages.sh machine
	@tests/setup/installed.sh
	@tests/setup/beside.sh tests/machine/image.sh \
	    "packaging/deb/build.sh >/dev/null; PACKAGES=$(TARGET)/package/next RELEASE=2 packaging/deb/build.sh >/dev/null" \
	    "cargo build $(ALL) --quiet --bin machine --bin old-kernel"
	@$(TARGET)/debug/machine $(ROWS)

# Of all that parses, guided by what it reaches, as in `make fuzz FUZZ_TIME=3600`; `make test` has less of it.
fuzz: packages
	tests/setup/fuzz.sh $(FUZZ_TIME)
