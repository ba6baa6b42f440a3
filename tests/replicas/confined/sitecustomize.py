"""Python imports this by itself where its folder is in PYTHONPATH: the process gets a pod's confines, and a witness.

The root file system is read-only but for a few folders: the kernel sees to it (Landlock). Where the process looks up
and connects to is written to a file.
"""

import ctypes
import os
import sys
from typing import Any

WRITABLE, WITNESS = "CONFINED_WRITABLE", "CONFINED_WITNESS"
"""Variables: folders, with colons between them; a file."""

# <linux/landlock.h>; the numbers of system calls are the same on every architecture.
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
VERSION, PATH_BENEATH, NO_NEW_PRIVILEGES = 1, 1, 38
WRITE_FILE, REMOVE_DIR, FIRST_MAKE, REFER, TRUNCATE = 1, 4, 5, 13, 14
BY_VERSION = {1: FIRST_MAKE + 8, 2: REFER + 1}
"""How many rights there are; from version 3 on also to cut a file short."""


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("folder", ctypes.c_int32))


def confine(writable: list[str]) -> None:
    """Leave nothing to write to but what is in these folders, and devices."""
    libc = ctypes.CDLL(None, use_errno=True)

    def call(number: int, *arguments: Any) -> int:
        result = int(libc.syscall(number, *arguments))
        if result < 0:
            raise OSError(ctypes.get_errno(), "Landlock (Linux 5.13) is needed to make the root file system read-only")
        return result

    version = call(CREATE_RULESET, None, 0, VERSION)
    rights = 1 << WRITE_FILE | sum(1 << right for right in range(REMOVE_DIR, BY_VERSION.get(version, TRUNCATE + 1)))
    handled = ctypes.c_uint64(rights)
    ruleset = call(CREATE_RULESET, ctypes.byref(handled), ctypes.sizeof(handled), 0)
    for folder, allowed in [*((folder, rights) for folder in writable), ("/dev", 1 << WRITE_FILE)]:
        opened = os.open(folder, os.O_PATH)
        call(ADD_RULE, ruleset, PATH_BENEATH, ctypes.byref(_Beneath(allowed, opened)), 0)
        os.close(opened)
    libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    call(RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)


def watch(file: str) -> None:
    """Note each host that is looked up and each address that is connected to."""
    witness = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def note(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "socket.getaddrinfo":
            os.write(witness, f"{arguments[0]}\n".encode())
        elif event == "socket.connect" and isinstance(arguments[1], tuple):
            os.write(witness, f"{arguments[1][0]}\n".encode())

    sys.addaudithook(note)


watch(os.environ[WITNESS])
confine(os.environ[WRITABLE].split(":"))
