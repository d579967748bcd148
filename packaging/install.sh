#!/usr/bin/env bash
# Lays the programs and what the repository has for the package into a directory; rpm and deb take it from there, and
# the machines of the tests. packaging/generated.sh adds what is made:
#     packaging/install.sh ROOT MODULES [PROGRAMS]
# MODULES is where libpam looks, as in /usr/lib64/security; PROGRAMS, what tests/setup/build.sh has filled.
# The same sources give the same bytes.
set -euo pipefail
root=$(realpath -m "$1") modules=$2
cd "$(dirname "$0")/.."
programs=$(realpath "${3:-${CARGO_TARGET_DIR:-target}/programs}")
umask 022

put() { install -D -p -m "$1" "$2" "$root$3"; }

while read -r name directory mode _; do
    put "$mode" "$programs/$name" "${directory/#MODULES/$modules}/$name"
done < <(grep -v '^#' packaging/programs)

put 0644 packaging/config/config.toml /etc/iam-session/config.toml
for file in packaging/config/issuers.d/*.toml; do put 0644 "$file" "/etc/iam-session/issuers.d/${file##*/}"; done
install -d -m 0755 "$root/etc/iam-session/config.d"
install -d -m 0700 "$root/etc/iam-session/keys.d"

# Wanted by a link of the package's own, which works where no systemd runs at installation; 'systemctl mask' declines.
units=/usr/lib/systemd/system unit='run-iam\x2dsession.mount'
put 0644 "packaging/systemd/$unit" "$units/$unit"
install -d "$root$units/local-fs.target.wants"
ln -sf "../$unit" "$root$units/local-fs.target.wants/$unit"

for page in packaging/man/*.[0-9]; do
    target=$root/usr/share/man/man${page##*.}/${page##*/}.gz
    install -d "${target%/*}"
    gzip -9n <"$page" >"$target"
done

documents=/usr/share/doc/iam-session licences=/usr/share/licenses/iam-session
put 0644 packaging/pam.d/sshd.sample "$documents/pam.d-sshd.sample"
for file in README.md ARCHITECTURE.md CONTRIBUTING.md PROTOCOL.md SECURITY.md CHANGELOG.md docs/*.md docs/*.svg docs/benchmarks/*.svg; do
    case $file in docs/*) put 0644 "$file" "$documents/$file" ;; *) put 0644 "$file" "$documents/${file##*/}" ;; esac
done
put 0644 LICENSE "$licences/LICENSE"
# README.md names it.
ln -s ../../licenses/iam-session/LICENSE "$root$documents/LICENSE"
put 0644 packaging/licences/LGPL-2.1.txt "$licences/LGPL-2.1.txt"

selinux=/usr/share/selinux/packages
put 0644 packaging/selinux/iam-session.cil "$selinux/iam-session.cil"
put 0644 packaging/selinux/10-selinux.conf "$units/$unit.d/10-selinux.conf"
