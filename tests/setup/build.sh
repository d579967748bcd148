#!/usr/bin/env bash
# Builds the programs as they are shipped and puts them into target/programs: agent and iam-session static, so that
# they start fast and LD_* means nothing to them; helper and pam_iam.so dynamic, for name services and libpam.
set -euo pipefail
cd "$(dirname "$0")/../.."

target=${CARGO_TARGET_DIR:-target}
programs=$target/programs
host=$(rustc -vV | sed -n 's/^host: //p')

# Flags for a named target reach the programs only, not build scripts and procedural macros.
variable=CARGO_TARGET_$(tr 'a-z-' 'A-Z_' <<<"$host")_RUSTFLAGS
env "$variable=-C target-feature=+crt-static" \
    cargo build --quiet --release --target "$host" -p iam-session --bin agent --bin iam-session --bin iam-session-admin
cargo build --quiet --release -p iam-session --features helper --bin helper
cargo build --quiet --release -p pam_iam

mkdir -p "$programs"
install -m 0755 "$target/$host/release/agent" "$target/$host/release/iam-session" \
    "$target/$host/release/iam-session-admin" \
    "$target/release/helper" "$programs/"
install -m 0755 "$target/release/libpam_iam.so" "$programs/pam_iam.so"
