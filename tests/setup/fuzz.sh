#!/usr/bin/env bash
# Fuzzes everything that parses (tests/fuzz), each target for a while; what fails is kept beside its seeds, to be
# committed with the change that mends it.
#     fuzz.sh                    a bounded number of executions each: part of `make test`
#     fuzz.sh SECONDS [TARGET…]  so long each: `make fuzz`
# Plain libFuzzer and rustup's stable toolchain: the coverage that it goes by is a pass of LLVM's that rustc knows.
set -euo pipefail
cd "$(dirname "$0")/../.."

# A seed of its own each time would make a failure of `make test` one that does not come back.
limit=(-runs=20000 -seed=1)
[ $# -eq 0 ] || { limit=("-max_total_time=$1"); shift; }
memory=512 # MiB: what parses a few KiB needs no more

target=$(realpath "${CARGO_TARGET_DIR:-target}")/fuzz
host=$(rustc -vV | sed -n 's/^host: //p')
coverage=(-Cpasses=sancov-module)
for option in level=4 inline-8bit-counters pc-table trace-compares; do
    coverage+=("-Cllvm-args=-sanitizer-coverage-$option")
done
# Some targets write files; memory is the right place for them.
[ ! -w /dev/shm ] || export TMPDIR=/dev/shm

# Not for build scripts, which a named target leaves out; and nothing of what the caller may have set.
env -u CARGO_ENCODED_RUSTFLAGS RUSTFLAGS="${coverage[*]}" \
    cargo build --quiet --locked --release --manifest-path tests/fuzz/Cargo.toml --target "$host" --target-dir "$target"

if [ $# -eq 0 ]; then
    mapfile -t < <(sed -n '/^\[\[bin/,/^path/s/^name = "\([a-z_]*\)".*/\1/p' tests/fuzz/Cargo.toml)
    set -- "${MAPFILE[@]}"
fi

failed=()
for name in "$@"; do
    seeds=tests/fuzz/seeds/$name
    # What is found on the way goes on from there the next time.
    found=$target/found/$name
    mkdir -p "$found" "$seeds"
    log=$target/$name.log
    if "$target/$host/release/$name" "${limit[@]}" "-rss_limit_mb=$memory" -timeout=10 -max_len=4096 \
        -print_final_stats=1 "-artifact_prefix=$seeds/" "$found" "$seeds" >"$log" 2>&1; then
        echo "fuzz.sh: $name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") executions"
    else
        failed+=("$name")
        grep -aE 'panicked|^SUMMARY|^ERROR|libFuzzer:|Test unit written' -A 3 "$log" | head -20 >&2
        echo "fuzz.sh: $name failed; all of it is in $log" >&2
    fi
done
[ ${#failed[@]} -eq 0 ] || { echo "fuzz.sh: failed: ${failed[*]}" >&2; exit 1; }
