"""A file system in memory whose every step can fail, kill who asked for it, or be lost:  disk.py UID MODE [ERRNO]

Speaks the kernel's FUSE protocol (linux/fuse.h, 7.31) on descriptor 3, and obeys: one JSON object a line on standard
input, each answered by one on standard output; at end of file it ends. Only what UID does fails, kills or is counted. With ERRNO every
lock is refused so; without it the kernel keeps them.
    {"do": "fail", "op": "fsync", "name": ".wlcg.cred.*", "errno": 5}     from now on; name is a glob; no errno: no answer
    {"do": "fail_at", "at": 3, "last": 3, "errno": 5}                     these steps of those from now on, and no other
    {"do": "heal"}                                 nothing fails or kills any more
    {"do": "kill", "at": 3, "when": "before"}      SIGKILL to who asks for the third step from now on
    {"do": "steps"}                                what changed since it was asked for the last time
    {"do": "crash"}                                what was not synced is gone, as after a power cut
"""

import errno
import fnmatch
import json
import os
import re
import select
import signal
import stat
import struct
import sys

FUSE = 3
OWNER, MODE = int(sys.argv[1]), int(sys.argv[2], 8)
LOCK_ERROR = int(sys.argv[3]) if len(sys.argv) > 3 else 0
MAX_WRITE = 128 * 1024
POSIX_LOCKS, BIG_WRITES = 1 << 1, 1 << 5  # with the first, locks are ours to give
DIRECT_IO = 1  # nothing is kept in the kernel's cache: each read and write comes here
FATTR_MODE, FATTR_UID, FATTR_GID, FATTR_SIZE = 1, 2, 4, 8


class Node:
    def __init__(self, mode, uid, gid):
        self.number = len(NODES) + 1
        self.mode, self.uid, self.gid, self.name = mode, uid, gid, ""
        self.data, self.names = bytearray(), {}
        self.synced = b"" if stat.S_ISREG(mode) else {}
        NODES[self.number] = self

    def sync(self):
        self.synced = bytes(self.data) if stat.S_ISREG(self.mode) else dict(self.names)

    def lose(self):
        if stat.S_ISREG(self.mode):
            self.data = bytearray(self.synced)
        else:
            self.names = dict(self.synced)

    def attributes(self):
        size = len(self.data)
        times = (0,) * 3
        return struct.pack("<6Q10I", self.number, size, (size + 511) // 512, *times, *times, self.mode, 1,
                           self.uid, self.gid, 0, 4096, 0)

    def entry(self):
        # Valid for no time: the kernel asks again.
        return struct.pack("<4Q2I", self.number, 0, 0, 0, 0, 0) + self.attributes()


NODES = {}
ROOT = Node(stat.S_IFDIR | MODE, OWNER, OWNER)
rules, steps = [], []
fails, kill = {"at": 0, "last": 0}, {"at": 0}


class Unanswered(Exception):
    pass


class Request:
    def __init__(self, raw):
        _, self.op, self.unique, node, self.uid, self.gid, self.pid, _ = struct.unpack_from("<IIQQIIII", raw)
        self.node = NODES.get(node)
        self.body = raw[40:]

    def fields(self, form):
        return struct.unpack_from(form, self.body)

    def texts(self, at):
        return [text.decode() for text in self.body[at:].split(b"\0")]

    def child(self, name):
        number = self.node.names.get(name)
        if number is None:
            raise OSError(errno.ENOENT, name)
        return NODES[number]

    def step(self, op, name, change=None):
        """One step: fails where a rule says so, else does `change`; who asked may not live to see it."""
        if self.uid != OWNER:
            return change() if change else None
        for rule in rules:
            if rule["op"] == op and fnmatch.fnmatch(name, rule["name"]):
                raise OSError(rule["errno"], name) if rule["errno"] else Unanswered
        if not change:
            return None
        steps.append(f"{op} {re.sub('[0-9a-f]{16}$', '*', name)}")
        kill["at"] -= 1
        fails["at"] -= 1
        fails["last"] -= 1
        if fails["at"] <= 0 <= fails["last"]:
            raise OSError(fails["errno"], name)
        if kill["at"] == 0:
            os.kill(self.pid, signal.SIGKILL)
            if kill["when"] == "before":
                raise OSError(errno.EINTR, name)
        return change()


def init(request):
    flags = BIG_WRITES | (POSIX_LOCKS if LOCK_ERROR else 0)
    return struct.pack("<IIIIHHIIHHI7I", 7, 31, 65536, flags, 16, 12, MAX_WRITE, 1, 0, 0, 0, *(0,) * 7)


def lookup(request):
    return request.child(request.texts(0)[0]).entry()


def getattr_(request):
    return struct.pack("<QII", 0, 0, 0) + request.node.attributes()


def setattr_(request):
    node = request.node
    valid, _, _, size = request.fields("<IIQQ")
    mode, _, uid, gid = struct.unpack_from("<4I", request.body, 68)

    def change():
        if valid & FATTR_SIZE:
            del node.data[size:]
            node.data.extend(bytes(size - len(node.data)))
        if valid & FATTR_MODE:
            node.mode = stat.S_IFMT(node.mode) | stat.S_IMODE(mode)
        if valid & FATTR_UID:
            node.uid = uid
        if valid & FATTR_GID:
            node.gid = gid

    request.step("truncate" if valid & FATTR_SIZE else "chmod", node.name, change)
    return getattr_(request)


def make(request, mode, name):
    if name in request.node.names:
        raise OSError(errno.EEXIST, name)
    node = Node(mode, request.uid, request.gid)
    node.name = name
    request.node.names[name] = node.number
    return node


def create(request):
    _, mode, umask, _ = request.fields("<4I")
    name = request.texts(16)[0]
    node = request.step("create", name, lambda: make(request, mode & ~umask, name))
    return node.entry() + struct.pack("<QIi", 0, DIRECT_IO, 0)


def mkdir(request):
    mode, umask = request.fields("<2I")
    name = request.texts(8)[0]
    return request.step("mkdir", name, lambda: make(request, stat.S_IFDIR | mode & ~umask, name)).entry()


def unlink(request):
    name = request.texts(0)[0]
    request.child(name)
    request.step("unlink", name, lambda: request.node.names.pop(name))
    return b""


def rename(request):
    at = 8 if request.op == 12 else 16
    target = NODES[request.fields("<Q")[0]]
    old, new = request.texts(at)[:2]
    node = request.child(old)

    def change():
        target.names[new] = request.node.names.pop(old)
        node.name = new

    request.step("rename", old, change)
    return b""


def open_(request):
    request.step("open", request.node.name)
    return struct.pack("<QIi", 0, DIRECT_IO, 0)


def opendir(request):
    request.step("opendir", request.node.name)
    return struct.pack("<QIi", 0, 0, 0)


def read(request):
    _, offset, size = request.fields("<QQI")
    request.step("read", request.node.name)
    return bytes(request.node.data[offset:offset + size])


def write(request):
    node = request.node
    _, offset, size = request.fields("<QQI")
    data = request.body[40:40 + size]

    def change():
        node.data.extend(bytes(max(0, offset - len(node.data))))
        node.data[offset:offset + size] = data

    request.step("write", node.name, change)
    return struct.pack("<II", size, 0)


def fsync(request):
    request.step("fsync", request.node.name, request.node.sync)
    return b""


def fsyncdir(request):
    request.step("fsyncdir", request.node.name, request.node.sync)
    return b""


def readdir(request):
    _, offset, size = request.fields("<QQI")
    out = b""
    for at, (name, number) in enumerate(list(request.node.names.items())[offset:], offset + 1):
        text = name.encode()
        kind = stat.S_IFMT(NODES[number].mode) >> 12
        entry = struct.pack("<QQII", number, at, len(text), kind) + text + bytes(-len(text) % 8)
        if len(out) + len(entry) > size:
            break
        out += entry
    return out


def statfs(request):
    return struct.pack("<5Q4I6I", 1 << 20, 1 << 20, 1 << 20, 1 << 20, 1 << 20, 4096, 255, 4096, 0, *(0,) * 6)


def lock(request):
    raise OSError(LOCK_ERROR, request.node.name)


def nothing(request):
    return b""


OPERATIONS = {
    1: lookup, 3: getattr_, 4: setattr_, 9: mkdir, 10: unlink, 11: unlink, 12: rename, 14: open_, 15: read,
    16: write, 17: statfs, 18: nothing, 20: fsync, 25: nothing, 26: init, 27: opendir, 28: readdir, 29: nothing,
    30: fsyncdir, 31: lock, 32: lock, 33: lock, 35: create, 38: nothing, 45: rename,
}
UNANSWERED = {2, 36, 42}  # FORGET, INTERRUPT, BATCH_FORGET


def serve(raw):
    request = Request(raw)
    if request.op in UNANSWERED:
        return
    try:
        operation = OPERATIONS.get(request.op)
        if operation is None:
            raise OSError(errno.ENOSYS, "")
        body, error = operation(request), 0
    except OSError as failure:
        body, error = b"", -failure.errno
    except Unanswered:
        return
    try:
        os.write(FUSE, struct.pack("<IiQ", 16 + len(body), error, request.unique) + body)
    except FileNotFoundError:
        pass  # who asked has been interrupted


def obey(command):
    global steps
    what = command.pop("do")
    if what == "fail":
        rules.append(command)
    elif what == "heal":
        rules.clear()
        kill["at"], fails["last"] = 0, 0
    elif what == "fail_at":
        fails.update(command)
    elif what == "kill":
        kill.update(command)
    elif what == "crash":
        for node in NODES.values():
            node.lose()
    elif what == "steps":
        seen, steps = steps, []
        return seen
    else:
        return f"nothing is called {what}"
    return "done"


def main():
    # A descriptor that cannot be read again after a line: no buffer of Python's may hide a second one.
    commands = b""
    while True:
        readable, _, _ = select.select([FUSE, 0], [], [])
        if FUSE in readable:
            try:
                serve(os.read(FUSE, MAX_WRITE + 4096))
            except OSError as failure:
                if failure.errno == errno.ENODEV:
                    return
        if 0 in readable:
            read_now = os.read(0, 65536)
            if not read_now:
                return
            *lines, commands = (commands + read_now).split(b"\n")
            for line in lines:
                print(json.dumps(obey(json.loads(line))), flush=True)


main()
