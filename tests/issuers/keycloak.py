"""Keycloak as its administrator and its users drive it.

keycloak.py BASE api METHOD PATH [JSON]     one request of its REST interface, below /admin/realms; prints the answer
keycloak.py BASE page URL USER PASSWORD     opens a page as a browser does, signs in, says yes; prints what it says last
"""

import html
import http.cookiejar
import json
import re
import sys
import urllib.error
import urllib.parse
import urllib.request

ADMINISTRATOR = {"grant_type": "password", "client_id": "admin-cli", "username": "admin", "password": "admin"}
# Code, sign-in, consent, and what else a page may ask for.
PAGES = 6
# With any other, the page of the code takes its own form for the request of a device.
HTML = {"Accept": "text/html"}

base = sys.argv[1]


def request(url, method="GET", data=None, headers=None):
    if isinstance(data, dict):
        data = urllib.parse.urlencode(data).encode()
    return urllib.request.Request(url, data, headers or {}, method=method)


def api(method, path, body=None):
    token_url = f"{base}/realms/master/protocol/openid-connect/token"
    with urllib.request.urlopen(request(token_url, "POST", ADMINISTRATOR)) as answer:
        token = json.load(answer)["access_token"]
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    whole = request(f"{base}/admin/realms{path}", method, body.encode() if body else None, headers)
    try:
        with urllib.request.urlopen(whole) as answer:
            made = answer.headers.get("Location", "").rsplit("/", 1)[-1]
            print(answer.read().decode() or json.dumps({"id": made}))
    except urllib.error.HTTPError as error:
        sys.exit(f"{method} {path}: {error.code} {error.read().decode()[:400]}")


def forms(text):
    """Each form of a page: where it goes, and its fields."""
    for form in re.finditer(r"<form\b(.*?)>(.*?)</form>", text, re.S):
        action = re.search(r'action="([^"]*)"', form[1])
        fields = {}
        for element in re.finditer(r"<(?:input|button)\b([^>]*)>", form[2], re.S):
            name = re.search(r'name="([^"]*)"', element[1])
            value = re.search(r'value="([^"]*)"', element[1])
            if name:
                fields[name[1]] = html.unescape(value[1]) if value else ""
        yield html.unescape(action[1]) if action else "", fields


def filled(fields, user, password):
    """What the user makes of a form; nothing of one that is not for us."""
    if "device_user_code" in fields:
        return fields
    if "password" in fields:
        return {**fields, "username": user, "password": password}
    if "accept" in fields:
        return {name: value for name, value in fields.items() if name != "cancel"}
    return None


def page(url, user, password):
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
    data = None
    for _ in range(PAGES):
        try:
            with browser.open(request(url, "POST" if data else "GET", data, HTML)) as answer:
                url, text = answer.geturl(), answer.read().decode()
        except urllib.error.HTTPError as error:
            url, text = error.geturl(), error.read().decode()
        answered = [(action, filled(fields, user, password)) for action, fields in forms(text)]
        answered = [(action, fields) for action, fields in answered if fields]
        if not answered:
            break
        action, data = answered[0]
        url = urllib.parse.urljoin(url, action)
    text = re.sub(r"<(script|style|head)\b.*?</\1>", " ", text, flags=re.S)
    print(re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", text))).strip())


{"api": api, "page": page}[sys.argv[2]](*sys.argv[3:])
