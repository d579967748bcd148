"""A process whose memory is locked while a file system does not answer:  stuck.py FILE

As a job is that has mapped a file of a server that hangs. FUSE's FOPEN_DIRECT_IO drops what the kernel has of a file when
it is mapped: one thread waits for a page of FILE, and the other maps FILE again, which waits for that page with the
memory locked.
"""

import ctypes
import mmap
import os
import sys
import threading

file = os.open(sys.argv[1], os.O_RDONLY)
page = mmap.mmap(file, mmap.PAGESIZE, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE)
address = ctypes.c_void_p(ctypes.addressof(ctypes.c_char.from_buffer(page)))
# Python's other threads go on during a call by ctypes.
threading.Thread(target=lambda: ctypes.CDLL(None).strnlen(address, 1)).start()
while True:
    mmap.mmap(file, mmap.PAGESIZE, mmap.MAP_PRIVATE, mmap.PROT_READ).close()
