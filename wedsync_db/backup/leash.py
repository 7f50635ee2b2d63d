"""A leash for client programs: when we die, even by kill -9, the program and its workers end, and its secrets go.

Run as a script, in a process group of its own: `python -I -S leash.py FOLDER PROGRAM ARGUMENT…`. Our end of its
standard input is the leash: the kernel closes it when we die, however we die. FOLDER, with the password file, is
removed at the end.
"""

import os
import select
import shutil
import signal
import subprocess
import sys

_GRACE_SECONDS = 5.0


def main() -> int:
    """Run the program; return its exit code, as a shell would give it."""
    folder, *command = sys.argv[1:]
    os.umask(0o077)
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    # handlers, not SIG_IGN: that would be handed down to the program, which must hear our SIGTERM
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        while child.poll() is None:
            ready, _, _ = select.select([sys.stdin.fileno(), woken], [], [])
            if woken in ready:
                os.read(woken, 64)
            if sys.stdin.fileno() in ready:
                break
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return _end_group(child)


def _end_group(child: "subprocess.Popen[bytes]") -> int:
    """End what is left: the program if it was to stop, and workers that outlived it."""
    os.killpg(0, signal.SIGTERM)
    try:
        code = child.wait(_GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(0, signal.SIGKILL)
        raise
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
