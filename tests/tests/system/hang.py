"""A file whose first page can be read only by asking twice, and the second answer never comes:  hang.py

Speaks the kernel's FUSE protocol (linux/fuse.h, 7.31) on descriptor 3, with one file, 'page', in the root directory. A
page fault lets go of the lock of the process's memory for its first read alone; the second one holds it.
"""

import os
import stat
import struct

FUSE, ROOT, PAGE = 3, 1, 2
LOOKUP, FORGET, GETATTR, OPEN, READ, INIT, OPENDIR, BATCH_FORGET = 1, 2, 3, 14, 15, 26, 27, 42
EIO, ENOSYS = 5, 38


def attributes(node):
    mode, size = (stat.S_IFDIR | 0o755, 0) if node == ROOT else (stat.S_IFREG | 0o444, 4096)
    return struct.pack("<6Q10I", node, size, 8, *(0,) * 3, *(0,) * 3, mode, 1, 0, 0, 0, 4096, 0)


reads = 0
while True:
    raw = os.read(FUSE, 1 << 18)
    _, op, unique, node, *_ = struct.unpack_from("<IIQQIIII", raw)
    error, body = 0, b""
    if op == INIT:
        body = struct.pack("<IIIIHHIIHHI7I", 7, 31, 65536, 0, 16, 12, 131072, 1, 0, 0, 0, *(0,) * 7)
    elif op == LOOKUP:
        body = struct.pack("<4Q2I", PAGE, 0, 60, 60, 0, 0) + attributes(PAGE)
    elif op == GETATTR:
        body = struct.pack("<QII", 60, 0, 0) + attributes(node)
    elif op in (OPEN, OPENDIR):
        body = struct.pack("<QII", 0, 0, 0)
    elif op == READ:
        reads += 1
        error = EIO
        if reads > 1:
            continue
    elif op in (FORGET, BATCH_FORGET):
        continue
    else:
        error = ENOSYS
    os.write(FUSE, struct.pack("<IiQ", 16 + len(body), -error, unique) + body)
