/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OTD_SESSION_H
#define OTD_SESSION_H 1

/* One OpenFlow 1.5 connection to a bridge's management socket.
 *
 * Non-blocking, main thread only.  It connects and reconnects by itself
 * (back-off at most 100 ms on a unix socket), says hello, answers echo
 * requests, probes a silent peer, and asks for FLOW_REMOVED messages (service
 * connections get no asynchronous message until they set a nonzero
 * miss_send_len) and no other asynchronous ones.  What is sent is appended to
 * one buffer and written in large pieces; what arrives is read in large pieces
 * and handed out message by message. A peer that does not speak OpenFlow is
 * left at once, with the reason.  It knows nothing of tunnels.
 *
 * Why not vconn or rconn: they make one system call for each message. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "openvswitch/types.h"

struct ofpbuf;
struct otd_session;

struct otd_session *otd_session_create(const char *name);      /* For logs. */
void otd_session_destroy(struct otd_session *);

/* Whether the switch shall send FLOW_REMOVED messages over this connection;
 * true by default.  Each connection that asks gets its own copy of all of
 * them: one that only reads says no, before its target is set. */
void otd_session_want_flow_removed(struct otd_session *, bool);

/* 'path' is the socket's path (…/br-int.mgmt), or NULL to disconnect and stay
 * so. The path that is already set changes nothing. */
void otd_session_set_target(struct otd_session *, const char *path);

void otd_session_run(struct otd_session *);
/* Wakes for input, for output that can be written, and for the timers.  The
 * caller must have taken all messages out, or the next poll returns at
 * once. */
void otd_session_wait(struct otd_session *);

/* True once the hello exchange is complete and FLOW_REMOVED has been asked
 * for. */
bool otd_session_is_up(const struct otd_session *);
/* Grows by one at each new connection that comes up and each that goes down: a
 * caller that sees another number must forget its outstanding xids.  Changes
 * in otd_session_run(), _recv() and _flush(). */
unsigned int otd_session_seqno(const struct otd_session *);
/* Why it is not up, for people; borrowed; NULL if it is up. */
const char *otd_session_why_down(const struct otd_session *);

/* A fresh transaction id, never 0, unique in this session for 2^32 - 1
 * messages. */
ovs_be32 otd_session_next_xid(struct otd_session *);

/* Queues '*msg' (a complete message with its length updated; takes it).  Its
 * xid is left as it is.  Dropped silently while the session is not up. */
void otd_session_send(struct otd_session *, struct ofpbuf *msg);
/* The same for bytes of one or more complete messages in a row; copies. */
void otd_session_send_bytes(struct otd_session *, const void *, size_t n);
/* The output buffer itself, for the hot path: the caller appends complete
 * messages (ofctl/messages.h), as many as it likes, and does nothing else with
 * it.  Valid until the next call of any other function here.  NULL while not
 * up. */
struct ofpbuf *otd_session_output(struct otd_session *);

/* Bytes queued and not yet written to the socket: a caller that produces much
 * stops above a limit of its own and goes on in a later turn. */
size_t otd_session_backlog(const struct otd_session *);

/* Writes what can be written now, without waiting for the next run. */
void otd_session_flush(struct otd_session *);

/* The next message of the switch (returns owned; data points to its header,
 * size equals its length), or NULL if none is complete.  Hellos and echoes
 * never show up here. */
struct ofpbuf *otd_session_recv(struct otd_session *);

#endif /* ofctl/session.h */
