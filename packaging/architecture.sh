# Which architecture is built and packed: ARCH, as uname(1) calls it, or this system's. Whoever reads this is at the top
# of the repository.

arch=${ARCH:-$(uname -m)}
triple=$arch-unknown-linux-gnu
# Filled by tests/setup/build.sh.
programs=${CARGO_TARGET_DIR:-target}/programs
[ "$arch" = "$(uname -m)" ] || programs+=-$arch
