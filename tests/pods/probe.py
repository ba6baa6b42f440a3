"""Tries connections from the network namespace that it is started in: a program for tests, which needs root.

Reads `{"source": address or null, "filters": [address, …], "targets": [[protocol, address, port], …]}` and prints what
became of each target:

- `open`: a server answered;
- `closed`: the packet went where nobody listens (TCP's reset, or another kernel's word for it);
- `refused`: one of the packet filters said so, by ICMP's "port unreachable", which no host sends for TCP;
- `silent`: nobody said anything: the packet left for an address that nobody has, or was dropped.
"""

import errno
import json
import selectors
import socket
import struct
import sys
import time

SECONDS = 4.0
"""TCP asks again after 1 and 3."""
UNREACHABLE, PORT = 3, 3
KINDS = {
    "TCP": (socket.SOCK_STREAM, socket.IPPROTO_TCP, selectors.EVENT_WRITE),
    "UDP": (socket.SOCK_DGRAM, socket.IPPROTO_UDP, selectors.EVENT_READ),
}
"""How each is opened, its number in IP's header, and what tells of an answer."""
# A question for the address of kubernetes.default.svc.cluster.local, by which UDP's only server is known.
QUESTION = struct.pack(">6H", 1, 0x0100, 1, 0, 0, 0) + b"".join(
    bytes([len(label)]) + label for label in (b"kubernetes", b"default", b"svc", b"cluster", b"local", b"")
)
QUESTION += struct.pack(">2H", 1, 1)


def refused_ports(icmp: socket.socket, filters: set[bytes]) -> set[tuple[int, int]]:
    """The protocols and local ports of connections that filters have refused since."""
    found: set[tuple[int, int]] = set()
    while True:
        try:
            packet = icmp.recv(2048)
        except BlockingIOError:
            return found
        message = packet[(packet[0] & 15) * 4 :]
        refused = message[8:]
        # Behind a Service's address, it is the Service that seems to refuse.
        who = {*filters, refused[16:20]}
        if packet[12:16] in who and (message[0], message[1]) == (UNREACHABLE, PORT):
            (port,) = struct.unpack_from(">H", refused, (refused[0] & 15) * 4)
            found.add((refused[9], port))


def outcome(tried: socket.socket) -> str:
    """What became of a connection of which the kernel has something to say."""
    error = tried.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if not error and tried.type == socket.SOCK_DGRAM:
        try:
            tried.recv(2048)
        except OSError as received:
            error = received.errno or errno.EIO
    return "closed" if error else "open"


def main() -> None:
    """Try them all at once."""
    asked = json.load(sys.stdin)
    outcomes = ["silent"] * len(asked["targets"])
    filters = {socket.inet_aton(address) for address in asked["filters"]}
    ports: list[tuple[int, int]] = []
    with (
        selectors.DefaultSelector() as waiting,
        socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as icmp,
    ):
        icmp.setblocking(False)
        for number, (protocol, address, port) in enumerate(asked["targets"]):
            kind, numeral, event = KINDS[protocol]
            tried = socket.socket(socket.AF_INET, kind)
            tried.setblocking(False)
            tried.bind((asked["source"] or "", 0))
            ports.append((numeral, tried.getsockname()[1]))
            if tried.connect_ex((address, port)) not in (0, errno.EINPROGRESS):
                outcomes[number] = "closed"
                tried.close()
                continue
            if protocol == "UDP":
                tried.send(QUESTION)
            waiting.register(tried, event, (number, tried))
        refused: set[tuple[int, int]] = set()
        deadline = time.monotonic() + SECONDS
        while waiting.get_map() and (left := deadline - time.monotonic()) > 0:
            for key, _ in waiting.select(left):
                number, tried = key.data
                outcomes[number] = outcome(tried)
                waiting.unregister(tried)
                tried.close()
            refused |= refused_ports(icmp, filters)
        refused |= refused_ports(icmp, filters)
        for key in list(waiting.get_map().values()):
            key.data[1].close()
    print(json.dumps(["refused" if ports[number] in refused else each for number, each in enumerate(outcomes)]))


if __name__ == "__main__":
    main()
