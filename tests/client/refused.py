# SPDX-License-Identifier: Apache-2.0
"""A client that must not get in: no call succeeds, of whatever service."""

import grpc

from client import Client, check, encap, run


def refused(text, call):
    try:
        answer = call()
    except grpc.RpcError as error:
        check(text, error.code() in (grpc.StatusCode.UNAVAILABLE,
                                     grpc.StatusCode.UNAUTHENTICATED,
                                     grpc.StatusCode.PERMISSION_DENIED),
              error)
        return
    check(text, False, answer)


def main():
    with Client() as c:
        refused("Capabilities is refused", c.capabilities)
        refused("a create is refused", lambda: c.create(encap(1)))
        refused("a read is refused", lambda: c.get(1))
        refused("health is refused", c.serving)


run(main)
