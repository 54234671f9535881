/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "flows/flow.h"

#include <string.h>

#include "openvswitch/flow.h"
#include "openvswitch/meta-flow.h"
#include "openvswitch/ofp-actions.h"
#include "util.h"

struct otd_flow *
otd_flows_add(struct otd_flows *flows)
{
    if (flows->n >= flows->allocated) {
        size_t old = flows->allocated;

        flows->allocated = old ? 2 * old : OTD_FLOWS_PER_TUNNEL;
        flows->flows = xrealloc(flows->flows,
                                flows->allocated * sizeof *flows->flows);
        for (size_t i = old; i < flows->allocated; i++) {
            ofpbuf_init(&flows->flows[i].ofpacts, 0);
        }
    }

    struct otd_flow *flow = &flows->flows[flows->n++];
    flow->table_id = 0;
    flow->priority = 0;
    flow->cookie = 0;
    flow->send_flow_rem = false;
    match_init_catchall(&flow->match);
    ofpbuf_clear(&flow->ofpacts);
    return flow;
}

void
otd_flow_bytes_set_init(struct otd_flow_bytes_set *set)
{
    set->n = 0;
    for (size_t i = 0; i < ARRAY_SIZE(set->flows); i++) {
        ofpbuf_init(&set->flows[i].match, 0);
        ofpbuf_init(&set->flows[i].actions, 0);
    }
}

void
otd_flow_bytes_set_destroy(struct otd_flow_bytes_set *set)
{
    for (size_t i = 0; i < ARRAY_SIZE(set->flows); i++) {
        ofpbuf_uninit(&set->flows[i].match);
        ofpbuf_uninit(&set->flows[i].actions);
    }
}

void
otd_flows_clear(struct otd_flows *flows)
{
    flows->n = 0;
}

void
otd_flows_destroy(struct otd_flows *flows)
{
    for (size_t i = 0; i < flows->allocated; i++) {
        ofpbuf_uninit(&flows->flows[i].ofpacts);
    }
    free(flows->flows);
    *flows = (struct otd_flows) OTD_FLOWS_INITIALIZER;
}

bool
otd_flow_same_rule(const struct otd_flow *flow, uint8_t table_id,
                   uint16_t priority, const struct match *match)
{
    return (flow->table_id == table_id
            && flow->priority == priority
            && otd_match_equal(&flow->match, match));
}

static bool
flow_equal_but_packet_type(const struct flow *a, const struct flow *b)
{
    const size_t ofs = offsetof(struct flow, packet_type);
    const size_t end = ofs + sizeof a->packet_type;

    return (!memcmp(a, b, ofs)
            && !memcmp((const char *) a + end, (const char *) b + end,
                       sizeof *a - end));
}

bool
otd_match_equal(const struct match *a, const struct match *b)
{
    if (!flow_equal_but_packet_type(&a->flow, &b->flow)
        || !flow_equal_but_packet_type(&a->wc.masks, &b->wc.masks)) {
        return false;
    }
    if (a->wc.masks.packet_type && b->wc.masks.packet_type) {
        return (a->wc.masks.packet_type == b->wc.masks.packet_type
                && a->flow.packet_type == b->flow.packet_type);
    }
    return ((!a->wc.masks.packet_type || match_has_default_packet_type(a))
            && (!b->wc.masks.packet_type || match_has_default_packet_type(b)));
}

static bool
set_field_equal(const struct ofpact_set_field *a,
                const struct ofpact_set_field *b)
{
    return (a->field->id == b->field->id
            && a->field->n_bytes == b->field->n_bytes
            && !memcmp(a->value, b->value, a->field->n_bytes)
            && !memcmp(ofpact_set_field_mask(a), ofpact_set_field_mask(b),
                       a->field->n_bytes));
}

static bool
ofpact_equal(const struct ofpact *a, const struct ofpact *b)
{
    if (a->type != b->type || a->len != b->len) {
        return false;
    }

    /* Most of what the pipeline uses is compared as bytes after the common
     * header, which holds the encoding mark.  What may nest other actions is
     * compared the slow way. */
    switch ((int) a->type) {
    case OFPACT_SET_FIELD:
        return set_field_equal(ofpact_get_SET_FIELD(a),
                               ofpact_get_SET_FIELD(b));

    case OFPACT_DELETE_FIELD:
        return (ofpact_get_DELETE_FIELD(a)->field->id
                == ofpact_get_DELETE_FIELD(b)->field->id);

    case OFPACT_OUTPUT:
        return (ofpact_get_OUTPUT(a)->port == ofpact_get_OUTPUT(b)->port
                && (ofpact_get_OUTPUT(a)->max_len
                    == ofpact_get_OUTPUT(b)->max_len));

    case OFPACT_RESUBMIT: {
        const struct ofpact_resubmit *ra = ofpact_get_RESUBMIT(a);
        const struct ofpact_resubmit *rb = ofpact_get_RESUBMIT(b);

        return (ra->in_port == rb->in_port
                && ra->table_id == rb->table_id
                && ra->with_ct_orig == rb->with_ct_orig);
    }

    case OFPACT_GOTO_TABLE:
        return (ofpact_get_GOTO_TABLE(a)->table_id
                == ofpact_get_GOTO_TABLE(b)->table_id);

    default:
        return ofpacts_equal_stringwise(a, OFPACT_ALIGN(a->len),
                                        b, OFPACT_ALIGN(b->len));
    }
}

bool
otd_ofpacts_equal(const struct ofpact *a, size_t a_len,
                  const struct ofpact *b, size_t b_len)
{
    if (a_len != b_len) {
        return false;
    }

    const struct ofpact *a_end = a_len ? ofpact_end(a, a_len) : a;
    while (a < a_end) {
        if (!ofpact_equal(a, b)) {
            return false;
        }
        /* Equal actions have equal lengths. */
        a = ofpact_next(a);
        b = ofpact_next(b);
    }
    return true;
}
