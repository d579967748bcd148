#!/usr/bin/env bash
# HTCondor's schedd on localhost:9618, in a tree of Debian's of its own. It takes tokens of the provider, whose alice is
# alice. The certificate is that of server.py. As root on a machine of the tests; becomes the schedd.
set -euo pipefail
root=/mnt/condor/root
mkdir -p /mnt/condor/{upper,work} "$root"
mount -t overlay -o "lowerdir=/mnt/tools/readers/condor,upperdir=/mnt/condor/upper,workdir=/mnt/condor/work" overlay "$root"
mount --rbind /dev "$root/dev"
cp /etc/passwd /etc/group "$root/etc/"
# It asks for the host's name for a minute where there is none.
{ cat /etc/hosts; echo "127.0.0.1 $(hostname)"; } >"$root/etc/hosts"
cp /mnt/readers.crt "$root/etc/condor/host.crt"
cp /mnt/readers.key "$root/etc/condor/host.key"
cp /etc/iam-session/readers.pem "$root/etc/ssl/certs/ca-certificates.crt"
mkdir -p "$root"/var/{lib/condor/spool,spool/condor,lock/condor,log/condor} "$root/run/condor"
echo "SCITOKENS https://iam.example/,alice alice@example" >"$root/etc/condor/users"
cat >"$root/etc/condor/config.d/readers" <<'END'
COLLECTOR_HOST =
USE_SHARED_PORT = false
NETWORK_INTERFACE = 127.0.0.1
NO_DNS = true
DEFAULT_DOMAIN_NAME = example
UID_DOMAIN = example
CONDOR_IDS = 0.0
SEC_DEFAULT_AUTHENTICATION_METHODS = SCITOKENS
SCITOKENS_SERVER_AUDIENCE = https://wlcg.cern.ch/jwt/v1/any
AUTH_SSL_SERVER_CERTFILE = /etc/condor/host.crt
AUTH_SSL_SERVER_KEYFILE = /etc/condor/host.key
CERTIFICATE_MAPFILE = /etc/condor/users
ALL_DEBUG = D_SECURITY:2
END
exec chroot "$root" /usr/sbin/condor_schedd -f -t -p 9618 >/mnt/schedd.log 2>&1
