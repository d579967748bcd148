#!/usr/bin/env bash
# Fuzzes everything that parses (tests/fuzz), each target for a while; what fails is kept beside its seeds, to be
# committed with the change that mends it. `make test` tries the seeds and simple changes of them without this.
#     fuzz.sh SECONDS [TARGET…]
# Plain libFuzzer and the pinned toolchain: the coverage that it goes by is a pass of LLVM's that rustc knows.
set -euo pipefail
cd "$(dirname "$0")/../.."

seconds=$1
shift
memory=512 # MiB: what parses a few KiB needs no more

target=$(realpath "${CARGO_TARGET_DIR:-target}")/fuzz
host=$(rustc -vV | sed -n 's/^host: //p')
coverage=(-Cpasses=sancov-module)
for option in level=4 inline-8bit-counters pc-table trace-compares; do
    coverage+=("-Cllvm-args=-sanitizer-coverage-$option")
done

# Not for build scripts, which a named target leaves out; and nothing of what the caller may have set.
env -u CARGO_ENCODED_RUSTFLAGS RUSTFLAGS="${coverage[*]}" \
    cargo build --quiet --locked --release --manifest-path tests/fuzz/Cargo.toml --target "$host" --target-dir "$target"

if [ $# -eq 0 ]; then
    mapfile -t < <(sed -n 's/^    ("\([a-z_]*\)", .*/\1/p' tests/fuzz/targets.rs)
    set -- "${MAPFILE[@]}"
fi

failed=()
for name in "$@"; do
    seeds=tests/fuzz/seeds/$name
    # What is found on the way goes on from there the next time.
    found=$target/found/$name
    mkdir -p "$found" "$seeds"
    log=$target/$name.log
    if FUZZ_TARGET=$name "$target/$host/release/fuzz" "-max_total_time=$seconds" "-rss_limit_mb=$memory" -timeout=10 -max_len=4096 \
        -print_final_stats=1 "-artifact_prefix=$seeds/" "$found" "$seeds" >"$log" 2>&1; then
        echo "fuzz.sh: $name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") executions"
    else
        failed+=("$name")
        grep -aE 'panicked|^SUMMARY|^ERROR|libFuzzer:|Test unit written' -A 3 "$log" | head -20 >&2
        echo "fuzz.sh: $name failed; all of it is in $log" >&2
    fi
done
[ ${#failed[@]} -eq 0 ] || { echo "fuzz.sh: failed: ${failed[*]}" >&2; exit 1; }
