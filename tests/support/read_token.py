"""Reads a token from standard input as a storage element does, with the scitokens library."""

import os
import sys

os.environ["SSL_CERT_FILE"] = "/etc/iam-session/iam.example.pem"
import scitokens  # noqa: E402  (it reads the variable when it is loaded)

ANY_AUDIENCE = "https://wlcg.cern.ch/jwt/v1/any"

token = scitokens.SciToken.deserialize(sys.stdin.read(), audience=ANY_AUDIENCE)
enforcer = scitokens.Enforcer("https://iam.example/", audience=ANY_AUDIENCE)
for claim in ("client_id", "wlcg.ver"):
    enforcer.add_validator(claim, lambda value: True)


def verdict(path):
    """Whether the token lets its bearer read this path."""
    return "allowed" if enforcer.test(token, "storage.read", path) else "denied"


print(f"storage.read:/data/x {verdict('/data/x')}, storage.read:/other {verdict('/other')}")
