/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "engine/internal.h"

#include "flows/decode.h"
#include "flows/pipeline.h"
#include "openflow/openflow.h"
#include "openvswitch/ofp-actions.h"
#include "openvswitch/ofp-bundle.h"
#include "openvswitch/ofp-errors.h"
#include "openvswitch/ofp-print.h"
#include "timeval.h"
#include "util.h"

/* The switch forgets a bundle after 10 s without a message for it. */
#define KEEPALIVE_MS 3000

/* Bytes that are written together, at least. */
#define FLUSH_BYTES (32 * 1024)

/* In 'refs': a message that changes something else than flows. */
#define NOT_A_FLOW UINT32_MAX

void
otd_stage_init(struct otd_stage *stage, struct otd_session *session)
{
    memset(stage, 0, sizeof *stage);
    stage->session = session;
    stage->seqno = otd_session_seqno(session);
    stage->flush_at = FLUSH_BYTES;
    ofpbuf_init(&stage->plain, 0);
    ovs_list_init(&stage->refusals);
}

static void
send_bundle_ctrl(struct otd_stage *stage, uint32_t id, enum otd_bundle_verb verb,
                 ovs_be32 xid)
{
    struct ofpbuf *out = otd_session_output(stage->session);

    if (out) {
        otd_msg_bundle_ctrl(out, xid, id, verb);
    }
}

void
otd_stage_destroy(struct otd_stage *stage)
{
    struct otd_refusal *r;

    for (size_t i = 0; i < stage->n_bundles; i++) {
        if (i >= stage->n_committed && !otd_stage_lost(stage)) {
            send_bundle_ctrl(stage, stage->bundles[i].id, OTD_BUNDLE_DISCARD,
                             otd_session_next_xid(stage->session));
        }
        ofpbuf_uninit(&stage->bundles[i].keepalive);
    }
    free(stage->bundles);
    free(stage->refs);
    ofpbuf_uninit(&stage->plain);
    free(stage->error);
    LIST_FOR_EACH_POP (r, node, &stage->refusals) {
        free(r->text);
        free(r);
    }
}

bool
otd_stage_lost(const struct otd_stage *stage)
{
    return stage->seqno != otd_session_seqno(stage->session);
}

/* Remembers that message 'xid' is for tunnel 'key' (0: none). */
static void
note_ref(struct otd_stage *stage, ovs_be32 xid, uint32_t key)
{
    uint32_t x = ntohl(xid);

    if (!stage->n_refs) {
        stage->first_xid = x;
    }
    while (stage->n_refs <= x - stage->first_xid) {
        if (stage->n_refs >= stage->allocated_refs) {
            stage->refs = x2nrealloc(stage->refs, &stage->allocated_refs,
                                     sizeof *stage->refs);
        }
        stage->refs[stage->n_refs++] = 0;
    }
    stage->refs[x - stage->first_xid] = key;
}

static struct otd_bundle *
current_bundle(struct otd_stage *stage)
{
    struct otd_bundle *b;

    if (stage->n_bundles > stage->n_committed
        && stage->bundles[stage->n_bundles - 1].n < OTD_BUNDLE_MAX) {
        return &stage->bundles[stage->n_bundles - 1];
    }
    if (stage->n_bundles >= stage->allocated_bundles) {
        stage->bundles = x2nrealloc(stage->bundles, &stage->allocated_bundles,
                                    sizeof *stage->bundles);
    }
    b = &stage->bundles[stage->n_bundles++];
    /* Never one that this connection has had before. */
    b->id = ntohl(otd_session_next_xid(stage->session));
    b->n = 0;
    b->used_at = time_msec();
    ofpbuf_init(&b->keepalive, 0);

    ovs_be32 xid = otd_session_next_xid(stage->session);
    note_ref(stage, xid, 0);
    send_bundle_ctrl(stage, b->id, OTD_BUNDLE_OPEN, xid);
    return b;
}

static void
bundle_message(struct otd_stage *stage, const struct ofp_header *oh)
{
    struct otd_bundle *b = current_bundle(stage);
    struct ofputil_bundle_add_msg bam = {
        .bundle_id = b->id,
        .flags = OFPBF_ORDERED | OFPBF_ATOMIC,
        .msg = oh,
    };

    otd_session_send(stage->session,
                     ofputil_encode_bundle_add(OFP15_VERSION, &bam));
    b->n++;
}

/* More than a barrier's worth: what was held back goes into a bundle. */
static void
become_bundled(struct otd_stage *stage)
{
    size_t ofs = 0;

    stage->bundled = true;
    while (ofs < stage->plain.size) {
        const struct ofp_header *oh = ofpbuf_at_assert(&stage->plain, ofs,
                                                       sizeof *oh);
        bundle_message(stage, oh);
        ofs += ntohs(oh->length);
    }
    ofpbuf_clear(&stage->plain);
}

/* Exactly one of 'flow' and 'bytes' is given; bytes are always added. */
static void
stage_bundled(struct otd_stage *stage, ovs_be32 xid, enum otd_flow_verb verb,
              const struct otd_flow *flow, const struct otd_flow_bytes *bytes)
{
    struct otd_bundle *b = current_bundle(stage);
    struct ofpbuf *out = otd_session_output(stage->session);

    if (out) {
        size_t start = out->size;

        if (bytes) {
            otd_msg_add_bytes(out, xid, b->id, bytes);
        } else {
            otd_msg_bundle_flow_mod(out, xid, b->id, verb, flow);
        }
        b->n++;
        ofpbuf_clear(&b->keepalive);
        ofpbuf_put(&b->keepalive, (char *) out->data + start,
                   out->size - start);
        if (b->n == OTD_BUNDLE_MAX) {
            b->used_at = time_msec();
        }
    }
}

/* Writes every so often, not only at the end of a turn of the main loop: the switch
 * empties a socket's buffer in less time than a turn takes, and would wait. */
static void
keep_busy(struct otd_stage *stage)
{
    size_t backlog = otd_session_backlog(stage->session);

    if (backlog >= stage->flush_at) {
        otd_session_flush(stage->session);
        stage->flush_at = otd_session_backlog(stage->session) + FLUSH_BYTES;
    } else if (backlog + FLUSH_BYTES < stage->flush_at) {
        stage->flush_at = backlog + FLUSH_BYTES;
    }
}

static void
stage_one(struct otd_stage *stage, enum otd_flow_verb verb,
          const struct otd_flow *flow, const struct otd_flow_bytes *bytes,
          uint32_t key)
{
    ovs_be32 xid;

    if (!stage->bundled && !stage->loose
        && (stage->n >= OTD_PLAIN_MAX
            || (verb == OTD_FLOW_DELETE_STRICT ? stage->has_add
                : stage->has_delete))) {
        /* A mix must be atomic: a packet must find the old rule or the new. */
        become_bundled(stage);
    }
    if (verb == OTD_FLOW_DELETE_STRICT) {
        stage->has_delete = true;
    } else {
        stage->has_add = true;
    }

    if (stage->bundled) {
        current_bundle(stage);  /* May take an xid of its own. */
        xid = otd_session_next_xid(stage->session);
        stage_bundled(stage, xid, verb, flow, bytes);
    } else {
        struct ofpbuf *out = &stage->plain;

        xid = otd_session_next_xid(stage->session);
        if (stage->loose) {
            out = otd_session_output(stage->session);
        }
        if (out && bytes) {
            otd_msg_add_bytes(out, xid, 0, bytes);
        } else if (out) {
            otd_msg_flow_mod(out, xid, verb, flow);
        }
    }
    note_ref(stage, xid, key);
    stage->n++;
    keep_busy(stage);
}

void
otd_stage_flow(struct otd_stage *stage, enum otd_flow_verb verb,
               const struct otd_flow *flow, uint32_t key)
{
    stage_one(stage, verb, flow, NULL, key);
}

void
otd_stage_add_bytes(struct otd_stage *stage,
                    const struct otd_flow_bytes_set *set, uint32_t key)
{
    for (size_t i = 0; i < set->n; i++) {
        stage_one(stage, OTD_FLOW_ADD, NULL, &set->flows[i], key);
    }
}

void
otd_stage_message(struct otd_stage *stage, struct ofpbuf *msg, ovs_be32 xid)
{
    note_ref(stage, xid, NOT_A_FLOW);
    otd_session_send(stage->session, msg);
}

/* Adds the last message of each bundle again, which changes nothing. */
void
otd_stage_keepalive(struct otd_stage *stage)
{
    long long int now = time_msec();

    for (size_t i = stage->n_committed; i < stage->n_bundles; i++) {
        struct otd_bundle *b = &stage->bundles[i];

        if (b->keepalive.size && now - b->used_at > KEEPALIVE_MS) {
            otd_session_send_bytes(stage->session, b->keepalive.data,
                                   b->keepalive.size);
            b->used_at = now;
        }
    }
}

static void
send_barrier(struct otd_stage *stage)
{
    struct ofpbuf *out = otd_session_output(stage->session);

    stage->barrier = otd_session_next_xid(stage->session);
    note_ref(stage, stage->barrier, 0);
    if (out) {
        otd_msg_barrier(out, stage->barrier);
        otd_session_flush(stage->session);
    }
}

void
otd_stage_check(struct otd_stage *stage)
{
    if (stage->bundled) {
        send_barrier(stage);
    }
}

/* One commit at a time, so that the switch's other clients have their turn. */
static void
commit_next(struct otd_stage *stage)
{
    ovs_be32 xid = otd_session_next_xid(stage->session);

    note_ref(stage, xid, 0);
    send_bundle_ctrl(stage, stage->bundles[stage->n_committed].id,
                     OTD_BUNDLE_COMMIT, xid);
    ofpbuf_clear(&stage->bundles[stage->n_committed].keepalive);
    stage->n_committed++;
    send_barrier(stage);
}

void
otd_stage_commit(struct otd_stage *stage)
{
    if (stage->bundled) {
        commit_next(stage);
    } else if (stage->plain.size) {
        otd_session_send_bytes(stage->session, stage->plain.data,
                               stage->plain.size);
        ofpbuf_clear(&stage->plain);
        send_barrier(stage);
    } else if (stage->loose && stage->n) {
        send_barrier(stage);
    }
}

bool
otd_stage_ready(const struct otd_stage *stage)
{
    return !stage->barrier;
}

static void
note_error(struct otd_stage *stage, const struct ofpbuf *msg, uint32_t key)
{
    char *details = ofp_to_string(msg->data, msg->size, NULL, NULL, 1);
    char *text = xasprintf("the switch refused it (%s): %s",
                           otd_msg_error_name(msg), details);

    free(details);
    stage->failed = true;
    if (key) {
        struct otd_refusal *r = xmalloc(sizeof *r);

        r->key = key;
        r->text = text;
        ovs_list_push_back(&stage->refusals, &r->node);
    } else if (!stage->error && ovs_list_is_empty(&stage->refusals)) {
        /* A refused flow is followed by the refusal of its bundle. */
        stage->error = text;
    } else {
        free(text);
    }
}

bool
otd_stage_receive(struct otd_stage *stage, const struct ofpbuf *msg)
{
    enum otd_msg_type type = otd_msg_type(msg);
    ovs_be32 xid = otd_msg_xid(msg);
    uint32_t place = ntohl(xid) - stage->first_xid;

    if (!stage->n_refs || place >= stage->n_refs) {
        return false;
    }
    if (type == OTD_MSG_BARRIER_REPLY) {
        if (xid == stage->barrier) {
            stage->barrier = 0;
            if (stage->n_committed && stage->n_committed < stage->n_bundles
                && !stage->failed) {
                commit_next(stage);
            }
        }
        return true;
    } else if (type == OTD_MSG_ERROR) {
        if (stage->refs[place] == NOT_A_FLOW) {
            stage->message_refused = true;
            note_error(stage, msg, 0);
        } else {
            note_error(stage, msg, stage->refs[place]);
        }
        return true;
    }
    return type == OTD_MSG_BUNDLE_REPLY;
}

/* ---- Differences. */

const struct otd_flow *
otd_flows_find_rule(const struct otd_flows *flows,
                    const struct otd_flow *f)
{
    for (size_t i = 0; i < flows->n; i++) {
        const struct otd_flow *g = &flows->flows[i];

        if (otd_flow_same_rule(g, f->table_id, f->priority, &f->match)) {
            return g;
        }
    }
    return NULL;
}

void
otd_stage_difference(struct otd_stage *stage, const struct otd_flows *old,
                     const struct otd_flows *new, uint32_t key)
{
    for (size_t i = 0; i < old->n; i++) {
        if (!otd_flows_find_rule(new, &old->flows[i])) {
            otd_stage_flow(stage, OTD_FLOW_DELETE_STRICT, &old->flows[i], key);
        }
    }
    for (size_t i = 0; i < new->n; i++) {
        const struct otd_flow *f = &new->flows[i];
        const struct otd_flow *g = otd_flows_find_rule(old, f);

        if (!g || g->cookie != f->cookie
            || !otd_ofpacts_equal(g->ofpacts.data, g->ofpacts.size,
                                  f->ofpacts.data, f->ofpacts.size)) {
            otd_stage_flow(stage, OTD_FLOW_ADD, f, key);
        }
    }
}
