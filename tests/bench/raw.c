/* SPDX-License-Identifier: Apache-2.0 */

/* What ovs-tunneld is measured against: the same work done with OpenFlow alone,
 * or with the disk alone, as cheaply as C can.
 *
 *   bench-raw dump MGMT [FILE]      dump all flows of tunnels, decode each entry;
 *                                   write them as flow_mods to FILE
 *   bench-raw bundle MGMT FILE MAX  send FILE's flows in bundles of MAX
 *   bench-raw single MGMT FILE N    N times one flow_mod and a barrier
 *   bench-raw fdatasync DIR N       N times 4 KiB overwritten, and fdatasync
 *   bench-raw count MGMT            flows in each table, cheaply
 *   bench-raw hello MGMT N          wait for the first hello, then until the
 *                                   switch has N flows
 *
 * MGMT is the path of a bridge's management socket, FILE holds OpenFlow 1.5
 * flow_mods in a row.  Prints one line of NAME=VALUE: "s" is seconds, "p50" and
 * "p99" are microseconds.  What the switch refuses is a failure. */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "openflow/openflow.h"
#include "openvswitch/ofp-bundle.h"
#include "openvswitch/ofp-errors.h"
#include "openvswitch/ofp-flow.h"
#include "openvswitch/ofp-msgs.h"
#include "openvswitch/ofp-port.h"
#include "openvswitch/ofp-protocol.h"
#include "openvswitch/ofp-table.h"
#include "openvswitch/ofp-util.h"
#include "openvswitch/ofpbuf.h"
#include "byte-order.h"
#include "flows/pipeline.h"
#include "util.h"

/* Message types of OpenFlow 1.5, section 7.1.1. */
enum { TYPE_ERROR = 1, TYPE_BARRIER = 20, TYPE_BUNDLE_CTRL = 33,
       TYPE_BUNDLE_ADD = 34 };

#define SINGLE_TABLE 250        /* Nobody's: what is measured there is removed. */

struct conn {
    int fd;
    uint32_t next_xid;
    uint8_t *in;                /* Received and not yet taken: [head, tail). */
    size_t head, tail, allocated;
};

static double
now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec + ts.tv_nsec / 1e9;
}

/* ---- The connection: blocking, large pieces each way. */

static bool
conn_fill(struct conn *c)
{
    ssize_t n;

    if (c->head) {
        memmove(c->in, c->in + c->head, c->tail - c->head);
        c->tail -= c->head;
        c->head = 0;
    }
    if (c->allocated - c->tail < 256 * 1024) {
        c->allocated = c->allocated * 2 + 1024 * 1024;
        c->in = xrealloc(c->in, c->allocated);
    }
    n = recv(c->fd, c->in + c->tail, c->allocated - c->tail, MSG_DONTWAIT);
    if (n > 0) {
        c->tail += n;
    } else if (!n) {
        ovs_fatal(0, "the switch closed the connection");
    } else if (errno != EAGAIN) {
        ovs_fatal(errno, "recv");
    }
    return n > 0;
}

/* The next message that is complete, in place, or NULL. */
static struct ofp_header *
conn_take(struct conn *c)
{
    struct ofp_header *oh = (struct ofp_header *) (c->in + c->head);
    size_t n = c->tail - c->head;

    if (n < sizeof *oh || n < ntohs(oh->length)) {
        return NULL;
    }
    c->head += ntohs(oh->length);
    if (oh->type == TYPE_ERROR) {
        struct ofpbuf payload;
        enum ofperr error = ofperr_decode_msg(oh, &payload);

        ovs_fatal(0, "the switch refuses a message: %s",
                  ofperr_get_name(error));
    }
    return oh;
}

/* Waits for a message. */
static struct ofp_header *
conn_recv(struct conn *c)
{
    struct ofp_header *oh;

    while (!(oh = conn_take(c))) {
        struct pollfd pfd = { .fd = c->fd, .events = POLLIN };

        poll(&pfd, 1, -1);
        conn_fill(c);
    }
    return oh;
}

static struct ofp_header *
conn_recv_xid(struct conn *c, ovs_be32 xid)
{
    struct ofp_header *oh;

    do {
        oh = conn_recv(c);
    } while (oh->xid != xid);
    return oh;
}

/* Sends it all; takes in meanwhile what comes back, so that nobody is stuck. */
static void
conn_send(struct conn *c, const void *data_, size_t size)
{
    const uint8_t *data = data_;

    while (size) {
        ssize_t n = send(c->fd, data, MIN(size, 256 * 1024),
                         MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0) {
            data += n;
            size -= n;
        } else if (errno == EAGAIN) {
            struct pollfd pfd = { .fd = c->fd, .events = POLLIN | POLLOUT };

            poll(&pfd, 1, -1);
            if (pfd.revents & POLLIN) {
                conn_fill(c);
            }
        } else {
            ovs_fatal(errno, "send");
        }
    }
}

static ovs_be32
conn_send_msg(struct conn *c, struct ofpbuf *msg)
{
    ovs_be32 xid = htonl(c->next_xid++);

    ofpmsg_update_length(msg);
    ((struct ofp_header *) msg->data)->xid = xid;
    conn_send(c, msg->data, msg->size);
    ofpbuf_delete(msg);
    return xid;
}

/* Connects once; false if nobody listens yet. */
static bool
conn_try(struct conn *c, const char *path)
{
    struct sockaddr_un sun = { .sun_family = AF_UNIX };

    memset(c, 0, sizeof *c);
    c->next_xid = 1;
    ovs_strlcpy(sun.sun_path, path, sizeof sun.sun_path);
    c->fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (connect(c->fd, (struct sockaddr *) &sun, sizeof sun)) {
        close(c->fd);
        return false;
    }
    conn_send_msg(c, ofputil_encode_hello(1u << OFP15_VERSION));
    return true;
}

static void
conn_open(struct conn *c, const char *path)
{
    if (!conn_try(c, path)) {
        ovs_fatal(errno, "%s", path);
    }
    conn_recv(c);               /* The hello. */
}

static void
conn_close(struct conn *c)
{
    close(c->fd);
    free(c->in);
}

/* ---- Dump. */

static ovs_be32
send_dump(struct conn *c)
{
    struct ofputil_flow_stats_request fsr = {
        .match = MATCH_CATCHALL_INITIALIZER,
        .cookie = htonll(otd_cookie_make(OTD_COOKIE_TUNNEL, 0)),
        .cookie_mask = htonll(UINT64_MAX << 32),
        .out_port = OFPP_ANY,
        .out_group = OFPG_ANY,
        .table_id = OFPTT_ALL,
    };

    return conn_send_msg(c, ofputil_encode_flow_stats_request(
                                &fsr, OFPUTIL_P_OF15_OXM));
}

static void
put_flow_mod(struct ofpbuf *out, const struct ofputil_flow_stats *fs)
{
    struct ofputil_flow_mod fm = {
        .priority = fs->priority,
        .new_cookie = fs->cookie,
        .table_id = fs->table_id,
        .command = OFPFC_ADD,
        .buffer_id = UINT32_MAX,
        .out_port = OFPP_ANY,
        .out_group = OFPG_ANY,
        .flags = fs->flags,
        .ofpacts = CONST_CAST(struct ofpact *, fs->ofpacts),
        .ofpacts_len = fs->ofpacts_len,
    };
    struct ofpbuf *msg;

    minimatch_init(&fm.match, &fs->match);
    msg = ofputil_encode_flow_mod(&fm, OFPUTIL_P_OF15_OXM);
    ofpmsg_update_length(msg);
    ofpbuf_put(out, msg->data, msg->size);
    ofpbuf_delete(msg);
    minimatch_destroy(&fm.match);
}

/* Decodes the entries of one reply; into flow_mods if 'out' is not NULL. */
static size_t
decode_reply(const struct ofp_header *oh, struct ofpbuf *ofpacts,
             struct ofpbuf *out, uint64_t *packets)
{
    struct ofpbuf msg = ofpbuf_const_initializer(oh, ntohs(oh->length));
    struct ofputil_flow_stats fs;
    size_t n = 0;
    int retval;

    while (!(retval = ofputil_decode_flow_stats_reply(&fs, &msg, true,
                                                      ofpacts))) {
        n++;
        *packets += fs.packet_count;
        if (out) {
            put_flow_mod(out, &fs);
        }
    }
    if (retval != EOF) {
        ovs_fatal(0, "cannot decode a flow: %s", ofperr_get_name(retval));
    }
    return n;
}

static void
write_file(const char *name, const void *data, size_t size)
{
    FILE *file = fopen(name, "w");

    if (!file || fwrite(data, size, 1, file) != 1 || fclose(file)) {
        ovs_fatal(errno, "%s", name);
    }
}

static void
run_dump(const char *path, const char *file)
{
    struct ofpbuf ofpacts, out;
    struct ofp_header *oh;
    double start, elapsed;
    uint64_t packets = 0;
    struct conn c;
    size_t n = 0;
    ovs_be32 xid;
    bool more;

    ofpbuf_init(&ofpacts, 256);
    ofpbuf_init(&out, 0);
    conn_open(&c, path);
    start = now();
    xid = send_dump(&c);
    do {
        oh = conn_recv_xid(&c, xid);
        more = ofpmp_more(oh);
        n += decode_reply(oh, &ofpacts, file ? &out : NULL, &packets);
    } while (more);
    elapsed = now() - start;
    printf("s=%.6f n=%"PRIuSIZE" packets=%"PRIu64"\n", elapsed, n, packets);
    if (file) {
        write_file(file, out.data, out.size);
    }
    ofpbuf_uninit(&out);
    ofpbuf_uninit(&ofpacts);
    conn_close(&c);
}

/* ---- Loading. */

static void
read_file(const char *name, struct ofpbuf *b)
{
    int fd = open(name, O_RDONLY);
    struct stat s;

    if (fd < 0 || fstat(fd, &s)) {
        ovs_fatal(errno, "%s", name);
    }
    ofpbuf_init(b, s.st_size);
    while (b->size < s.st_size) {
        ssize_t n = read(fd, ofpbuf_tail(b), s.st_size - b->size);

        if (n <= 0) {
            ovs_fatal(errno, "%s", name);
        }
        b->size += n;
    }
    close(fd);
}

/* The flow_mod at '*ofs', which moves on; NULL at the end. */
static struct ofp_header *
next_flow_mod(const struct ofpbuf *b, size_t *ofs)
{
    struct ofp_header *oh;

    if (*ofs >= b->size) {
        return NULL;
    }
    oh = ofpbuf_at_assert(b, *ofs, sizeof *oh);
    *ofs += ntohs(oh->length);
    return oh;
}

static void
put_header(struct ofpbuf *out, uint8_t type, size_t length, uint32_t xid)
{
    struct ofp_header *oh = ofpbuf_put_zeros(out, sizeof *oh);

    oh->version = OFP15_VERSION;
    oh->type = type;
    oh->length = htons(length);
    oh->xid = htonl(xid);
}

static void
put_bundle_ctrl(struct ofpbuf *out, uint32_t id, uint16_t type, uint32_t xid)
{
    struct ofp14_bundle_ctrl_msg m = {
        .bundle_id = htonl(id),
        .type = htons(type),
        .flags = htons(OFPBF_ATOMIC | OFPBF_ORDERED),
    };

    put_header(out, TYPE_BUNDLE_CTRL,
               sizeof(struct ofp_header) + sizeof m, xid);
    ofpbuf_put(out, &m, sizeof m);
}

/* Everything for the wire: bundles of at most 'max' flows.  The last message is
 * the last commit.  Returns the number of bundles. */
static uint32_t
put_bundles(struct ofpbuf *out, const struct ofpbuf *flow_mods, size_t max,
            uint32_t *xid, size_t *n)
{
    struct ofp_header *fm;
    uint32_t id = 0;
    size_t ofs = 0;

    for (*n = 0; (fm = next_flow_mod(flow_mods, &ofs)); ++*n) {
        size_t len = ntohs(fm->length);

        if (*n % max == 0) {
            if (id) {
                put_bundle_ctrl(out, id, OFPBCT_COMMIT_REQUEST, (*xid)++);
            }
            put_bundle_ctrl(out, ++id, OFPBCT_OPEN_REQUEST, (*xid)++);
        }

        struct ofp14_bundle_ctrl_msg m = {
            .bundle_id = htonl(id),
            .flags = htons(OFPBF_ATOMIC | OFPBF_ORDERED),
        };
        put_header(out, TYPE_BUNDLE_ADD,
                   sizeof *fm + sizeof m + len, *xid);
        ofpbuf_put(out, &m, sizeof m);
        fm = ofpbuf_put(out, fm, len);
        fm->xid = htonl((*xid)++);
    }
    put_bundle_ctrl(out, id, OFPBCT_COMMIT_REQUEST, (*xid)++);
    return id;
}

static void
run_bundle(const char *path, const char *file, size_t max)
{
    struct ofpbuf flow_mods, out;
    double start, elapsed;
    uint32_t n_bundles;
    struct conn c;
    size_t n;

    read_file(file, &flow_mods);
    conn_open(&c, path);
    ofpbuf_init(&out, flow_mods.size + flow_mods.size / 4);
    n_bundles = put_bundles(&out, &flow_mods, max, &c.next_xid, &n);

    start = now();
    conn_send(&c, out.data, out.size);
    conn_recv_xid(&c, htonl(c.next_xid - 1));
    elapsed = now() - start;
    printf("s=%.6f n=%"PRIuSIZE" bundles=%"PRIu32"\n", elapsed, n, n_bundles);
    ofpbuf_uninit(&out);
    ofpbuf_uninit(&flow_mods);
    conn_close(&c);
}

/* ---- One at a time. */

static int
compare_doubles(const void *a_, const void *b_)
{
    const double *a = a_;
    const double *b = b_;

    return *a < *b ? -1 : *a > *b;
}

static void
print_latencies(double *v, size_t n)
{
    qsort(v, n, sizeof *v, compare_doubles);
    printf("p50=%.1f p99=%.1f\n", v[n / 2] * 1e6, v[n * 99 / 100] * 1e6);
    free(v);
}

static void
delete_single_table(struct conn *c)
{
    struct ofputil_flow_mod fm = {
        .table_id = SINGLE_TABLE,
        .command = OFPFC_DELETE,
        .buffer_id = UINT32_MAX,
        .out_port = OFPP_ANY,
        .out_group = OFPG_ANY,
    };

    minimatch_init_catchall(&fm.match);
    conn_send_msg(c, ofputil_encode_flow_mod(&fm, OFPUTIL_P_OF15_OXM));
    conn_recv_xid(c, conn_send_msg(c, ofputil_encode_barrier_request(OFP15_VERSION)));
    minimatch_destroy(&fm.match);
}

static void
run_single(const char *path, const char *file, size_t n)
{
    double *latencies = xmalloc(n * sizeof *latencies);
    struct ofpbuf flow_mods, out;
    struct conn c;
    size_t ofs = 0;

    read_file(file, &flow_mods);
    conn_open(&c, path);
    ofpbuf_init(&out, 512);
    for (size_t i = 0; i < n; i++) {
        struct ofp_header *oh = next_flow_mod(&flow_mods, &ofs);
        struct ofp11_flow_mod *fm;
        double start;

        ovs_assert(oh);
        ofpbuf_clear(&out);
        oh = ofpbuf_put(&out, oh, ntohs(oh->length));
        oh->xid = htonl(c.next_xid++);
        fm = (struct ofp11_flow_mod *) (oh + 1);
        fm->table_id = SINGLE_TABLE;
        fm->cookie = htonll(0xbe);      /* Not one of the daemon's. */
        fm->flags = 0;
        put_header(&out, TYPE_BARRIER, sizeof *oh, c.next_xid);

        start = now();
        conn_send(&c, out.data, out.size);
        conn_recv_xid(&c, htonl(c.next_xid++));
        latencies[i] = now() - start;
    }
    print_latencies(latencies, n);
    delete_single_table(&c);
    ofpbuf_uninit(&out);
    ofpbuf_uninit(&flow_mods);
    conn_close(&c);
}

static void
run_fdatasync(const char *dir, size_t n)
{
    double *latencies = xmalloc(n * sizeof *latencies);
    char *name = xasprintf("%s/fdatasync.tmp", dir);
    int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
    uint8_t page[4096];

    if (fd < 0) {
        ovs_fatal(errno, "%s", name);
    }
    /* Room first, as in a write-ahead log that is used again: nothing but the
     * data has to reach the disk. */
    memset(page, 0xff, sizeof page);
    for (size_t i = 0; i < n; i++) {
        if (pwrite(fd, page, sizeof page, i * sizeof page) != sizeof page) {
            ovs_fatal(errno, "%s", name);
        }
    }
    fsync(fd);
    for (size_t i = 0; i < n; i++) {
        double start = now();

        memset(page, i, sizeof page);
        if (pwrite(fd, page, sizeof page, i * sizeof page) != sizeof page
            || fdatasync(fd)) {
            ovs_fatal(errno, "%s", name);
        }
        latencies[i] = now() - start;
    }
    print_latencies(latencies, n);
    close(fd);
    unlink(name);
    free(name);
}

/* ---- Counting. */

static size_t
count_flows(struct conn *c)
{
    ovs_be32 xid = conn_send_msg(c, ofpraw_alloc(OFPRAW_OFPST_TABLE_REQUEST,
                                                 OFP15_VERSION, 0));
    struct ofp_header *oh;
    size_t n = 0;
    bool more;

    do {
        struct ofputil_table_stats stats;
        struct ofputil_table_features features;
        struct ofpbuf msg;

        oh = conn_recv_xid(c, xid);
        more = ofpmp_more(oh);
        ofpbuf_use_const(&msg, oh, ntohs(oh->length));
        while (!ofputil_decode_table_stats_reply(&msg, &stats, &features)) {
            n += stats.active_count;
        }
    } while (more);
    return n;
}

static void
run_count(const char *path)
{
    struct conn c;

    conn_open(&c, path);
    printf("n=%"PRIuSIZE"\n", count_flows(&c));
    conn_close(&c);
}

static void
pause_ms(int ms)
{
    poll(NULL, 0, ms);
}

/* Waits for the first byte.  A switch that has just started may accept and close
 * again before its bridge stands; then closes 'c'. */
static bool
conn_is_alive(struct conn *c)
{
    uint8_t byte;

    if (recv(c->fd, &byte, 1, MSG_PEEK) > 0) {
        return true;
    }
    conn_close(c);
    return false;
}

static void
run_hello(const char *path, size_t n)
{
    double start;
    struct conn c;

    while (!conn_try(&c, path) || !conn_is_alive(&c)) {
        pause_ms(1);
    }
    conn_recv(&c);
    start = now();
    while (count_flows(&c) < n) {
        pause_ms(5);            /* The question costs the switch 50 us. */
    }
    printf("s=%.6f\n", now() - start);
    conn_close(&c);
}

int
main(int argc, char *argv[])
{
    const char *verb = argc > 2 ? argv[1] : "";
    const char *where = argc > 2 ? argv[2] : "";
    const char *file = argc > 3 ? argv[3] : NULL;
    size_t n = argc > 4 ? strtoul(argv[4], NULL, 10) : 0;

    set_program_name(argv[0]);
    if (!strcmp(verb, "dump")) {
        run_dump(where, file);
    } else if (!strcmp(verb, "bundle") && n) {
        run_bundle(where, file, n);
    } else if (!strcmp(verb, "single") && n) {
        run_single(where, file, n);
    } else if (!strcmp(verb, "fdatasync") && file) {
        run_fdatasync(where, strtoul(file, NULL, 10));
    } else if (!strcmp(verb, "count")) {
        run_count(where);
    } else if (!strcmp(verb, "hello") && file) {
        run_hello(where, strtoul(file, NULL, 10));
    } else {
        ovs_fatal(0, "usage: see the top of tests/bench/raw.c");
    }
    return 0;
}
