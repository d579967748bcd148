"""What a user does against being revoked, until the standard input ends: veto.py HOW [FILE].

Prints "there" when it begins. A process that is signalled by kill(-1) is every one of the user's but the caller.
"""

import fcntl
import os
import select
import signal
import sys

how, files = sys.argv[1], sys.argv[2:]


def ended():
    """Whether the standard input has."""
    return bool(select.select([0], [], [], 0)[0])


def signal_all(number):
    print("there", flush=True)
    while not ended():
        try:
            os.kill(-1, number)
        except ProcessLookupError:
            pass


def hold_locks():
    """Those that mints take."""
    held = [open(file, "r+") for file in files]
    for file in held:
        fcntl.flock(file, fcntl.LOCK_EX)
    for file in held:
        fcntl.lockf(file, fcntl.LOCK_EX)
    print("there", flush=True)
    sys.stdin.read()


def lease():
    """A write lease, given up when the standard input ends; says "asked" when somebody wants to open the file."""
    file = open(files[0], "r+")
    signal.signal(signal.SIGIO, lambda *_: print("asked", flush=True))
    fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    print("there", flush=True)
    sys.stdin.read()
    fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)


def spy():
    """As root: names what descends from iam-session-admin and is the user's, by any uid but that for files."""
    uid = files[0]
    found = set()
    print("there", flush=True)
    while not ended():
        status = {}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/status") as file:
                    status[pid] = {name: value.strip() for name, _, value in (line.partition(":") for line in file)}
            except OSError:
                pass
        for pid, fields in status.items():
            if uid not in fields["Uid"].split("\t")[:3]:
                continue
            above = fields["PPid"]
            while above in status:
                if status[above]["Name"].startswith("iam-session-adm"):
                    found.add(fields["Name"])
                above = status[above]["PPid"]
    print(" ".join(sorted(found)))


{
    "kill": lambda: signal_all(signal.SIGKILL),
    "stop": lambda: signal_all(signal.SIGSTOP),
    "locks": hold_locks,
    "lease": lease,
    "spy": spy,
}[how]()
