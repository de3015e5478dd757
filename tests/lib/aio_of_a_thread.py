#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Reads the first 64 KiB of a file by asynchronous I/O that a thread submits which then ends, while the
process lives, and compares them with the second file.

    aio_of_a_thread.py FILE SAME

Exit status 77: no such system calls known for this machine."""
import ctypes
import mmap
import os
import platform
import sys
import threading
import time

CALLS = {"x86_64": (206, 208, 209), "aarch64": (0, 4, 2)}  # io_setup, io_getevents, io_submit
SIZE = 65536
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long


class Control(ctypes.Structure):  # struct iocb, little endian
    _fields_ = [("data", ctypes.c_uint64), ("key", ctypes.c_uint32), ("rw_flags", ctypes.c_uint32),
                ("opcode", ctypes.c_uint16), ("priority", ctypes.c_int16), ("fd", ctypes.c_uint32),
                ("buffer", ctypes.c_uint64), ("length", ctypes.c_uint64), ("offset", ctypes.c_int64),
                ("reserved", ctypes.c_uint64), ("flags", ctypes.c_uint32), ("event_fd", ctypes.c_uint32)]


class Event(ctypes.Structure):
    _fields_ = [("data", ctypes.c_uint64), ("control", ctypes.c_uint64), ("result", ctypes.c_int64),
                ("result2", ctypes.c_int64)]


def call(number, *args):
    result = libc.syscall(ctypes.c_long(number), *args)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def main():
    if platform.machine() not in CALLS:
        sys.exit(77)
    setup, getevents, submit = CALLS[platform.machine()]
    memory = mmap.mmap(-1, SIZE)
    context = ctypes.c_ulong(0)
    call(setup, ctypes.c_long(4), ctypes.byref(context))
    fd = os.open(sys.argv[1], os.O_RDONLY | os.O_DIRECT)
    control = Control(opcode=0, fd=fd, length=SIZE,
                      buffer=ctypes.addressof(ctypes.c_char.from_buffer(memory)))
    thread_id = []

    def begin():
        thread_id.append(threading.get_native_id())
        call(submit, context, ctypes.c_long(1), ctypes.byref(ctypes.pointer(control)))

    thread = threading.Thread(target=begin)
    thread.start()
    thread.join()
    deadline = time.monotonic() + 30
    while os.path.exists(f"/proc/self/task/{thread_id[0]}"):
        assert time.monotonic() < deadline, "the thread does not end"
    event = Event()
    call(getevents, context, ctypes.c_long(1), ctypes.c_long(1), ctypes.byref(event), None)
    if event.result != SIZE:
        sys.exit(f"the read came to {event.result}, not {SIZE}")
    with open(sys.argv[2], "rb") as f:
        if f.read(SIZE) != memory[:]:
            sys.exit("other bytes")


main()
