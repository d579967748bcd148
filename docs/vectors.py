#!/usr/bin/env python3
"""Prints the test vectors of PROTOCOL.md: an implementation of sections 1 and 5 that shares no code with ours.

Needs PyNaCl (libsodium) for XChaCha20-Poly1305 and argon2-cffi (the reference implementation) for Argon2id; hashes and
HKDF (RFC 5869) are Python's own.
"""

import hashlib
import hmac
import json
import struct

from argon2.low_level import Type, hash_secret_raw
from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_encrypt as seal

UID = 1000
NODE_KEY = bytes(range(0x00, 0x20))
DATA_KEY = bytes(range(0x20, 0x40))
RECORD_ID = bytes(range(0x40, 0x50))
SALT = bytes(range(0x50, 0x70))
SLOT_NONCE = bytes(range(0x70, 0x88))
RECORD_NONCE = bytes(range(0x88, 0xA0))
TOKEN_NONCE = bytes(range(0xA0, 0xB8))
PASSPHRASE = b"correct horse battery"
ARGON2_SALT = bytes(range(0xC0, 0xD0))
MEMORY, PASSES, LANES = 65536, 3, 1
LOCK_ID = bytes(range(0xD0, 0xE0))
LOCK_SALT = bytes(range(0xE0, 0xF0))
ISSUER, CLIENT_ID = "https://iam.example/", "4f6e"
RECORD = {
    "issuer": ISSUER,
    "endpoints": {"token": "https://iam.example/token", "revocation": "https://iam.example/revoke"},
    "client": {"client_id": CLIENT_ID, "client_secret": "s3cret", "auth": "client_secret_basic"},
    "refresh_token": "refresh-me",
    "scope": "offline_access openid storage.read:/",
    "enrolled_at": 1767225600,
}
TOKEN = {"access_token": "read-me", "scope": "openid storage.read:/", "issued_at": 1767225600, "expires_at": 1767229200}


def hkdf(key, salt, info):
    """32 bytes: one block of output is all that is needed."""
    extracted = hmac.new(salt, key, hashlib.sha256).digest()
    return hmac.new(extracted, info + b"\x01", hashlib.sha256).digest()


def text(value):
    return struct.pack(">H", len(value)) + value.encode()


def show(title, rows):
    print(f"```text {title}")
    for name, value in rows:
        digits = value.hex()
        for start in range(0, len(digits), 80):
            print(f"{name if start == 0 else '':<24}{digits[start:start + 80]}")
    print("```\n")


KEY_ID = hashlib.sha256(b"iam-session/v1/key-id" + NODE_KEY).digest()[:8]
USER_KEY = hkdf(NODE_KEY, bytes(32), b"iam-session/v1/user\0" + KEY_ID + struct.pack(">I", UID))
KEK = hkdf(USER_KEY, SALT, b"iam-session/v1/slot\0" + RECORD_ID)
COMMITMENT, RECORD_KEY, TOKEN_KEY = (
    hkdf(DATA_KEY, RECORD_ID, b"iam-session/v1/" + label) for label in (b"commitment", b"record", b"token")
)


def message():
    rows = [
        ("session id", b"0123456789abcdef"),
        ("uid", struct.pack(">I", UID)),
        ("token_wait", struct.pack(">I", 2000)),
        ("hint policy", b"\x01"),
        ("number of keys", b"\x02"),
    ]
    for number in range(2):
        rows += [("key id", bytes([number]) * 8), ("user key", bytes([0x80 | number]) * 32)]
    rows += [("user name", text("alice")), ("home directory", text("/home/alice"))]
    rows.append(("runtime directory", text("/run/user/1000")))
    length = 12 + sum(len(value) for _, value in rows)
    return [("magic", b"IAMLOGIN"), ("version", b"\0\x01"), ("length", struct.pack(">H", length)), *rows]


def record():
    bound = b"iam-session/v1/slot\0" + RECORD_ID + struct.pack(">I", UID) + b"\x01" + KEY_ID + SALT
    wrapped = seal(DATA_KEY, bound, SLOT_NONCE, KEK)
    body = KEY_ID + SALT + SLOT_NONCE + wrapped
    tail = [
        ("record id", RECORD_ID),
        ("uid", struct.pack(">I", UID)),
        ("generation", struct.pack(">Q", 1)),
        ("issuer", text(ISSUER)),
        ("client_id", text(CLIENT_ID)),
        ("number of slots", b"\x01"),
        ("slot: type, length", b"\x01" + struct.pack(">H", len(body))),
        ("slot: key id", KEY_ID),
        ("slot: salt", SALT),
        ("slot: nonce", SLOT_NONCE),
        ("slot: wrapped data key", wrapped),
    ]
    head = [("magic", b"IAMCRED\0"), ("version", b"\0\x01"), ("suite", b"\0\x01")]
    length = 4 + sum(len(value) for _, value in head + tail)
    header = [*head, ("header length", struct.pack(">I", length)), *tail]
    stored = b"".join(value for _, value in header)
    sealed = seal(json.dumps(RECORD, separators=(",", ":")).encode(), stored, RECORD_NONCE, RECORD_KEY)
    return [
        *header,
        ("commitment", COMMITMENT),
        ("nonce", RECORD_NONCE),
        ("ciphertext length", struct.pack(">I", len(sealed))),
        ("ciphertext", sealed),
    ]


def token():
    head = [("magic", b"IAMTOKN\0"), ("version", b"\0\x01"), ("record id", RECORD_ID)]
    stored = b"".join(value for _, value in head)
    sealed = seal(json.dumps(TOKEN, separators=(",", ":")).encode(), stored, TOKEN_NONCE, TOKEN_KEY)
    length = struct.pack(">I", len(sealed))
    return [*head, ("nonce", TOKEN_NONCE), ("ciphertext length", length), ("ciphertext", sealed)]


def passphrase():
    parameters = ARGON2_SALT + struct.pack(">III", MEMORY, PASSES, LANES)
    user_key = hash_secret_raw(PASSPHRASE, ARGON2_SALT, PASSES, MEMORY, LANES, 32, Type.ID)
    key_id = hashlib.sha256(b"iam-session/v1/passphrase-id\0" + parameters).digest()[:8]
    kek = hkdf(user_key, SALT, b"iam-session/v1/slot\0" + RECORD_ID)
    bound = b"iam-session/v1/slot\0" + RECORD_ID + struct.pack(">I", UID) + b"\x02" + key_id + parameters + SALT
    wrapped = seal(DATA_KEY, bound, SLOT_NONCE, kek)
    return [
        ("passphrase", PASSPHRASE),
        ("Argon2 salt", ARGON2_SALT),
        ("memory", struct.pack(">I", MEMORY)),
        ("passes", struct.pack(">I", PASSES)),
        ("lanes", struct.pack(">I", LANES)),
        ("user key", user_key),
        ("key id", key_id),
        ("salt", SALT),
        ("record id", RECORD_ID),
        ("KEK", kek),
        ("nonce", SLOT_NONCE),
        ("data key", DATA_KEY),
        ("body of the slot", key_id + parameters + SALT + SLOT_NONCE + wrapped),
    ]


def lock():
    typed = hash_secret_raw(PASSPHRASE, LOCK_SALT, PASSES, MEMORY, LANES, 32, Type.ID)
    return [
        ("magic", b"IAMLOCK\0"),
        ("version", b"\0\x02"),
        ("suite", b"\0\x01"),
        ("lock id", LOCK_ID),
        ("uid", struct.pack(">I", UID)),
        ("Argon2 salt", LOCK_SALT),
        ("memory", struct.pack(">I", MEMORY)),
        ("passes", struct.pack(">I", PASSES)),
        ("lanes", struct.pack(">I", LANES)),
        ("verifier", hkdf(typed, LOCK_ID, b"iam-session/v1/lock-commitment")),
    ]


show("message", message())
show(
    "keys",
    [
        ("node key", NODE_KEY),
        ("key id", KEY_ID),
        ("user key", USER_KEY),
        ("salt", SALT),
        ("record id", RECORD_ID),
        ("KEK", KEK),
        ("data key", DATA_KEY),
        ("commitment", COMMITMENT),
        ("record key", RECORD_KEY),
        ("token key", TOKEN_KEY),
    ],
)
show("passphrase", passphrase())
show("record", record())
show("session token", token())
show("lock", lock())
