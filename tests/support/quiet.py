"""Takes the provider's place and says nothing:  quiet.py ADDRESS PORT connect|handshake

connect: no connection comes about, as behind a firewall that drops packets.
handshake: connections come about, and nobody answers on them.
Ends with its standard input.
"""

import socket
import sys

address, stage = (sys.argv[1], int(sys.argv[2])), sys.argv[3]

listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(address)
# Nobody accepts. A queue of length 0 takes one connection, and the kernel drops what else would connect.
listener.listen(0 if stage == "connect" else 1024)
queued = socket.create_connection(address) if stage == "connect" else None

print("quiet", flush=True)
sys.stdin.read()
