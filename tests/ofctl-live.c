/* SPDX-License-Identifier: Apache-2.0 */
/* Drives ofctl/ against a real Open vSwitch, one command a line on stdin; each
 * answer ends with a line "." (tests/ofctl-live.sh knows the commands).
 *
 *   state                     the database, the session, the bridge, our port
 *   wait SECONDS WHAT         db-up, db-down, session-up, session-down,
 *                             bridge, no-bridge, port-STATE, port4-STATE,
 *                             port6-STATE, removed N
 *   want yes|no               the Geneve port; want4, want6: of one family
 *   add FLOW | delete FLOW    one flow_mod and a barrier, as ovs-ofctl
 *   verify FLOW               add it, dump it, compare, delete it
 *   bundle N | discard N      N flows in one bundle
 *   delete-cookie C M         all flows with (cookie & M) == C
 *   dump [C M]                the flows, sorted, as ovs-ofctl --no-stats
 *   counters                  cookie, packets, bytes; both decoders must agree
 *   removed                   the FLOW_REMOVED messages since the last time
 *   tlv | tlv-add C T L I | tlv-del C T L I
 *   ofport NAME | name NUMBER | tunnel NAME
 *   appctl TARGET METHOD [ARG]
 *   cleanup                   until it is confirmed
 *   seqno                     of the database and of the session */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "flows/flow.h"
#include "ofctl/appctl-client.h"
#include "ofctl/messages.h"
#include "ofctl/ovsdb.h"
#include "ofctl/session.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/ofp-actions.h"
#include "openvswitch/ofp-flow.h"
#include "openvswitch/ofp-port.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/vlog.h"
#include "byte-order.h"
#include "fatal-signal.h"
#include "flow.h"
#include "sset.h"
#include "timeval.h"
#include "util.h"

#define TIMEOUT_MS 20000

struct live {
    struct otd_ovsdb *db;
    struct otd_session *session;
    struct ds removed;          /* One line each. */
    int n_removed;
};

/* ---- Turning the crank. */

static void
note_removed(struct live *live, const struct ofpbuf *msg)
{
    struct otd_flow_report report;

    if (otd_msg_flow_removed(msg->data, &report)) {
        ds_put_format(&live->removed, "removed cookie=%#"PRIx64" table=%d "
                      "n_packets=%"PRIu64" n_bytes=%"PRIu64" ",
                      report.cookie, report.table_id, report.packets,
                      report.bytes);
        match_format(&report.match, NULL, &live->removed, report.priority);
        ds_put_char(&live->removed, '\n');
        live->n_removed++;
    }
}

static void
turn(struct live *live)
{
    otd_ovsdb_run(live->db);
    otd_session_set_target(live->session, otd_ovsdb_mgmt_path(live->db));
    otd_session_run(live->session);
}

/* The next message that is an answer, or NULL for now. */
static struct ofpbuf *
receive(struct live *live)
{
    struct ofpbuf *msg;

    while ((msg = otd_session_recv(live->session)) != NULL) {
        if (otd_msg_type(msg) != OTD_MSG_FLOW_REMOVED) {
            return msg;
        }
        note_removed(live, msg);
        ofpbuf_delete(msg);
    }
    return NULL;
}

static void
block(struct live *live, long long int deadline)
{
    otd_ovsdb_wait(live->db);
    otd_session_wait(live->session);
    poll_timer_wait_until(deadline);
    poll_block();
}

/* Waits for the answer to 'xid'; prints errors of other messages on the way.
 * Returns NULL, having said why, if none comes. */
static struct ofpbuf *
await(struct live *live, ovs_be32 xid)
{
    long long int deadline = time_msec() + TIMEOUT_MS;
    unsigned int seqno = otd_session_seqno(live->session);

    while (time_msec() < deadline) {
        turn(live);
        struct ofpbuf *msg;
        while ((msg = receive(live)) != NULL) {
            if (otd_msg_type(msg) == OTD_MSG_ERROR) {
                printf("error %s\n", otd_msg_error_name(msg));
            }
            if (otd_msg_xid(msg) == xid) {
                return msg;
            }
            ofpbuf_delete(msg);
        }
        if (otd_session_seqno(live->session) != seqno
            || !otd_session_is_up(live->session)) {
            printf("the session went down: %s\n",
                   otd_session_why_down(live->session));
            return NULL;
        }
        block(live, deadline);
    }
    printf("no answer\n");
    return NULL;
}

static void
barrier(struct live *live)
{
    ovs_be32 xid = otd_session_next_xid(live->session);

    otd_msg_barrier(otd_session_output(live->session), xid);
    ofpbuf_delete(await(live, xid));
}

/* ---- Flows. */

static bool
parse_flow(const char *s, int command, struct otd_flows *flows)
{
    enum ofputil_protocol usable = 0;
    struct ofputil_flow_mod fm;
    char *error = parse_ofp_str(&fm, command, s, NULL, NULL, &usable);

    if (error) {
        printf("bad flow: %s\n", error);
        free(error);
        return false;
    }

    struct otd_flow *flow = otd_flows_add(flows);
    flow->table_id = fm.table_id == 255 ? 0 : fm.table_id;
    flow->priority = fm.priority;
    flow->cookie = ntohll(command == OFPFC_ADD ? fm.new_cookie : fm.cookie);
    flow->send_flow_rem = (fm.flags & OFPUTIL_FF_SEND_FLOW_REM) != 0;
    minimatch_expand(&fm.match, &flow->match);
    ofpbuf_put(&flow->ofpacts, fm.ofpacts, fm.ofpacts_len);
    free(fm.ofpacts);
    minimatch_destroy(&fm.match);
    return true;
}

static void
flow_mod(struct live *live, const struct otd_flow *flow,
         enum otd_flow_verb verb)
{
    otd_msg_flow_mod(otd_session_output(live->session),
                     otd_session_next_xid(live->session), verb, flow);
    barrier(live);
}

typedef void dump_cb(const struct otd_flow_report *, void *aux);

static void
dump(struct live *live, uint64_t cookie, uint64_t mask, dump_cb *cb, void *aux)
{
    ovs_be32 xid = otd_session_next_xid(live->session);
    struct ofpbuf ofpacts;
    bool more = true;

    ofpbuf_init(&ofpacts, 0);
    otd_msg_flow_dump(otd_session_output(live->session), xid, cookie, mask);
    while (more) {
        struct ofpbuf *msg = await(live, xid);
        struct otd_flow_report report;
        int retval;

        if (!msg) {
            break;
        }
        while (!(retval = otd_msg_flow_dump_next(msg, &report, &ofpacts,
                                                 &more))) {
            cb(&report, aux);
        }
        ofpbuf_delete(msg);
        if (retval != EOF) {
            printf("dump: %s\n", ofperr_to_string(retval));
            break;
        }
    }
    ofpbuf_uninit(&ofpacts);
}

static void
dump_to_sset(const struct otd_flow_report *report, void *lines)
{
    struct ds s = DS_EMPTY_INITIALIZER;

    otd_flow_report_format(report, &s);
    sset_add(lines, ds_cstr(&s));
    ds_destroy(&s);
}

static void
print_sorted(struct sset *lines)
{
    const char **sorted = sset_sort(lines);

    for (size_t i = 0; sorted[i]; i++) {
        puts(sorted[i]);
    }
    free(sorted);
    sset_destroy(lines);
}

struct verify {
    const struct otd_flow *flow;
    int n, n_rule, n_all;
};

static void
verify_cb(const struct otd_flow_report *report, void *verify_)
{
    struct verify *v = verify_;

    v->n++;
    if (otd_flow_same_rule(v->flow, report->table_id, report->priority,
                           &report->match)) {
        v->n_rule++;
        if (otd_ofpacts_equal(v->flow->ofpacts.data, v->flow->ofpacts.size,
                              report->ofpacts, report->ofpacts_len)
            && report->cookie == v->flow->cookie
            && report->send_flow_rem == v->flow->send_flow_rem) {
            v->n_all++;
        }
    }
}

static void
verify(struct live *live, const struct otd_flow *flow)
{
    struct verify v = { .flow = flow };

    flow_mod(live, flow, OTD_FLOW_ADD);
    dump(live, flow->cookie, UINT64_MAX, verify_cb, &v);
    printf("%s\n", v.n == 1 && v.n_all == 1 ? "equal"
           : v.n_rule ? "same rule, other actions"
           : v.n ? "another match" : "not there");
    if (v.n_all != 1) {
        struct sset lines = SSET_INITIALIZER(&lines);

        dump(live, flow->cookie, UINT64_MAX, dump_to_sset, &lines);
        print_sorted(&lines);
    }
    flow_mod(live, flow, OTD_FLOW_DELETE_STRICT);
}

static void
bundle(struct live *live, int n, bool commit)
{
    uint32_t id = ntohl(otd_session_next_xid(live->session));
    struct otd_flows flows = OTD_FLOWS_INITIALIZER;
    ovs_be32 xid;

    parse_flow("table=0,cookie=0x1,ip,actions=set_field:1->tun_id,"
               "resubmit(,64)", OFPFC_ADD, &flows);
    long long int start = time_msec();
    otd_msg_bundle_ctrl(otd_session_output(live->session),
                        otd_session_next_xid(live->session), id,
                        OTD_BUNDLE_OPEN);
    for (int i = 0; i < n; i++) {
        struct otd_flow *flow = &flows.flows[0];

        flow->cookie = 0x746e000000000000 + i;
        match_set_nw_dst(&flow->match, htonl(0x0a000000 + i));
        otd_msg_bundle_flow_mod(otd_session_output(live->session),
                                otd_session_next_xid(live->session), id,
                                OTD_FLOW_ADD, flow);
    }
    barrier(live);
    xid = otd_session_next_xid(live->session);
    otd_msg_bundle_ctrl(otd_session_output(live->session), xid, id,
                        commit ? OTD_BUNDLE_COMMIT : OTD_BUNDLE_DISCARD);
    struct ofpbuf *msg = await(live, xid);
    printf("%s\n", msg && otd_msg_type(msg) == OTD_MSG_BUNDLE_REPLY
           ? "answered" : "not answered");
    ofpbuf_delete(msg);
    fprintf(stderr, "bundle of %d: %lld ms\n", n, time_msec() - start);
    otd_flows_destroy(&flows);
}

static void
counters(struct live *live)
{
    ovs_be32 xid = otd_session_next_xid(live->session);
    struct sset lines = SSET_INITIALIZER(&lines);
    struct ofpbuf ofpacts;
    bool more = true;

    ofpbuf_init(&ofpacts, 0);
    otd_msg_flow_dump(otd_session_output(live->session), xid, 0, 0);
    while (more) {
        struct ofpbuf *msg = await(live, xid);
        if (!msg) {
            break;
        }

        struct ofpbuf *copy = ofpbuf_clone(msg);
        uint64_t cookie, packets, bytes;
        uint8_t table_id;
        while (!otd_msg_flow_dump_next_counters(msg, &cookie, &table_id,
                                                &packets, &bytes, &more)) {
            struct otd_flow_report r;
            char *line = xasprintf("cookie=%#"PRIx64" table=%d n_packets=%"
                                   PRIu64" n_bytes=%"PRIu64, cookie, table_id,
                                   packets, bytes);

            sset_add_and_free(&lines, line);
            if (otd_msg_flow_dump_next(copy, &r, &ofpacts, NULL)
                || r.cookie != cookie || r.table_id != table_id
                || r.packets != packets || r.bytes != bytes) {
                printf("the decoders disagree\n");
            }
        }
        ofpbuf_delete(copy);
        ofpbuf_delete(msg);
    }
    print_sorted(&lines);
    ofpbuf_uninit(&ofpacts);
}

static void
tlv(struct live *live)
{
    ovs_be32 xid = otd_session_next_xid(live->session);
    struct otd_tlv_table table;

    otd_msg_tlv_request(otd_session_output(live->session), xid);
    struct ofpbuf *msg = await(live, xid);
    if (msg && !otd_msg_tlv_reply(msg->data, &table)) {
        printf("space %"PRIu32" fields %d\n", table.max_space,
               table.max_fields);
        for (size_t i = 0; i < table.n; i++) {
            const struct otd_tlv_entry *e = &table.entries[i];

            printf("class=%#x type=%#x len=%d index=%d\n", e->opt_class,
                   e->type, e->len, e->index);
        }
    }
    ofpbuf_delete(msg);
}

/* ---- State. */

static const char *
port_state_name(enum otd_port_state state)
{
    switch (state) {
    case OTD_PORT_ABSENT:
        return "port-absent";
    case OTD_PORT_PENDING:
        return "port-pending";
    case OTD_PORT_READY:
        return "port-ready";
    case OTD_PORT_FAILED:
        return "port-failed";
    }
    OVS_NOT_REACHED();
}

static void
print_state(struct live *live)
{
    struct otd_port_status port = otd_ovsdb_port_status(live->db,
                                                        OTD_PORT_GENEVE);
    const char *db_why = otd_ovsdb_why_down(live->db);
    const char *session_why = otd_session_why_down(live->session);

    printf("database: %s\n", db_why ? db_why : "up");
    printf("session: %s\n", session_why ? session_why : "up");
    printf("bridge: %s\n", otd_ovsdb_bridge_description(live->db));
    printf("port: %s%s%s%s%s\n", port_state_name(port.state),
           port.error ? ": " : "", port.error ? port.error : "",
           port.warning ? "; " : "", port.warning ? port.warning : "");
    printf("settings: %s\n", otd_ovsdb_settings(live->db)->complaints);
}

/* "", "4" or "6" behind the word. */
static enum otd_port_kind
port_kind(char suffix)
{
    return (suffix == '4' ? OTD_PORT_GENEVE_IPV4
            : suffix == '6' ? OTD_PORT_GENEVE_IPV6 : OTD_PORT_GENEVE);
}

static bool
is_port_state(struct live *live, enum otd_port_kind kind, const char *state)
{
    struct otd_port_status port = otd_ovsdb_port_status(live->db, kind);

    return !strcmp(state, port_state_name(port.state) + strlen("port"));
}

static bool
is_state(struct live *live, const char *what)
{
    int n;

    if (!strcmp(what, "db-up") || !strcmp(what, "db-down")) {
        return otd_ovsdb_is_up(live->db) == !strcmp(what, "db-up");
    } else if (!strcmp(what, "session-up") || !strcmp(what, "session-down")) {
        return (otd_session_is_up(live->session)
                == !strcmp(what, "session-up"));
    } else if (!strcmp(what, "bridge") || !strcmp(what, "no-bridge")) {
        return ((otd_ovsdb_mgmt_path(live->db) != NULL)
                == !strcmp(what, "bridge"));
    } else if (!strncmp(what, "port", 4)) {
        return is_port_state(live, port_kind(what[4]), strchr(what, '-'));
    } else if (ovs_scan(what, "removed %d", &n)) {
        return live->n_removed >= n;
    }
    ovs_fatal(0, "wait for what? %s", what);
}

static void
wait_for(struct live *live, int seconds, const char *what)
{
    long long int deadline = time_msec() + seconds * 1000;

    for (;;) {
        turn(live);
        ofpbuf_delete(receive(live));
        if (is_state(live, what)) {
            printf("%s\n", what);
            return;
        } else if (time_msec() >= deadline) {
            printf("no %s:\n", what);
            print_state(live);
            return;
        }
        block(live, deadline);
    }
}

static void
cleanup(struct live *live)
{
    long long int deadline = time_msec() + TIMEOUT_MS;

    while (!otd_ovsdb_cleanup_run(live->db)) {
        if (time_msec() >= deadline) {
            printf("cleanup is not confirmed\n");
            return;
        }
        otd_ovsdb_wait(live->db);
        poll_timer_wait_until(deadline);
        poll_block();
    }
    printf("clean\n");
}

static void
appctl(struct live *live, const char *rest)
{
    char target[256], method[64];
    int n = 0;

    if (!ovs_scan(rest, "%255s %63s%n", target, method, &n)) {
        ovs_fatal(0, "appctl TARGET METHOD [ARG]");
    }
    const char *arg = rest + n + strspn(rest + n, " ");
    struct otd_appctl *call = otd_appctl_call(target, method, &arg, *arg != 0,
                                              5000);
    for (;;) {
        otd_appctl_run(call);
        if (otd_appctl_is_done(call)) {
            break;
        }
        turn(live);
        otd_appctl_wait(call);
        block(live, time_msec() + 5000);
    }
    printf("%s: %s\n", otd_appctl_result(call) ? "result" : "error",
           otd_appctl_result(call) ? otd_appctl_result(call)
           : otd_appctl_error(call));
    otd_appctl_destroy(call);
}

/* ---- Commands. */

static void
flow_command(struct live *live, const char *verb, const char *text)
{
    struct otd_flows flows = OTD_FLOWS_INITIALIZER;
    bool delete = !strcmp(verb, "delete");

    /* A deletion is written like the flow itself. */
    if (parse_flow(text, OFPFC_ADD, &flows)) {
        if (!strcmp(verb, "verify")) {
            verify(live, &flows.flows[0]);
        } else {
            flow_mod(live, &flows.flows[0],
                     delete ? OTD_FLOW_DELETE_STRICT : OTD_FLOW_ADD);
        }
    }
    otd_flows_destroy(&flows);
}

static bool
switch_command(struct live *live, const char *verb, const char *rest)
{
    uint64_t cookie = 0, mask = 0;
    struct otd_tlv_entry e;

    if (!strcmp(verb, "add") || !strcmp(verb, "delete")
        || !strcmp(verb, "verify")) {
        flow_command(live, verb, rest);
    } else if (!strcmp(verb, "bundle") || !strcmp(verb, "discard")) {
        bundle(live, atoi(rest), !strcmp(verb, "bundle"));
    } else if (!strcmp(verb, "delete-cookie")) {
        ovs_scan(rest, "%"SCNi64" %"SCNi64, &cookie, &mask);
        otd_msg_delete_by_cookie(otd_session_output(live->session),
                                 otd_session_next_xid(live->session),
                                 cookie, mask);
        barrier(live);
    } else if (!strcmp(verb, "dump")) {
        struct sset lines = SSET_INITIALIZER(&lines);

        ovs_scan(rest, "%"SCNi64" %"SCNi64, &cookie, &mask);
        dump(live, cookie, mask, dump_to_sset, &lines);
        print_sorted(&lines);
    } else if (!strcmp(verb, "counters")) {
        counters(live);
    } else if (!strcmp(verb, "tlv")) {
        tlv(live);
    } else if (!strcmp(verb, "tlv-add") || !strcmp(verb, "tlv-del")) {
        ovs_scan(rest, "%"SCNi16" %"SCNi8" %"SCNi8" %"SCNi16,
                 &e.opt_class, &e.type, &e.len, &e.index);
        otd_msg_tlv_mod(otd_session_output(live->session),
                        otd_session_next_xid(live->session),
                        !strcmp(verb, "tlv-add"), &e, 1);
        barrier(live);
    } else {
        return false;
    }
    return true;
}

static bool
local_command(struct live *live, const char *verb, char *rest)
{
    int n = 0;

    if (!strcmp(verb, "state")) {
        print_state(live);
    } else if (!strcmp(verb, "wait")) {
        int seconds = strtol(rest, &rest, 10);

        wait_for(live, seconds, rest + strspn(rest, " "));
    } else if (!strncmp(verb, "want", 4)) {
        otd_ovsdb_want_port(live->db, port_kind(verb[4]),
                            !strcmp(rest, "yes"));
    } else if (!strcmp(verb, "removed")) {
        fputs(ds_cstr(&live->removed), stdout);
        ds_clear(&live->removed);
        live->n_removed = 0;
    } else if (!strcmp(verb, "ofport")) {
        printf("%"PRIu32"\n", otd_ovsdb_ofport(live->db, rest));
    } else if (!strcmp(verb, "name")) {
        ovs_scan(rest, "%d", &n);
        const char *name = otd_ovsdb_port_name(live->db, u16_to_ofp(n));
        printf("%s\n", name ? name : "none");
    } else if (!strcmp(verb, "tunnel")) {
        printf("%s\n", otd_ovsdb_is_tunnel_port(live->db, rest) ? "yes"
               : "no");
    } else if (!strcmp(verb, "appctl")) {
        appctl(live, rest);
    } else if (!strcmp(verb, "cleanup")) {
        cleanup(live);
    } else if (!strcmp(verb, "seqno")) {
        printf("%u %u\n", otd_ovsdb_seqno(live->db),
               otd_session_seqno(live->session));
    } else {
        return false;
    }
    return true;
}

static void
command(struct live *live, char *line)
{
    char *rest = line + strcspn(line, " \n");

    if (*rest) {
        *rest++ = '\0';
        rest[strcspn(rest, "\n")] = '\0';
    }

    turn(live);
    ofpbuf_delete(receive(live));
    if (!local_command(live, line, rest)) {
        if (!otd_session_is_up(live->session)) {
            printf("the session is down: %s\n",
                   otd_session_why_down(live->session));
        } else if (!switch_command(live, line, rest)) {
            ovs_fatal(0, "%s: unknown command", line);
        }
    }
    printf(".\n");
    fflush(stdout);
}

int
main(int argc, char *argv[])
{
    set_program_name(argv[0]);
    if (argc != 2) {
        ovs_fatal(0, "usage: %s DATABASE < COMMANDS", program_name);
    }
    vlog_set_levels(NULL, VLF_CONSOLE, VLL_INFO);
    fatal_ignore_sigpipe();

    struct live live = {
        .db = otd_ovsdb_create(argv[1]),
        .session = otd_session_create("live"),
        .removed = DS_EMPTY_INITIALIZER,
    };
    char line[4096];

    /* Between commands nothing runs: the peers see a client that is asleep. */
    while (fgets(line, sizeof line, stdin)) {
        command(&live, line);
    }
    otd_session_destroy(live.session);
    otd_ovsdb_destroy(live.db);
    ds_destroy(&live.removed);
    return 0;
}
