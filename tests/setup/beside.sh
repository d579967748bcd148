#!/usr/bin/env bash
# Runs commands side by side, each argument one for the shell, and fails where one of them fails. What the first prints
# is seen at once, what the others print when they have ended.
#     beside.sh COMMAND COMMAND…
set -euo pipefail

messages=$(mktemp -d)
trap 'rm -rf "$messages"' EXIT
# What a shell starts in the background ignores the interrupt of a terminal: without this it would go on.
trap 'trap "" TERM; kill -TERM 0; wait; exit 130' INT

bash -ec "$1" &
processes=($!)
for ((n = 2; n <= $#; n++)); do
    bash -ec "${!n}" >"$messages/$n" 2>&1 &
    processes+=($!)
done

failed=()
for ((n = 1; n <= $#; n++)); do
    wait "${processes[n - 1]}" || failed+=("${!n}")
    [ "$n" -eq 1 ] || cat "$messages/$n"
done
[ "${#failed[@]}" -eq 0 ] || { printf 'beside.sh: failed: %s\n' "${failed[@]}" >&2; exit 1; }
