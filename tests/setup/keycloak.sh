#!/usr/bin/env bash
# Puts a pinned Keycloak into target/tools/keycloak, built for a database in memory. Maven fetches it, from where the
# settings of Maven say, and its checksum is compared. Says in one line what is missing.
set -euo pipefail
cd "$(dirname "$0")/../.."

version=26.7.3
sum=27a6535553c3cdcd083872ba40629efafb3475e3b758e0c6f691395561dd0f1f
# Of Maven's own plugin, which copies it.
plugin=org.apache.maven.plugins:maven-dependency-plugin:3.8.1
tools=${CARGO_TARGET_DIR:-target}/tools
stamp=$tools/keycloak.stamp
if [ "$(cat "$stamp" 2>/dev/null)" = "$sum" ] && [ -d "$tools/keycloak" ]; then exit 0; fi

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
archive=$directory/keycloak-quarkus-dist-$version.zip
mvn -q -B "$plugin:copy" -Dartifact="org.keycloak:keycloak-quarkus-dist:$version:zip" \
    -DoutputDirectory="$directory" >"$directory/log" 2>&1 || {
    echo "keycloak.sh: Maven did not get Keycloak $version: $(grep -m 1 ERROR "$directory/log" || tail -n 1 "$directory/log")" >&2
    exit 1
}
echo "$sum  $archive" | sha256sum --check --quiet || {
    echo "keycloak.sh: what came is not the Keycloak $version that this script knows" >&2
    exit 1
}
rm -rf "$tools/keycloak"
mkdir -p "$tools"
(cd "$directory" && python3 -m zipfile -e "$archive" .)
mv "$directory/keycloak-$version" "$tools/keycloak"
chmod +x "$tools"/keycloak/bin/*.sh
"$tools/keycloak/bin/kc.sh" build --db=dev-mem --features-disabled=kerberos,workflows,organization >"$directory/log" 2>&1 || {
    echo "keycloak.sh: Keycloak could not be built:" >&2
    tail -n 5 "$directory/log" >&2
    exit 1
}
echo "$sum" >"$stamp"
