#!/usr/bin/env bash
# Packs what tests/setup/build.sh has built: a binary and a source RPM, and the SELinux module's, into target/package or
# the directory PACKAGES.
#     packaging/rpm/build.sh          DIST=el7 (el8, el9 …: the programs are the same), RELEASE=1
#     packaging/rpm/build.sh binary   without the source RPM
#     ARCH=aarch64 packaging/rpm/build.sh   of what was built for that
# RPM_SIGN_KEY: a key of gpg's to sign with; rpm 4.11 of EL 7 verifies RSA. The same sources give the same bytes.
set -euo pipefail
cd "$(dirname "$0")/../.."

. packaging/build.sh
dist=${DIST:-el7} top=$target/rpm-$arch-$dist-$release
name=iam-session-$version

rm -rf "$top"
mkdir -p "$packages" "$top/SOURCES"
# pack OPTIONS…: of the names on standard input, each ended by a null byte. EL 7's tar 1.26 sorts nothing by itself.
pack() {
    LC_ALL=C sort -zu | tar -c --null --no-recursion --owner=0 --group=0 --numeric-owner \
        --mtime="@$SOURCE_DATE_EPOCH" "$@" --files-from=- | gzip -6n
}

# The sources as they lie here, not as they were committed: what was built is what is packed. Not the compiler that is
# pinned here, which is not where they are rebuilt. EL 7's git 1.8.3 cannot leave it out.
git ls-files -z --cached --others --exclude-standard | grep -zvx rust-toolchain.toml |
    pack --transform="s,^,$name/," >"$top/SOURCES/$name.tar.gz"
lay_out "$top/tree" /usr/lib64/security
stamp "$top/tree"
# A source RPM is rebuilt by what its spec says, not by what was defined when it was made.
sed -e "s/@VERSION@/$version/" -e "s/@RELEASE@/$release/" packaging/rpm/iam-session.spec >"$top/iam-session.spec"
touch -d "@$SOURCE_DATE_EPOCH" "$top/iam-session.spec"

# --nodeps: this system need not be one of rpm's own.
build() {
    rpmbuild --quiet --nodeps --target "$arch-redhat-linux" \
        --define "_topdir $top" --define "dist .$dist" --define "_lib lib64" \
        "$@" "$top/iam-session.spec"
}
rpms() { find "$top/RPMS" "$top/SRPMS" -name '*.rpm' 2>/dev/null; }

build -bb --define "tree $top/tree"
if [ "${1-}" != binary ]; then
    packaging/rpm/vendor.sh "$top/vendor"
    (cd "$top" && find vendor .cargo -print0) | pack -C "$top" >"$top/SOURCES/$name-vendor.tar.gz"
    build -bs
fi

if [ -n "${RPM_SIGN_KEY-}" ]; then
    # Debian's rpm names gpg without its directory, and does not find it.
    rpms | xargs rpm --define "_gpg_name $RPM_SIGN_KEY" --define "__gpg $(command -v gpg)" --addsign >/dev/null
fi
rpms | xargs install -m 0644 -t "$packages"
rpms | sed "s,.*/,$packages/,"
rm -rf "$top"
