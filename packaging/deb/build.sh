#!/usr/bin/env bash
# Packs what tests/setup/build.sh has built as a Debian package into target/package or the directory PACKAGES.
# The same sources give the same bytes.
set -euo pipefail
cd "$(dirname "$0")/../.."

. packaging/build.sh
tree=$target/deb-$arch version=$version-$release
case $arch in
x86_64) architecture=amd64 ;;
aarch64) architecture=arm64 ;;
*) architecture=$arch ;;
esac

rm -rf "$tree"
lay_out "$tree" "/lib/$arch-linux-gnu/security"

# What differs: documents' names, and no SELinux policy that the module was written for.
documents=$tree/usr/share/doc/iam-session
cp packaging/deb/copyright "$documents/copyright"
mv "$tree"/usr/share/licenses/iam-session/{LGPL-2.1,THIRD-PARTY}.txt "$documents/"
gzip -9n <CHANGELOG.md >"$documents/changelog.gz"
mv "$tree/usr/share/zsh/site-functions" "$tree/usr/share/zsh/vendor-completions"
ln -sf ../../common-licenses/Apache-2.0 "$documents/LICENSE"
rm -r "$tree/usr/share/licenses" "$tree/usr/share/selinux" "$tree"/usr/lib/systemd/system/*.mount.d

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

stamp "$tree"
mkdir -p "$packages"
dpkg-deb --root-owner-group -Zxz --build "$tree" "$packages" >/dev/null
printf '%s\n' "$packages/iam-session_${version}_$architecture.deb"
rm -rf "$tree"
