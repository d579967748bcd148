#!/usr/bin/env python3
"""HTTPS on localhost for clients whose servers are not here: rucio, Pelican, ServiceX, FTS, Vault. Says yes to all, and prints a line
for each request: method, path, and the issuer of the token that came with it (`none`; `other` if that is no JWT).
server.py PORT CERTIFICATE KEY"""
import base64
import http.server
import json
import ssl
import sys
import time
import urllib.parse

PORT, CERTIFICATE, KEY = int(sys.argv[1]), sys.argv[2], sys.argv[3]
HERE = f"https://localhost:{PORT}"
# The origin wants tokens of this issuer, which is not that of the session.
OTHER_ISSUER = "https://other.example/"
PELICAN = {
    "X-Pelican-Namespace": f"namespace=/private, require-token=true, collections-url={HERE}",
    "X-Pelican-Authorization": f"issuer={OTHER_ISSUER}",
    "X-Pelican-Token-Generation": f"issuer={OTHER_ISSUER}, max-scope-depth=3, strategy=OAuth2, base-path=/private",
}


def issuer_of(token):
    if not token:
        return "none"
    try:
        payload = token.split(".")[1]
        return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["iss"]
    except (IndexError, ValueError, KeyError):
        return "other"


class Server(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def token(self):
        header = self.headers.get("Authorization", "")
        query = urllib.parse.parse_qs(urllib.parse.urlparse(self.path).query)
        token = header or query.get("authz", [""])[0]
        return token.removeprefix("Bearer ") or self.headers.get("X-Rucio-Auth-Token", "")

    def answer(self, status, body=b"", headers=()):
        if isinstance(body, dict):
            body = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Length": len(body), **dict(headers)}.items():
            self.send_header(name, str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def serve(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = urllib.parse.urlparse(self.path).path
        print(self.command, path, issuer_of(self.token()), flush=True)
        if path.endswith("/.well-known/pelican-configuration"):
            return self.answer(200, {"director_endpoint": HERE + "/director", "jwks_uri": HERE + "/jwks",
                                     "namespace_registration_endpoint": HERE, "discovery_endpoint": HERE})
        if path.startswith("/director/"):
            origin = HERE + path.replace("/director", "/origin", 1)
            link = f'<{origin}>; rel="duplicate"; pri=1; depth=0'
            return self.answer(307, headers={**PELICAN, "Location": origin, "Link": link})
        if path.startswith("/origin/"):
            return self.answer(200, b"event 1\n") if self.token() else self.answer(403, headers=PELICAN)
        if path.startswith("/v1/secret/oauth/creds/"):
            claims = {"iss": OTHER_ISSUER, "sub": "alice", "exp": int(time.time()) + 3600}
            token = ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
                             for part in ({"alg": "RS256"}, claims, "signature"))
            return self.answer(200, {"data": {"access_token": token}})
        if path == "/whoami":
            return self.answer(200, {"dn": ["alice"], "vos": [], "vos_id": [], "delegation_id": "1", "base_id": "1"})
        if path == "/":
            return self.answer(200, {"api": {"major": 3, "minor": 12, "patch": 0}})
        if path == "/accounts/whoami":
            return self.answer(200, {"account": "alice", "status": "ACTIVE"})
        return self.answer(200, {"version": "1.2.3"}, {"Content-Type": "application/json"})

    do_GET = do_POST = do_HEAD = do_PUT = do_OPTIONS = do_PROPFIND = serve


class Quiet(http.server.ThreadingHTTPServer):
    """Clients that do not trust the certificate go away, which is no error here."""

    def handle_error(self, *_):
        pass


server = Quiet(("127.0.0.1", PORT), Server)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(CERTIFICATE, KEY)
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
print("ready", flush=True)
server.serve_forever()
