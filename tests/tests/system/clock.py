"""Runs a command again and again:  clock.py HOW_OFTEN COMMAND…

Prints how many failed, and in milliseconds the median, the 99th percentile and the longest.
"""

import subprocess
import sys
import time

often, command = int(sys.argv[1]), sys.argv[2:]
taken, failed = [], 0
for _ in range(often):
    start = time.monotonic()
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    taken.append((time.monotonic() - start) * 1000)
    if done.returncode:
        failed += 1
        print(done.stderr.decode(), file=sys.stderr)
taken.sort()
print(failed, *(f"{taken[int(part * (often - 1))]:.1f}" for part in (0.5, 0.99, 1)))
