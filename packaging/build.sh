# What packaging/rpm/build.sh and packaging/deb/build.sh have in common; both read it, at the top of the repository.
# The same sources give the same bytes.

. packaging/architecture.sh
target=$(realpath "${CARGO_TARGET_DIR:-target}")
packages=$(realpath -m "${PACKAGES:-$target/package}")
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1) release=${RELEASE:-1}

if [ ! -e "$programs/pam_iam.so" ]; then
    echo "$0: nothing is in $programs: 'make build' first" >&2
    exit 1
fi
# The commit's time stands for every file's; outside a repository, as in a source RPM, the manifest's.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || stat -c %Y Cargo.toml)}
export SOURCE_DATE_EPOCH

# lay_out ROOT MODULES
lay_out() {
    packaging/install.sh "$1" "$2" "$programs"
    packaging/generated.sh "$1" "$programs"
}

stamp() { find "$1" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +; }
