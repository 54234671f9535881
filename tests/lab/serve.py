# SPDX-License-Identifier: Apache-2.0
"""Serves commands that arrive as lines in a fifo.

Starting Python takes a second in User-mode Linux, so the packet tests keep one
process for all their calls.  A command is a line of words quoted for a shell;
the answer is what the command prints, then a line that starts with "\\x04" and
has the exit status.  common.sh has the other end.
"""

import io
import shlex
import sys
import traceback


def run_once(commands, words):
    """Runs one command; its exit status.  Output goes to sys.stdout."""
    if words == ["hello"]:
        return 0
    if not words or words[0] not in commands:
        print("no such command: %s (there are: %s)"
              % (" ".join(words), " ".join(sorted(commands))))
        return 2
    try:
        return commands[words[0]](*words[1:]) or 0
    except Exception:                   # pylint: disable=broad-except
        print(traceback.format_exc())
        return 2


def main(commands, argv):
    if argv[:1] != ["serve"]:
        sys.exit(run_once(commands, argv))

    # Both ends are opened for reading and writing: no end of file, ever.
    with open(argv[1], "r+b", buffering=0) as requests, \
            open(argv[2], "r+b", buffering=0) as answers:
        while True:
            line = b""
            while not line.endswith(b"\n"):
                line += requests.read(1)
            output = sys.stdout = io.StringIO()
            try:
                status = run_once(commands, shlex.split(line.decode()))
            finally:
                sys.stdout = sys.__stdout__
            text = output.getvalue()
            if text and not text.endswith("\n"):
                text += "\n"
            data = text.encode() + b"\x04%d\n" % status
            while data:
                data = data[answers.write(data):]
