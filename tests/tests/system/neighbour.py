"""A hostile client of an agent:  neighbour.py KIND SOCKET [HOW_MANY]

slow     many lines, each a byte at a time
half     many half lines
idle     many connections on which nothing is said
long     lines of more than 64 KiB, one after the other
vanish   asks and is gone before the answer
deaf     asks and asks, and reads no answer
churn    connections that come and go
strange  counts the bytes that it gets in answer to a request, all connections together, and ends

Prints "there" when it is at it, and goes on until its standard input ends.
"""

import resource
import select
import socket
import sys

kind, path, many = sys.argv[1], sys.argv[2], int((sys.argv + ["100"])[3])
_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
REQUEST = b'{"request":"access_token"}\n'


def connect():
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(5)
    client.connect(path)
    return client


def say(client, data):
    """Whether the agent still listens."""
    try:
        client.send(data, socket.MSG_NOSIGNAL | socket.MSG_DONTWAIT)
    except BlockingIOError:
        pass
    except OSError:
        return False
    return True


def answered(client):
    try:
        client.sendall(REQUEST)
        return len(client.recv(100000))
    except (BrokenPipeError, ConnectionResetError):
        return 0


def again(client, data):
    """The same connection, or another where the agent has had enough of it."""
    if say(client, data):
        return client
    client.close()
    return connect()


def vanish():
    client = connect()
    say(client, REQUEST)
    client.close()


if kind == "strange":
    print(sum(answered(connect()) for _ in range(many)))
    sys.exit()

clients = [connect() for _ in range(many)] if kind in ("slow", "half", "idle", "deaf") else []
if kind == "half":
    clients = [again(client, REQUEST[:10]) for client in clients]
print("there", flush=True)
while not select.select([sys.stdin], [], [], 0.005)[0]:
    if kind == "slow":
        clients = [again(client, b"x") for client in clients]
    elif kind == "deaf":
        clients = [again(client, REQUEST * 20) for client in clients]
    elif kind == "long":
        client = connect()
        say(client, b"x" * 100000)
        clients = clients[-20:] + [client]
    elif kind == "vanish":
        for _ in range(20):
            vanish()
    elif kind == "churn":
        clients = [connect() for _ in range(150)]
