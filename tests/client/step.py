# SPDX-License-Identifier: Apache-2.0
"""One step of a shell test: the Python on standard input, with everything of
client.py and a connected client 'c' in scope.  What it prints is the step's
output; an exception is its failure."""

import sys

from client import *                                    # noqa: F401,F403


def brief(answer):
    """An answer on one line a request that is worth a line."""
    lines = ["%s %x" % (pb.AddTunnelStatus.Name(answer.request_status),
                        answer.error_status)]
    for r in answer.responses:
        lines.append("%d: %s" % (r.tunnel_id, r.error.error_string
                                 if r.HasField("error") else "chosen"))
    return "\n".join(lines)


with Client() as c:
    exec(compile(sys.stdin.read(), "step", "exec"))     # pylint: disable=exec-used
