"""Tries to get at the memory of every other process, again and again, until its standard input ends.

Prints "there" when it begins, and at the end how many processes of its own user it has met, how often it has tried
with them, and the names of those that it got at.
"""

import ctypes
import os
import select
import sys

PTRACE_SEIZE, PTRACE_DETACH = 0x4206, 17
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
own = os.getpid()


def maps(pid):
    """Whether its mappings can be read. Of a process that is just ending, and has no memory any more, they are empty."""
    try:
        with open(f"/proc/{pid}/maps", "rb") as file:
            return bool(file.read(1))
    except OSError:
        return False


def memory(pid):
    """Whether its memory can be opened. Of one that has none any more nothing is read, and of others an error."""
    try:
        descriptor = os.open(f"/proc/{pid}/mem", os.O_RDWR)
    except OSError:
        return False
    try:
        return bool(os.pread(descriptor, 1, 4096))
    except OSError:
        return True
    finally:
        os.close(descriptor)


def seized(pid):
    if libc.ptrace(PTRACE_SEIZE, pid, None, None) == -1:
        return False
    has_memory = maps(pid)
    libc.ptrace(PTRACE_DETACH, pid, None, None)
    return has_memory


def is_ours(pid):
    # Not the owner of /proc/PID, which is root where a process is closed to others.
    try:
        with open(f"/proc/{pid}/status") as file:
            return f"\nUid:\t{os.getuid()}\t" in file.read()
    except OSError:
        return False


def name(pid):
    try:
        with open(f"/proc/{pid}/comm") as file:
            return file.read().strip()
    except OSError:
        return "gone"


met, tries, got = set(), 0, set()
print("there", flush=True)
while not select.select([sys.stdin], [], [], 0)[0]:
    for pid in [int(name) for name in os.listdir("/proc") if name.isdigit()]:
        if pid == own:
            continue
        if maps(pid) or memory(pid) or seized(pid):
            got.add(name(pid))
        elif is_ours(pid):
            met.add(pid)
            tries += 1
print(len(met), tries, *sorted(got))
