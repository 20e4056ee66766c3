"""A program on a terminal of its own: what tests of the command share."""

import os
import pty
import select
import time


def on_terminal(arguments, answer, stdin=None, env=None, seconds=40):
    """
    What appears, and the exit status. `answer` is asked with all that has appeared so far, each time
    more has: what it returns is typed; None: nothing yet.
    """
    pid, master = pty.fork()
    if pid == 0:
        if stdin is not None:
            os.dup2(os.open(stdin, os.O_RDONLY), 0)
        os.execvpe(arguments[0], arguments, {**os.environ, "TERM": "xterm", **(env or {})})
    shown, end = b"", time.monotonic() + seconds
    while time.monotonic() < end:
        if not select.select([master], [], [], 0.2)[0]:
            continue
        try:
            some = os.read(master, 4096)
        except OSError:
            break
        if not some:
            break
        shown += some
        while (typed := answer(shown.decode(errors="replace"))) is not None:
            os.write(master, typed)
    _, status = os.waitpid(pid, 0)
    os.close(master)
    return shown.decode(), os.waitstatus_to_exitcode(status)
