#!/usr/bin/env bash
# Packs what tests/setup/build.sh has built as a Debian package into target/package or the directory PACKAGES.
# The same sources give the same bytes.
set -euo pipefail
cd "$(dirname "$0")/../.."

target=$(realpath "${CARGO_TARGET_DIR:-target}")
packages=$(realpath -m "${PACKAGES:-$target/package}") tree=$target/deb
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)-${RELEASE:-1}
architecture=$(dpkg --print-architecture)

if [ ! -e "$target/programs/pam_iam.so" ]; then
    echo "packaging/deb/build.sh: nothing is in $target/programs: 'make build' first" >&2
    exit 1
fi
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || stat -c %Y Cargo.toml)}
export SOURCE_DATE_EPOCH

rm -rf "$tree"
packaging/install.sh "$tree" "/lib/$(uname -m)-linux-gnu/security"
packaging/generated.sh "$tree"

# What differs: documents' names, and no SELinux policy that the module was written for.
documents=$tree/usr/share/doc/iam-session
cp packaging/deb/copyright "$documents/copyright"
mv "$tree"/usr/share/licenses/iam-session/{LGPL-2.1,THIRD-PARTY}.txt "$documents/"
gzip -9n <CHANGELOG.md >"$documents/changelog.gz"
mv "$tree/usr/share/zsh/site-functions" "$tree/usr/share/zsh/vendor-completions"
rm -r "$documents/CHANGELOG.md" "$tree/usr/share/licenses" "$tree/usr/share/selinux" "$tree"/usr/lib/systemd/system/*.mount.d

mkdir -m 0755 "$tree/DEBIAN"
sed -e "s/@VERSION@/$version/" -e "s/@ARCHITECTURE@/$architecture/" \
    -e "s/@SIZE@/$(du -sk --apparent-size "$tree" | cut -f 1)/" packaging/deb/control >"$tree/DEBIAN/control"
(cd "$tree" && find etc -type f -printf '/%p\n' | sort) >"$tree/DEBIAN/conffiles"
script() { { printf '#!/bin/sh\nset -e\n' && cat "$2"; } | install -m 0755 /dev/stdin "$tree/DEBIAN/$1"; }
script postinst packaging/scripts/installed.sh
script postrm packaging/scripts/removed.sh
# md5sum marks the line of a name that has a backslash and doubles it; dpkg wants neither.
(cd "$tree" && find . -path ./DEBIAN -prune -o -type f -printf '%P\0' | sort -z | xargs -0 md5sum) |
    sed '/^\\/ { s/^.//; s/\\\\/\\/g }' >"$tree/DEBIAN/md5sums"

find "$tree" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
mkdir -p "$packages"
dpkg-deb --root-owner-group -Zxz --build "$tree" "$packages" >/dev/null
printf '%s\n' "$packages/iam-session_${version}_$architecture.deb"
rm -rf "$tree"
