/* SPDX-License-Identifier: Apache-2.0 */
/* The OpenFlow session and the unixctl client against peers that this test
 * plays itself on a unix socket: slow, broken, hostile.  Real ones:
 * tests/ofctl-live.sh. And the settings. */
#include <config.h>
#include "ofctl/session.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "ofctl/appctl-client.h"
#include "ofctl/messages.h"
#include "ofctl/ovsdb-private.h"
#include "openvswitch/ofpbuf.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/vlog.h"
#include "fatal-signal.h"
#include "packets.h"
#include "smap.h"
#include "timeval.h"
#include "util.h"

#define DEADLINE_MS 20000

/* ---- The peer. */

static char dir[] = "/tmp/test-session.XXXXXX";
static char *path;
static int listener = -1;
static int peer = -1;
static struct ofpbuf peer_rx;   /* All that it has received and not taken. */
static struct otd_session *session;

static void
set_nonblocking(int fd)
{
    ck_assert_int_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
}

static void
peer_listen(void)
{
    struct sockaddr_un sun = { .sun_family = AF_UNIX };

    unlink(path);
    ovs_strlcpy(sun.sun_path, path, sizeof sun.sun_path);
    listener = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(listener, (struct sockaddr *) &sun, sizeof sun), 0);
    ck_assert_int_eq(listen(listener, 5), 0);
    set_nonblocking(listener);
}

static void
setup(void)
{
    ck_assert_ptr_nonnull(mkdtemp(dir));
    path = xasprintf("%s/sw.mgmt", dir);
    peer_listen();
    ofpbuf_init(&peer_rx, 0);
    session = otd_session_create("test");
    otd_session_set_target(session, path);
}

static void
peer_close(void)
{
    close(peer);
    peer = -1;
    ofpbuf_clear(&peer_rx);
}

static void
teardown(void)
{
    otd_session_destroy(session);
    ofpbuf_uninit(&peer_rx);
    close(peer);
    close(listener);
    unlink(path);
    rmdir(dir);
    free(path);
}

static void
turn(void)
{
    char buffer[65536];
    ssize_t n;

    otd_session_run(session);
    if (peer < 0) {
        peer = accept(listener, NULL, NULL);
        if (peer >= 0) {
            set_nonblocking(peer);
        }
    }
    while (peer >= 0 && (n = read(peer, buffer, sizeof buffer)) > 0) {
        ofpbuf_put(&peer_rx, buffer, n);
    }
}

static void
block(long long int deadline)
{
    ck_assert_msg(time_msec() < deadline, "timeout; the session says: %s",
                  otd_session_why_down(session)
                  ? otd_session_why_down(session) : "up");
    otd_session_wait(session);
    poll_fd_wait(peer >= 0 ? peer : listener, POLLIN);
    poll_timer_wait_until(deadline);
    poll_block();
}

#define UNTIL(CONDITION)                                                      \
    do {                                                                      \
        long long int deadline__ = time_msec() + DEADLINE_MS;                 \
        for (turn(); !(CONDITION); turn()) {                                  \
            block(deadline__);                                                \
        }                                                                     \
    } while (0)

/* The peer's oldest message, or NULL. */
static const uint8_t *
peer_has(uint8_t type)
{
    const uint8_t *p = peer_rx.data;

    if (peer_rx.size < 8 || peer_rx.size < (size_t) (p[2] << 8 | p[3])) {
        return NULL;
    }
    ck_assert_uint_eq(p[0], 6);
    ck_assert_uint_eq(p[1], type);
    return p;
}

static void
peer_take(void)
{
    const uint8_t *p = peer_rx.data;

    ofpbuf_pull(&peer_rx, p[2] << 8 | p[3]);
}

static void
peer_write(const void *bytes, size_t n)
{
    ck_assert_int_eq(write(peer, bytes, n), n);
}

#define PEER_WRITE(...)                                                       \
    do {                                                                      \
        static const uint8_t bytes__[] = { __VA_ARGS__ };                     \
        peer_write(bytes__, sizeof bytes__);                                  \
    } while (0)

/* Types in OpenFlow 1.5. */
enum { HELLO = 0, ERROR = 1, ECHO_REQUEST = 2, ECHO_REPLY = 3,
       GET_CONFIG_REQUEST = 7, SET_CONFIG = 9, BARRIER_REQUEST = 20,
       SET_ASYNC = 28 };

static void
peer_says_hello(void)
{
    UNTIL(peer_has(HELLO));
    peer_take();
    PEER_WRITE(6, 0, 0, 8, 0, 0, 0, 1);
}

/* Answers GET_CONFIG with frags=nx-match (3) and an old miss_send_len. */
static void
peer_says_config(void)
{
    UNTIL(peer_has(GET_CONFIG_REQUEST));
    uint8_t reply[] = { 6, 8, 0, 12, 0, 0, 0, 0, 0, 3, 0, 0 };
    memcpy(reply + 4, peer_has(GET_CONFIG_REQUEST) + 4, 4);
    peer_take();
    peer_write(reply, sizeof reply);
}

static void
come_up(void)
{
    peer_says_hello();
    peer_says_config();
    UNTIL(otd_session_is_up(session));
    UNTIL(peer_has(SET_ASYNC));
    peer_take();
    UNTIL(peer_has(SET_CONFIG));
    peer_take();
}

static void
assert_down(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    char *wanted = xvasprintf(format, args);
    va_end(args);
    UNTIL(!otd_session_is_up(session)
          && !strcmp(otd_session_why_down(session), wanted));
    free(wanted);
}

/* ---- Coming up. */

START_TEST(test_comes_up)
{
    ck_assert(!otd_session_is_up(session));
    ck_assert_ptr_null(otd_session_output(session));
    unsigned int seqno = otd_session_seqno(session);
    UNTIL(peer_has(HELLO));
    ck_assert_str_ne(otd_session_why_down(session), "");

    /* Only version 6: bitmap element with bit 6. */
    static const uint8_t hello[] = {
        6, 0, 0, 16, 0, 0, 0, 1, 0, 1, 0, 8, 0, 0, 0, 0x40,
    };
    ck_assert_uint_eq(peer_rx.size, sizeof hello);
    ck_assert_mem_eq(peer_rx.data, hello, sizeof hello);
    peer_says_hello();
    peer_says_config();
    UNTIL(peer_has(SET_ASYNC));
    ck_assert(otd_session_is_up(session));
    ck_assert_ptr_null(otd_session_why_down(session));
    ck_assert_uint_eq(otd_session_seqno(session), seqno + 1);

    /* Of all properties only FLOW_REMOVED for master (type 5) has bits: all
     * six reasons of OpenFlow 1.4 and later. */
    const uint8_t *p = peer_has(SET_ASYNC);
    size_t n = p[2] << 8 | p[3];
    bool found = false;
    for (size_t i = 8; i < n; i += 8) {
        static const uint8_t none[4], reasons[4] = { 0, 0, 0, 0x3f };
        bool flow_removed = p[i + 1] == 5;

        found |= flow_removed;
        ck_assert_uint_eq(p[i], 0);
        ck_assert_uint_eq(p[i + 3], 8);
        ck_assert_mem_eq(p + i + 4, flow_removed ? reasons : none, 4);
    }
    ck_assert(found);
    peer_take();

    /* The bridge's fragment handling is as it was; miss_send_len is not 0. */
    UNTIL(peer_has(SET_CONFIG));
    p = peer_has(SET_CONFIG);
    ck_assert_uint_eq(p[9], 3);
    ck_assert(p[10] || p[11]);
}
END_TEST

START_TEST(test_only_reads)
{
    otd_session_want_flow_removed(session, false);
    peer_says_hello();
    UNTIL(otd_session_is_up(session));
    otd_msg_barrier(otd_session_output(session), htonl(99));
    UNTIL(peer_has(BARRIER_REQUEST));
}
END_TEST

START_TEST(test_byte_by_byte)
{
    static const uint8_t hello[] = {
        4, 0, 0, 16, 0, 0, 0, 1, 0, 1, 0, 8, 0, 0, 0, 0x7e,
    };
    UNTIL(peer_has(HELLO));
    peer_take();
    for (size_t i = 0; i < sizeof hello; i++) {
        ck_assert(!peer_has(GET_CONFIG_REQUEST));
        peer_write(hello + i, 1);
        turn();
    }
    peer_says_config();
    UNTIL(otd_session_is_up(session));
}
END_TEST

START_TEST(test_another_version)
{
    UNTIL(peer_has(HELLO));
    PEER_WRITE(4, 0, 0, 8, 0, 0, 0, 1);
    assert_down("%s: the bridge speaks only OpenFlow10, OpenFlow11, "
                "OpenFlow12, OpenFlow13; add OpenFlow15 to the column "
                "\"protocols\" of this Bridge, or clear that column", path);
}
END_TEST

START_TEST(test_refuses_in_handshake)
{
    peer_says_hello();
    UNTIL(peer_has(GET_CONFIG_REQUEST));
    PEER_WRITE(6, 1, 0, 12, 0, 0, 0, 2, 0, 1, 0, 5);
    assert_down("%s: the switch answered the handshake by an error: "
                "OFPBRC_EPERM", path);
}
END_TEST

START_TEST(test_refuses_async)
{
    peer_says_hello();
    peer_says_config();
    UNTIL(peer_has(SET_ASYNC));
    uint8_t error[] = { 6, 1, 0, 12, 0, 0, 0, 0, 0, 1, 0, 5 };
    memcpy(error + 4, peer_has(SET_ASYNC) + 4, 4);
    peer_write(error, sizeof error);
    UNTIL(otd_session_recv(session) == NULL && !otd_session_is_up(session));
    assert_down("%s: the switch answered the wish for FLOW_REMOVED by an "
                "error: OFPBRC_EPERM", path);
}
END_TEST

/* ---- Peers that are no switches. */

static const struct {
    const char *bytes;
    size_t n;
    const char *why;
} garbage[] = {
    { "HTTP/1.1 400 Bad Request\r\n", 26,
      "what should be a hello begins with 48 54: this is no OpenFlow switch" },
    { "\0\0\0\0\0\0\0\0", 8, "a message claims a length of 0 bytes" },
    { "\6\0\0\7\0\0\0\0", 8, "a message claims a length of 7 bytes" },
    { "\0\0\0\10\0\0\0\0", 8,
      "what should be a hello begins with 00 00: this is no OpenFlow switch" },
    { "\6\6\0\10\0\0\0\0", 8,
      "what should be a hello begins with 06 06: this is no OpenFlow switch" },
    { "\6\1\0\10\0\0\0\0", 8, "the switch answered the handshake by a message "
      "that cannot be decoded (type 1)" },
    { "\6\0\0\10\0\0\0\0\1\0\0\10\0\0\0\0", 16, "what should be a message of "
      "OpenFlow 1.5 begins with 01 00: this is no OpenFlow switch" },
};

START_TEST(test_garbage)
{
    UNTIL(peer_has(HELLO));
    peer_write(garbage[_i].bytes, garbage[_i].n);
    assert_down("%s: %s", path, garbage[_i].why);
}
END_TEST

START_TEST(test_garbage_when_up)
{
    come_up();
    unsigned int seqno = otd_session_seqno(session);
    PEER_WRITE(6, 20, 0, 3, 0, 0, 0, 0);
    UNTIL(otd_session_recv(session) == NULL && !otd_session_is_up(session));
    ck_assert_uint_eq(otd_session_seqno(session), seqno + 1);
    assert_down("%s: a message claims a length of 3 bytes", path);
}
END_TEST

START_TEST(test_peer_closes_and_comes_back)
{
    come_up();
    unsigned int seqno = otd_session_seqno(session);
    otd_msg_barrier(otd_session_output(session), htonl(99));
    peer_close();
    UNTIL(otd_session_recv(session) == NULL && !otd_session_is_up(session));
    ck_assert_uint_eq(otd_session_seqno(session), seqno + 1);
    ck_assert_ptr_null(otd_session_output(session));
    ck_assert_uint_eq(otd_session_backlog(session), 0);

    long long int start = time_msec();
    come_up();
    ck_assert_int_lt(time_msec() - start, 1000);
    ck_assert_uint_eq(otd_session_seqno(session), seqno + 2);
    /* Nothing of the old connection. */
    ck_assert_uint_eq(peer_rx.size, 0);
}
END_TEST

START_TEST(test_no_socket)
{
    close(listener);
    unlink(path);
    assert_down("%s: No such file or directory", path);
    peer_listen();
    long long int start = time_msec();
    come_up();
    ck_assert_int_lt(time_msec() - start, 1000);

    otd_session_set_target(session, path);      /* The same: nothing. */
    ck_assert(otd_session_is_up(session));
    otd_session_set_target(session, NULL);
    ck_assert(!otd_session_is_up(session));
    ck_assert_str_eq(otd_session_why_down(session),
                     "no bridge to connect to");
}
END_TEST

/* ---- Up. */

START_TEST(test_messages_in_pieces)
{
    /* 3 barrier replies, an echo request in between, cut anywhere. */
    static const uint8_t bytes[] = {
        6, 21, 0, 8, 0, 0, 0, 101,
        6, 2, 0, 12, 0, 0, 0, 77, 'a', 'b', 'c', 'd',
        6, 21, 0, 8, 0, 0, 0, 102,
        6, 21, 0, 8, 0, 0, 0, 103,
    };
    come_up();
    for (size_t cut = 1; cut < sizeof bytes; cut++) {
        struct ofpbuf *msg;
        unsigned int n = 0;

        peer_write(bytes, cut);
        turn();
        while ((msg = otd_session_recv(session)) != NULL) {
            ck_assert_int_eq(otd_msg_type(msg), OTD_MSG_BARRIER_REPLY);
            ck_assert_uint_eq(ntohl(otd_msg_xid(msg)), 101 + n++);
            ofpbuf_delete(msg);
        }
        ck_assert_uint_eq(n, cut < 8 ? 0 : cut < 28 ? 1 : 2);
        peer_write(bytes + cut, sizeof bytes - cut);
        long long int deadline = time_msec() + DEADLINE_MS;
        while (n < 3) {
            while ((msg = otd_session_recv(session)) != NULL) {
                ck_assert_uint_eq(ntohl(otd_msg_xid(msg)), 101 + n++);
                ofpbuf_delete(msg);
            }
            turn();
            if (n < 3) {
                block(deadline);
            }
        }
        UNTIL(peer_has(ECHO_REPLY));
        ck_assert_mem_eq(peer_has(ECHO_REPLY) + 4, bytes + 12, 8);
        peer_take();
    }
}
END_TEST

/* Far more than the socket takes, by a peer that reads nothing for a while. */
START_TEST(test_backlog)
{
    enum { N = 400000 };
    struct ofpbuf *out;

    come_up();
    out = otd_session_output(session);
    for (int i = 0; i < N / 2; i++) {
        otd_msg_barrier(out, htonl(i));
    }
    ck_assert_uint_eq(otd_session_backlog(session), 8 * (N / 2));
    otd_session_flush(session);
    size_t backlog = otd_session_backlog(session);
    ck_assert_uint_gt(backlog, 0);
    ck_assert_uint_lt(backlog, 8 * (N / 2));

    /* More is appended behind a part that has been written. */
    for (int i = N / 2; i < N; i++) {
        otd_msg_barrier(otd_session_output(session), htonl(i));
    }
    ck_assert_uint_eq(otd_session_backlog(session), backlog + 8 * (N / 2));
    UNTIL(!otd_session_backlog(session) && peer_rx.size == 8 * N);

    const uint8_t *p = peer_rx.data;
    for (uint32_t i = 0; i < N; i++, p += 8) {
        uint8_t wanted[] = { 6, BARRIER_REQUEST, 0, 8,
                             i >> 24, i >> 16, i >> 8, i };
        if (memcmp(p, wanted, 8)) {
            ck_abort_msg("message %u is not what was sent", i);
        }
    }
}
END_TEST

START_TEST(test_send)
{
    static const uint8_t two[] = {
        6, 20, 0, 8, 0, 0, 0, 1, 6, 20, 0, 8, 0, 0, 0, 2,
    };

    otd_session_send_bytes(session, two, sizeof two);   /* Not up: dropped. */
    come_up();
    otd_session_send_bytes(session, two, sizeof two);
    otd_session_send(session, ofpbuf_clone_data(two, 8));
    UNTIL(peer_rx.size >= 24);
    ck_assert_uint_eq(peer_rx.size, 24);
    ck_assert_mem_eq(peer_rx.data, two, 16);
    ck_assert_mem_eq((uint8_t *) peer_rx.data + 16, two, 8);

    ovs_be32 a = otd_session_next_xid(session);
    ck_assert_uint_ne(a, 0);
    ck_assert_uint_ne(a, otd_session_next_xid(session));
}
END_TEST

/* ---- The unixctl client. */

static struct otd_appctl *
appctl_start(void)
{
    static const char *const args[] = { "a \"b\"", "c" };

    return otd_appctl_call(path, "method", args, 2, DEADLINE_MS);
}

/* Plays the daemon until the call is done. */
static void
appctl_finish(struct otd_appctl *call, const char *reply, bool leave)
{
    static const char wanted[] =
        "{\"id\":0,\"method\":\"method\",\"params\":[\"a \\\"b\\\"\",\"c\"]}";
    long long int deadline = time_msec() + DEADLINE_MS;
    bool replied = false;

    otd_session_set_target(session, NULL);
    for (;;) {
        otd_appctl_run(call);
        if (otd_appctl_is_done(call)) {
            return;
        }
        turn();
        if (!replied && peer_rx.size >= sizeof wanted - 1) {
            ck_assert_uint_eq(peer_rx.size, sizeof wanted - 1);
            ck_assert_mem_eq(peer_rx.data, wanted, peer_rx.size);
            peer_write(reply, strlen(reply));
            replied = true;
            if (leave) {
                peer_close();
            }
        }
        otd_appctl_wait(call);
        block(deadline);
    }
}

START_TEST(test_appctl)
{
    static const struct {
        const char *reply;
        bool leave;
        const char *result, *error;
    } cases[] = {
        { "{\"id\":0,\"result\":\"fine\\n\",\"error\":null}", false,
          "fine\n", NULL },
        { "{\"id\":7,\"result\":\"of another\",\"error\":null}"
          "{\"id\":0,\"result\":\"\",\"error\":null}", false, "", NULL },
        { "{\"id\":0,\"result\":null,\"error\":\"no such thing\\n\"}", false,
          NULL, "no such thing" },
        { "{\"id\":0,\"result\":5,\"error\":null}", false,
          NULL, "the reply is no text" },
        { "{\"id\":0,", true, NULL, "End of file" },
        { "garbage ", false, NULL, "Protocol error" },
    };
    struct otd_appctl *call = appctl_start();

    appctl_finish(call, cases[_i].reply, cases[_i].leave);
    if (cases[_i].result) {
        ck_assert_ptr_null(otd_appctl_error(call));
        ck_assert_str_eq(otd_appctl_result(call), cases[_i].result);
    } else {
        char *wanted = xasprintf("%s: method: %s", path, cases[_i].error);

        ck_assert_ptr_null(otd_appctl_result(call));
        ck_assert_str_eq(otd_appctl_error(call), wanted);
        free(wanted);
    }
    otd_appctl_destroy(call);
}
END_TEST

START_TEST(test_appctl_timeout)
{
    struct otd_appctl *call = otd_appctl_call(path, "method", NULL, 0, 50);
    long long int deadline = time_msec() + DEADLINE_MS;

    otd_session_set_target(session, NULL);
    while (!otd_appctl_is_done(call)) {
        turn();
        otd_appctl_wait(call);
        block(deadline);
        otd_appctl_run(call);
    }
    char *wanted = xasprintf("%s: method: no answer in time", path);
    ck_assert_str_eq(otd_appctl_error(call), wanted);
    free(wanted);
    otd_appctl_destroy(call);

    call = otd_appctl_call("/nonexistent/x.ctl", "method", NULL, 0, 0);
    ck_assert_str_eq(otd_appctl_error(call), "/nonexistent/x.ctl: method: "
                     "cannot connect to /nonexistent/x.ctl: "
                     "No such file or directory");
    otd_appctl_destroy(call);
}
END_TEST

/* ---- Settings. */

#define DEFAULTS "bridge=br-int datapath_type= encap_ip=::,:: listen= " \
    "default_action=normal mark=0/0xffffff geneve_port=6081 " \
    "share_bridge=false capacity=1048576 stats_interval=10000 complaints="

static void
assert_settings(const char *key, const char *value, const char *wanted)
{
    struct smap ids = SMAP_INITIALIZER(&ids);
    struct otd_settings settings;
    struct ds s = DS_EMPTY_INITIALIZER;

    if (key) {
        smap_add(&ids, key, value);
    }
    otd_settings_parse(&settings, &ids);
    otd_settings_format(&settings, &s);
    ds_chomp(&s, '\n');
    ck_assert_str_eq(ds_cstr(&s), wanted);
    ds_destroy(&s);
    otd_settings_destroy(&settings);
    smap_destroy(&ids);
}

START_TEST(test_settings)
{
    struct smap ids = SMAP_INITIALIZER(&ids);
    struct otd_settings s;

    assert_settings(NULL, NULL, DEFAULTS);
    smap_add(&ids, "tunneld-bridge", "br-tun");
    smap_add(&ids, "tunneld-bridge-datapath-type", "netdev");
    smap_add(&ids, "tunneld-encap-ip", "172.16.0.1, fd00::1");
    smap_add(&ids, "tunneld-listen", "unix:/x 127.0.0.1:3443");
    smap_add(&ids, "tunneld-default-action", "drop");
    smap_add(&ids, "tunneld-mark-base", "0x1000000");
    smap_add(&ids, "tunneld-mark-mask", "0xff000000");
    smap_add(&ids, "tunneld-geneve-port", "65535");
    smap_add(&ids, "tunneld-share-bridge", "true");
    smap_add(&ids, "tunneld-capacity", "5");
    smap_add(&ids, "tunneld-stats-interval", "100");
    otd_settings_parse(&s, &ids);
    ck_assert_str_eq(s.bridge, "br-tun");
    ck_assert_str_eq(s.datapath_type, "netdev");
    ck_assert_uint_eq(in6_addr_get_mapped_ipv4(&s.encap_ip4),
                      htonl(0xac100001));
    ck_assert_uint_eq(s.encap_ip6.s6_addr[0], 0xfd);
    ck_assert_uint_eq(s.encap_ip6.s6_addr[15], 1);
    ck_assert_str_eq(s.listen, "unix:/x 127.0.0.1:3443");
    ck_assert_int_eq(s.default_action, OTD_DEFAULT_DROP);
    ck_assert_uint_eq(s.mark_base, 0x1000000);
    ck_assert_uint_eq(s.mark_mask, 0xff000000);
    ck_assert_uint_eq(s.geneve_port, 65535);
    ck_assert(s.share_bridge);
    ck_assert_uint_eq(s.capacity, 5);
    ck_assert_uint_eq(s.poll_interval_ms, 100);
    ck_assert_str_eq(s.complaints, "");
    otd_settings_destroy(&s);
    smap_destroy(&ids);
}
END_TEST

static const struct {
    const char *key, *value, *complaint;
} bad_settings[] = {
    { "tunneld-bridge", "", "\"\" is no name for a bridge (1 to 15 bytes "
      "without slash and space); using br-int" },
    { "tunneld-bridge", "a/b", "\"a/b\" is no name for a bridge (1 to 15 "
      "bytes without slash and space); using br-int" },
    { "tunneld-bridge", "0123456789abcdef", "\"0123456789abcdef\" is no name "
      "for a bridge (1 to 15 bytes without slash and space); using br-int" },
    { "tunneld-encap-ip", "10.0.0", "\"10.0.0\" is no IP address; ignoring "
      "it" },
    { "tunneld-encap-ip", "0.0.0.0", "\"0.0.0.0\" cannot be the address of a "
      "host; ignoring it" },
    { "tunneld-encap-ip", "239.0.0.1", "\"239.0.0.1\" cannot be the address "
      "of a host; ignoring it" },
    { "tunneld-encap-ip", "ff02::1", "\"ff02::1\" cannot be the address of a "
      "host; ignoring it" },
    { "tunneld-encap-ip", "::ffff:10.0.0.1", "\"::ffff:10.0.0.1\" is no IP "
      "address; ignoring it" },
    { "tunneld-default-action", "flood", "\"flood\" is neither normal nor "
      "drop; using normal" },
    { "tunneld-mark-mask", "0", "\"0\" is not a number from 1 to 4294967295; "
      "using 16777215" },
    { "tunneld-mark-base", "0x100000000", "\"0x100000000\" is not a number "
      "from 0 to 4294967295; using 0" },
    { "tunneld-geneve-port", "0", "\"0\" is not a number from 1 to 65535; "
      "using 6081" },
    { "tunneld-geneve-port", "-1", "\"-1\" is not a number from 1 to 65535; "
      "using 6081" },
    { "tunneld-geneve-port", "6081x", "\"6081x\" is not a number from 1 to "
      "65535; using 6081" },
    { "tunneld-share-bridge", "yes", "\"yes\" is neither true nor false; "
      "using false" },
    { "tunneld-capacity", "67108865", "\"67108865\" is not a number from 0 to "
      "67108864; using 1048576" },
    { "tunneld-stats-interval", "10", "\"10\" is not a number from 100 to "
      "86400000; using 10000" },
};

START_TEST(test_bad_settings)
{
    char *wanted = xasprintf(DEFAULTS "external_ids:%s: %s",
                             bad_settings[_i].key, bad_settings[_i].complaint);

    assert_settings(bad_settings[_i].key, bad_settings[_i].value, wanted);
    free(wanted);
}
END_TEST

START_TEST(test_second_address)
{
    assert_settings("tunneld-encap-ip", "10.0.0.1,10.0.0.2",
                    "bridge=br-int datapath_type= encap_ip=10.0.0.1,:: "
                    "listen= default_action=normal mark=0/0xffffff "
                    "geneve_port=6081 share_bridge=false capacity=1048576 "
                    "stats_interval=10000 complaints=external_ids:"
                    "tunneld-encap-ip: \"10.0.0.2\" is a second address of "
                    "its family; ignoring it");
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("session");
    TCase *tc = tcase_create("session");

    fatal_ignore_sigpipe();
    vlog_set_levels(NULL, VLF_ANY_DESTINATION, VLL_OFF);
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_comes_up);
    tcase_add_test(tc, test_only_reads);
    tcase_add_test(tc, test_byte_by_byte);
    tcase_add_test(tc, test_another_version);
    tcase_add_test(tc, test_refuses_in_handshake);
    tcase_add_test(tc, test_refuses_async);
    tcase_add_loop_test(tc, test_garbage, 0, ARRAY_SIZE(garbage));
    tcase_add_test(tc, test_garbage_when_up);
    tcase_add_test(tc, test_peer_closes_and_comes_back);
    tcase_add_test(tc, test_no_socket);
    tcase_add_test(tc, test_messages_in_pieces);
    tcase_add_test(tc, test_backlog);
    tcase_add_test(tc, test_send);
    tcase_add_loop_test(tc, test_appctl, 0, 6);
    tcase_add_test(tc, test_appctl_timeout);
    suite_add_tcase(suite, tc);

    tc = tcase_create("settings");
    tcase_add_test(tc, test_settings);
    tcase_add_loop_test(tc, test_bad_settings, 0, ARRAY_SIZE(bad_settings));
    tcase_add_test(tc, test_second_address);
    suite_add_tcase(suite, tc);

    SRunner *sr = srunner_create(suite);
    srunner_run_all(sr, CK_NORMAL);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
