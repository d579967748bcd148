#!/usr/bin/env bash
# Links a static program that can lie anywhere in memory. rustc asks its linker for that on x86_64 alone; gcc can do it on
# aarch64, too. CROSS is what the compiler's name begins with.
set -euo pipefail

words=()
for word; do
    case $word in
    -static | -no-pie) ;;
    *) words+=("$word") ;;
    esac
done
exec "${CROSS-}gcc" -static-pie "${words[@]}"
