"""Asks an agent for the session token, so often over one connection, and prints its last answer:  ask.py SOCKET HOW_OFTEN"""

import socket
import sys

agent = socket.socket(socket.AF_UNIX)
agent.settimeout(60)
agent.connect(sys.argv[1])
answers = agent.makefile("rb")
for _ in range(int(sys.argv[2])):
    agent.sendall(b'{"request":"access_token"}\n')
    answer = answers.readline()
print(answer.decode(), end="")
