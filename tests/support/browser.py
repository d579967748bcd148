"""Approves a device as a user with a browser does, page by page:  browser.py VERIFICATION_URI USER_CODE USER"""

import http.cookiejar
import os
import re
import sys
import urllib.parse
import urllib.request

os.environ["SSL_CERT_FILE"] = "/etc/iam-session/iam.example.pem"
uri, user_code, user = sys.argv[1:]
cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
browser = urllib.request.build_opener(cookies)


def visit(url, **form):
    """Opens a page or sends a form, follows redirects, and gives the address and the page it ends at."""
    data = urllib.parse.urlencode(form).encode() if form else None
    with browser.open(url, data) as answer:
        return answer.geturl(), answer.read().decode()


def hidden(page, name):
    """A value that the page's form sends along."""
    return re.search(rf'name="{name}" value="([^"]+)"', page)[1]


url, page = visit(uri)
code = {"xsrf": hidden(page, "xsrf"), "user_code": user_code}
url, page = visit(url, **code)
url, page = visit(url, **code, confirm="yes")
while "/interaction/" in url:
    url, page = visit(url, prompt=hidden(page, "prompt"), login=user, password="any")
print(re.search("<title>(.*)</title>", page)[1])
