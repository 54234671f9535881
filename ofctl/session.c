/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "ofctl/session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "openflow/openflow.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/ofp-connection.h"
#include "openvswitch/ofp-errors.h"
#include "openvswitch/ofp-msgs.h"
#include "openvswitch/ofp-protocol.h"
#include "openvswitch/ofp-switch.h"
#include "openvswitch/ofp-util.h"
#include "openvswitch/ofpbuf.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/vlog.h"
#include "coverage.h"
#include "ofctl/compat.h"
#include "stream.h"
#include "timeval.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(otd_session);

COVERAGE_DEFINE(otd_session_connect);
COVERAGE_DEFINE(otd_session_read);
COVERAGE_DEFINE(otd_session_write);

static struct vlog_rate_limit rl = VLOG_RATE_LIMIT_INIT(5, 5);

/* The first retry is immediate; then the delay doubles up to the limit.  A
 * switch that refuses our version will not change its mind soon, and logs each
 * try. */
#define BACKOFF_FIRST_MS 10
#define BACKOFF_MAX_MS 100
#define BACKOFF_REFUSED_MS 1000

/* A connection that lasts less does not make the next retry immediate. */
#define STABLE_MS 1000

#define PROBE_MS 5000           /* Silence after which the peer is asked. */
#define PROBE_REPLY_MS 5000     /* ... and has this long to say anything. */
#define HANDSHAKE_MS 5000

/* An OpenFlow message is at most 65,535 bytes, so this holds the partial one
 * at the end of a read and a large read besides. */
#define RX_SIZE (256 * 1024)
#define RX_MIN_READ (64 * 1024)

/* Room in the output buffer for those who build their messages there. */
#define TX_ROOM (64 * 1024)

/* Output memory above this is given back once it has drained. */
#define TX_KEEP (4 * 1024 * 1024)

/* Types of the messages that are the same in every version of OpenFlow. */
#define TYPE_HELLO 0
#define TYPE_ERROR 1

enum state {
    S_IDLE,                     /* No target. */
    S_BACKOFF,                  /* Until 'deadline'. */
    S_CONNECTING,               /* The stream is opening. */
    S_HELLO,                    /* Ours is queued, the peer's is awaited. */
    S_CONFIG,                   /* The same for GET_CONFIG and its reply. */
    S_UP,
};

struct otd_session {
    char *name;
    char *path;                 /* NULL in S_IDLE. */
    enum state state;
    unsigned int seqno;
    char *why_down;             /* NULL in S_UP. */
    char *logged;               /* The reason that was logged last. */

    struct stream *stream;      /* From S_CONNECTING on. */
    int backoff;                /* Delay before the next retry, ms. */
    long long int deadline;     /* Of the back-off or of the handshake. */
    long long int up_since;
    long long int last_activity;
    bool probing;               /* An echo request is under way. */

    bool want_flow_removed;
    uint32_t xid;
    ovs_be32 config_xid;        /* Of the GET_CONFIG request. */
    ovs_be32 async_xid, set_config_xid;

    struct ofpbuf tx;
    bool tx_blocked;            /* The last write found the socket full. */
    uint8_t *rx;                /* RX_SIZE bytes. */
    size_t rx_head, rx_tail;
};

static void session_disconnect(struct otd_session *, int backoff,
                               const char *format, ...)
    OVS_PRINTF_FORMAT(3, 4);

struct otd_session *
otd_session_create(const char *name)
{
    struct otd_session *s = xzalloc(sizeof *s);

    s->name = xstrdup(name);
    s->state = S_IDLE;
    s->why_down = xstrdup("no bridge to connect to");
    s->want_flow_removed = true;
    s->rx = xmalloc(RX_SIZE);
    ofpbuf_init(&s->tx, 0);
    return s;
}

void
otd_session_want_flow_removed(struct otd_session *s, bool want)
{
    s->want_flow_removed = want;
}

void
otd_session_destroy(struct otd_session *s)
{
    if (s) {
        stream_close(s->stream);
        ofpbuf_uninit(&s->tx);
        free(s->rx);
        free(s->why_down);
        free(s->logged);
        free(s->path);
        free(s->name);
        free(s);
    }
}

/* ---- Going up and down. */

static void
session_set_why_down(struct otd_session *s, char *why)
{
    free(s->why_down);
    s->why_down = why;
}

/* Drops the connection, if there is one, and all that belongs to it. */
static void
session_close(struct otd_session *s)
{
    stream_close(s->stream);
    s->stream = NULL;
    s->rx_head = s->rx_tail = 0;
    s->probing = s->tx_blocked = false;
    if (s->tx.allocated > TX_KEEP) {
        ofpbuf_uninit(&s->tx);
        ofpbuf_init(&s->tx, 0);
    } else {
        ofpbuf_clear(&s->tx);
    }
    if (s->state == S_UP) {
        s->seqno++;
    }
}

/* Ends the connection (or the attempt) for the reason given and schedules the
 * next one; 'backoff' 0 means the usual delay. */
static void
session_disconnect(struct otd_session *s, int backoff, const char *format, ...)
{
    long long int now = time_msec();
    bool was_up = s->state == S_UP;
    va_list args;

    va_start(args, format);
    session_set_why_down(s, xvasprintf(format, args));
    va_end(args);

    session_close(s);
    if (was_up && now - s->up_since >= STABLE_MS) {
        s->backoff = 0;
    }
    s->deadline = now + (backoff ? backoff : s->backoff);
    s->backoff = MIN(MAX(2 * s->backoff, BACKOFF_FIRST_MS), BACKOFF_MAX_MS);
    s->state = S_BACKOFF;

    /* The same reason ten times a second says nothing new. */
    if (was_up || !s->logged || strcmp(s->logged, s->why_down)) {
        VLOG_INFO_RL(&rl, "%s: not connected: %s", s->name, s->why_down);
        free(s->logged);
        s->logged = xstrdup(s->why_down);
    }
}

void
otd_session_set_target(struct otd_session *s, const char *path)
{
    if (nullable_string_is_equal(path, s->path)) {
        return;
    }

    session_close(s);
    free(s->path);
    s->path = nullable_xstrdup(path);
    s->state = path ? S_BACKOFF : S_IDLE;
    s->backoff = 0;
    s->deadline = time_msec();
    session_set_why_down(s, path ? xasprintf("connecting to %s", path)
                            : xstrdup("no bridge to connect to"));
}

static void
session_connect(struct otd_session *s)
{
    COVERAGE_INC(otd_session_connect);

    char *target = xasprintf("unix:%s", s->path);
    int error = stream_open(target, &s->stream, 0);
    free(target);

    if (error) {
        s->stream = NULL;
        session_disconnect(s, 0, "%s: %s", s->path, ovs_strerror(error));
        return;
    }
    s->state = S_CONNECTING;
    s->deadline = time_msec() + HANDSHAKE_MS;
}

/* ---- Output. */

static void
session_put(struct otd_session *s, struct ofpbuf *msg)
{
    ofpmsg_update_length(msg);
    ofpbuf_put(&s->tx, msg->data, msg->size);
    ofpbuf_delete(msg);
}

static ovs_be32
session_put_with_xid(struct otd_session *s, struct ofpbuf *msg)
{
    struct ofp_header *oh = msg->data;
    ovs_be32 xid = otd_session_next_xid(s);

    oh->xid = xid;
    session_put(s, msg);
    return xid;
}

void
otd_session_flush(struct otd_session *s)
{
    while (s->tx.size && s->stream && s->state != S_CONNECTING) {
        int retval = stream_send(s->stream, s->tx.data, s->tx.size);

        COVERAGE_INC(otd_session_write);
        if (retval > 0) {
            ofpbuf_pull(&s->tx, retval);
            if (s->tx_blocked) {
                /* The socket was full and is not: the peer reads. */
                s->tx_blocked = false;
                s->last_activity = time_msec();
                s->probing = false;
            }
        } else if (retval == -EAGAIN) {
            s->tx_blocked = true;
            return;
        } else {
            session_disconnect(s, 0, "%s: send: %s", s->path,
                               ovs_strerror(-retval));
            return;
        }
    }

    if (!s->tx.size) {
        if (s->tx.allocated > TX_KEEP) {
            ofpbuf_uninit(&s->tx);
            ofpbuf_init(&s->tx, 0);
        } else {
            ofpbuf_clear(&s->tx);
        }
    }
}

/* Makes room for 'n' bytes in the output buffer.  ofpbuf alone would grow by
 * what is missing, and keep the hole that written bytes leave at the head. */
static void
session_reserve(struct otd_session *s, size_t n)
{
    /* Closing the hole whenever it is larger than what is left moves each byte
     * at most once on average. */
    if (ofpbuf_headroom(&s->tx) > s->tx.size) {
        memmove(s->tx.base, s->tx.data, s->tx.size);
        s->tx.data = s->tx.base;
    }
    if (ofpbuf_tailroom(&s->tx) < n) {
        ofpbuf_prealloc_tailroom(&s->tx, MAX(n, s->tx.size));
    }
}

struct ofpbuf *
otd_session_output(struct otd_session *s)
{
    if (s->state != S_UP) {
        return NULL;
    }
    session_reserve(s, TX_ROOM);
    return &s->tx;
}

void
otd_session_send_bytes(struct otd_session *s, const void *bytes, size_t n)
{
    if (s->state == S_UP) {
        session_reserve(s, n);
        ofpbuf_put(&s->tx, bytes, n);
    }
}

void
otd_session_send(struct otd_session *s, struct ofpbuf *msg)
{
    otd_session_send_bytes(s, msg->data, msg->size);
    ofpbuf_delete(msg);
}

size_t
otd_session_backlog(const struct otd_session *s)
{
    return s->state == S_UP ? s->tx.size : 0;
}

/* ---- The handshake. */

static void
session_say_hello(struct otd_session *s)
{
    session_put_with_xid(s, ofputil_encode_hello(1u << OTD_OFP_VERSION));
    s->state = S_HELLO;
    s->last_activity = time_msec();
}

static void
session_up(struct otd_session *s)
{
    s->state = S_UP;
    s->seqno++;
    s->up_since = time_msec();
    session_set_why_down(s, NULL);
    free(s->logged);
    s->logged = NULL;
    VLOG_INFO_RL(&rl, "%s: connected to %s", s->name, s->path);
}

static void
session_hello(struct otd_session *s, const struct ofp_header *oh)
{
    uint32_t versions;

    ofputil_decode_hello(oh, &versions);
    if (!(versions & (1u << OTD_OFP_VERSION))) {
        struct ds ds = DS_EMPTY_INITIALIZER;

        ofputil_format_version_bitmap_names(&ds, versions);
        session_disconnect(s, BACKOFF_REFUSED_MS,
                           "%s: the bridge speaks only %s; add OpenFlow15 to "
                           "the column \"protocols\" of this Bridge, or clear "
                           "that column", s->path, ds_cstr(&ds));
        ds_destroy(&ds);
        return;
    }

    if (!s->want_flow_removed) {
        session_up(s);
        return;
    }

    /* SET_CONFIG sets the bridge's fragment handling for everybody, so the
     * current value must be known to leave it as it is. */
    s->config_xid = session_put_with_xid(
        s, ofpraw_alloc(OFPRAW_OFPT_GET_CONFIG_REQUEST, OTD_OFP_VERSION, 0));
    s->state = S_CONFIG;
}

/* OVS gives a connection to the management socket no asynchronous message
 * while its miss_send_len is 0, and all usual ones afterwards: so first say
 * which. */
static void
session_configure(struct otd_session *s, const struct ofp_header *oh)
{
    struct ofputil_async_cfg ac = OFPUTIL_ASYNC_CFG_INIT;
    struct ofputil_switch_config config;

    ac.primary[OAM_FLOW_REMOVED] = OFPRR14_BITS;
    s->async_xid = session_put_with_xid(
        s, ofputil_encode_set_async_config(&ac, UINT32_MAX, OTD_OFP_VERSION));

    ofputil_decode_get_config_reply(oh, &config);
    config.miss_send_len = OFP_DEFAULT_MISS_SEND_LEN;
    config.invalid_ttl_to_controller = -1;
    s->set_config_xid = session_put_with_xid(
        s, ofputil_encode_set_config(&config, OTD_OFP_VERSION));
    session_up(s);
}

static void
session_refused(struct otd_session *s, const struct ofp_header *oh,
                const char *what)
{
    enum ofperr error = ofperr_decode_msg(oh, NULL);

    session_disconnect(s, BACKOFF_REFUSED_MS, "%s: the switch answered %s: %s",
                       s->path, what,
                       error ? ofperr_to_string(error) : "unknown error");
}

/* Takes what concerns the session itself.  Returns false if 'oh' is for the
 * caller. */
static bool
session_process(struct otd_session *s, const struct ofp_header *oh)
{
    enum ofpraw raw;

    if (ofpraw_decode(&raw, oh)) {
        if (s->state == S_UP) {
            return false;
        }
        session_disconnect(s, BACKOFF_REFUSED_MS,
                           "%s: the switch answered the handshake by a "
                           "message that cannot be decoded (type %u)", s->path,
                           oh->type);
        return true;
    }

    switch ((int) raw) {
    case OFPRAW_OFPT_HELLO:
        if (s->state == S_HELLO) {
            session_hello(s, oh);
        }
        return true;

    case OFPRAW_OFPT_ECHO_REQUEST:
        session_put(s, ofputil_encode_echo_reply(oh));
        return true;

    case OFPRAW_OFPT_ECHO_REPLY:
        return true;

    case OFPRAW_OFPT_ERROR:
        if (s->state != S_UP) {
            session_refused(s, oh, "the handshake by an error");
            return true;
        } else if (oh->xid == s->async_xid || oh->xid == s->set_config_xid) {
            session_refused(s, oh, "the wish for FLOW_REMOVED by an error");
            return true;
        }
        return false;

    case OFPRAW_OFPT_GET_CONFIG_REPLY:
        if (s->state == S_CONFIG && oh->xid == s->config_xid) {
            session_configure(s, oh);
        }
        return true;

    default:
        return s->state != S_UP;
    }
}

/* ---- Input. */

/* Reads as much as fits.  Returns true if something arrived. */
static bool
session_fill(struct otd_session *s)
{
    if (s->rx_head == s->rx_tail) {
        s->rx_head = s->rx_tail = 0;
    } else if (RX_SIZE - s->rx_tail < RX_MIN_READ) {
        memmove(s->rx, s->rx + s->rx_head, s->rx_tail - s->rx_head);
        s->rx_tail -= s->rx_head;
        s->rx_head = 0;
    }

    int retval = stream_recv(s->stream, s->rx + s->rx_tail,
                             RX_SIZE - s->rx_tail);
    COVERAGE_INC(otd_session_read);
    if (retval > 0) {
        s->rx_tail += retval;
        s->last_activity = time_msec();
        s->probing = false;
        return true;
    } else if (retval != -EAGAIN) {
        session_disconnect(s, s->state == S_HELLO || s->state == S_CONFIG
                              ? BACKOFF_MAX_MS : 0,
                           "%s: %s", s->path,
                           retval ? ovs_strerror(-retval)
                           : "the switch closed the connection");
    }
    return false;
}

/* Length of the complete message at the head of the input, or 0.  Disconnects
 * if what stands there cannot be a message. */
static size_t
session_complete(struct otd_session *s)
{
    struct ofp_header oh;

    if (s->rx_tail - s->rx_head < sizeof oh) {
        return 0;
    }
    memcpy(&oh, s->rx + s->rx_head, sizeof oh);

    size_t length = ntohs(oh.length);
    bool in_hello = s->state == S_HELLO;
    if (length < sizeof oh) {
        session_disconnect(s, BACKOFF_REFUSED_MS,
                           "%s: a message claims a length of %"PRIuSIZE
                           " bytes", s->path, length);
        return 0;
    } else if (in_hello
               ? (!oh.version
                  || (oh.type != TYPE_HELLO && oh.type != TYPE_ERROR))
               : oh.version != OTD_OFP_VERSION) {
        session_disconnect(s, BACKOFF_REFUSED_MS,
                           "%s: %s begins with %02x %02x: this is no "
                           "OpenFlow switch", s->path,
                           in_hello ? "what should be a hello"
                           : "what should be a message of OpenFlow 1.5",
                           oh.version, oh.type);
        return 0;
    }
    return s->rx_tail - s->rx_head >= length ? length : 0;
}

/* Returns the next message, whoever it is for, reading if need be; NULL if
 * none is complete. */
static struct ofpbuf *
session_pop(struct otd_session *s)
{
    while (s->state >= S_HELLO) {
        size_t length = session_complete(s);

        if (length) {
            /* A copy: the library's decoders want it aligned, and callers keep
             * it. */
            struct ofpbuf *msg = ofpbuf_clone_data(s->rx + s->rx_head, length);

            s->rx_head += length;
            return msg;
        } else if (s->state < S_HELLO || !session_fill(s)) {
            break;
        }
    }
    return NULL;
}

struct ofpbuf *
otd_session_recv(struct otd_session *s)
{
    struct ofpbuf *msg;

    while (s->state == S_UP && (msg = session_pop(s)) != NULL) {
        if (!session_process(s, msg->data)) {
            return msg;
        }
        ofpbuf_delete(msg);
    }
    return NULL;
}

/* ---- Four verbs. */

static void
session_run_timers(struct otd_session *s)
{
    long long int now = time_msec();

    if (s->state != S_UP) {
        if (now >= s->deadline) {
            session_disconnect(s, 0, "%s: no %s within %d ms", s->path,
                               s->state == S_CONNECTING ? "connection"
                               : "answer to the handshake", HANDSHAKE_MS);
        }
        return;
    }

    long long int idle = now - s->last_activity;
    if (idle < PROBE_MS) {
        return;
    } else if (!s->probing) {
        session_put_with_xid(s, ofputil_encode_echo_request(OTD_OFP_VERSION));
        s->probing = true;
        /* Whatever is already there counts, and the peer gets its full time
         * even if it was this process that slept. */
        s->last_activity = now - PROBE_MS;
    } else if (idle >= PROBE_MS + PROBE_REPLY_MS
               && s->rx_head == s->rx_tail && !session_fill(s)
               && s->state == S_UP) {
        /* Nothing waits in the socket either. */
        session_disconnect(s, 0, "%s: no answer to a probe within %d ms",
                           s->path, PROBE_REPLY_MS);
    }
}

void
otd_session_run(struct otd_session *s)
{
    if (s->state == S_BACKOFF && time_msec() >= s->deadline) {
        session_connect(s);
    }

    if (s->stream) {
        stream_run(s->stream);
    }
    if (s->state == S_CONNECTING) {
        int retval = stream_connect(s->stream);

        if (!retval) {
            session_say_hello(s);
        } else if (retval != EAGAIN) {
            session_disconnect(s, 0, "%s: %s", s->path, ovs_strerror(retval));
        }
    }

    otd_session_flush(s);

    /* Nothing is for the caller yet; the message that brings the session up is
     * the last one taken here. */
    struct ofpbuf *msg;
    while ((s->state == S_HELLO || s->state == S_CONFIG)
           && (msg = session_pop(s)) != NULL) {
        session_process(s, msg->data);
        ofpbuf_delete(msg);
    }

    if (s->state >= S_CONNECTING) {
        session_run_timers(s);
        otd_session_flush(s);
    }
}

void
otd_session_wait(struct otd_session *s)
{
    switch (s->state) {
    case S_IDLE:
        return;

    case S_BACKOFF:
        poll_timer_wait_until(s->deadline);
        return;

    case S_CONNECTING:
        stream_run_wait(s->stream);
        stream_connect_wait(s->stream);
        poll_timer_wait_until(s->deadline);
        return;

    case S_HELLO:
    case S_CONFIG:
    case S_UP:
        stream_run_wait(s->stream);
        stream_recv_wait(s->stream);
        if (s->tx.size) {
            stream_send_wait(s->stream);
        }
        if (s->state != S_UP) {
            poll_timer_wait_until(s->deadline);
        } else {
            poll_timer_wait_until(s->last_activity + PROBE_MS
                                  + (s->probing ? PROBE_REPLY_MS : 0));
        }
        return;
    }
}

bool
otd_session_is_up(const struct otd_session *s)
{
    return s->state == S_UP;
}

unsigned int
otd_session_seqno(const struct otd_session *s)
{
    return s->seqno;
}

const char *
otd_session_why_down(const struct otd_session *s)
{
    return s->why_down;
}

ovs_be32
otd_session_next_xid(struct otd_session *s)
{
    if (!++s->xid) {
        s->xid = 1;
    }
    return htonl(s->xid);
}
