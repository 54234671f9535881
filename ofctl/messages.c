/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "ofctl/messages.h"

#include <errno.h>
#include <string.h>

#include "openflow/openflow.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/flow.h"
#include "openvswitch/ofp-actions.h"
#include "openvswitch/ofp-bundle.h"
#include "openvswitch/ofp-errors.h"
#include "openvswitch/ofp-flow.h"
#include "openvswitch/ofp-match.h"
#include "openvswitch/ofp-monitor.h"
#include "openvswitch/ofp-msgs.h"
#include "openvswitch/ofp-port.h"
#include "openvswitch/ofp-protocol.h"
#include "openvswitch/ofpbuf.h"
#include "byte-order.h"
#include "nx-match.h"
#include "ofctl/compat.h"
#include "unaligned.h"
#include "util.h"

/* ---- Encoding. */

/* Room that nearly every message of ours fits in.  ofpbuf grows by what is
 * missing and no more, which would reallocate a long output buffer again and
 * again: grow by its own size instead. */
#define MSG_TYPICAL 1024

static size_t
msg_begin(struct ofpbuf *out, enum ofpraw raw, ovs_be32 xid)
{
    if (ofpbuf_tailroom(out) < MSG_TYPICAL) {
        ofpbuf_prealloc_tailroom(out, MAX(out->size, 4 * MSG_TYPICAL));
    }

    size_t start = out->size;
    ofpraw_put_xid(raw, OTD_OFP_VERSION, xid, out);
    return start;
}

static void
msg_end(struct ofpbuf *out, size_t start)
{
    size_t length = out->size - start;
    struct ofp_header *oh = ofpbuf_at_assert(out, start, sizeof *oh);

    /* The compiler bounds matches and actions far below this. */
    ovs_assert(length <= UINT16_MAX);
    oh->length = htons(length);
}

/* Appends what a library encoder made and frees it. */
static void
msg_append(struct ofpbuf *out, ovs_be32 xid, struct ofpbuf *msg)
{
    ofpmsg_update_length(msg);
    ((struct ofp_header *) msg->data)->xid = xid;
    ofpbuf_put(out, msg->data, msg->size);
    ofpbuf_delete(msg);
}

/* ofputil_encode_flow_mod() allocates a message, expands a minimatch and is
 * copied afterwards; a load of a million flows notices.  This writes in
 * place. */
void
otd_msg_flow_mod(struct ofpbuf *out, ovs_be32 xid, enum otd_flow_verb verb,
                 const struct otd_flow *flow)
{
    size_t start = msg_begin(out, OFPRAW_OFPT11_FLOW_MOD, xid);
    struct ofp11_flow_mod *ofm = ofpbuf_put_zeros(out, sizeof *ofm);

    ofm->cookie = htonll(flow->cookie);
    ofm->table_id = flow->table_id;
    ofm->priority = htons(flow->priority);
    ofm->buffer_id = htonl(UINT32_MAX);
    ofm->out_port = ofputil_port_to_ofp11(OFPP_ANY);
    ofm->out_group = htonl(OFPG_ANY);

    switch (verb) {
    case OTD_FLOW_ADD:
        ofm->command = OFPFC_ADD;
        ofm->flags = htons(flow->send_flow_rem ? OFPFF_SEND_FLOW_REM : 0);
        oxm_put_match(out, &flow->match, OTD_OFP_VERSION);
        ofpacts_put_openflow_instructions(flow->ofpacts.data,
                                          flow->ofpacts.size, out,
                                          OTD_OFP_VERSION);
        break;

    case OTD_FLOW_DELETE_STRICT:
        ofm->command = OFPFC_DELETE_STRICT;
        ofm->cookie_mask = OVS_BE64_MAX;
        oxm_put_match(out, &flow->match, OTD_OFP_VERSION);
        break;
    }
    msg_end(out, start);
}

static size_t
bundle_begin(struct ofpbuf *out, enum ofpraw raw, ovs_be32 xid, uint32_t id,
             uint16_t type)
{
    size_t start = msg_begin(out, raw, xid);
    struct ofp14_bundle_ctrl_msg *m = ofpbuf_put_uninit(out, sizeof *m);

    m->bundle_id = htonl(id);
    m->type = htons(type);
    m->flags = htons(OFPBF_ATOMIC | OFPBF_ORDERED);
    return start;
}

void
otd_msg_bundle_flow_mod(struct ofpbuf *out, ovs_be32 xid, uint32_t id,
                        enum otd_flow_verb verb, const struct otd_flow *flow)
{
    size_t start = bundle_begin(out, OFPRAW_OFPT14_BUNDLE_ADD_MESSAGE, xid, id,
                                0);
    otd_msg_flow_mod(out, xid, verb, flow);
    msg_end(out, start);
}

/* The match, padded to 8 bytes, and one instruction: apply the actions. */
static void
put_flow_bytes(struct ofpbuf *out, const struct otd_flow_bytes *flow)
{
    struct ofp11_match_header *omh = ofpbuf_put_uninit(out, sizeof *omh);
    size_t length = sizeof *omh + flow->match.size;

    omh->type = htons(OFPMT_OXM);
    omh->length = htons(length);
    ofpbuf_put(out, flow->match.data, flow->match.size);
    ofpbuf_put_zeros(out, PAD_SIZE(length, 8));

    if (flow->actions.size) {
        struct ofp11_instruction_actions *oia = ofpbuf_put_zeros(out,
                                                                 sizeof *oia);
        oia->type = htons(OFPIT11_APPLY_ACTIONS);
        oia->len = htons(sizeof *oia + flow->actions.size);
        ofpbuf_put(out, flow->actions.data, flow->actions.size);
    }
}

void
otd_msg_add_bytes(struct ofpbuf *out, ovs_be32 xid, uint32_t bundle,
                  const struct otd_flow_bytes *flow)
{
    size_t outer = 0, start;
    struct ofp11_flow_mod *ofm;

    if (bundle) {
        outer = bundle_begin(out, OFPRAW_OFPT14_BUNDLE_ADD_MESSAGE, xid, bundle,
                             0);
    }
    start = msg_begin(out, OFPRAW_OFPT11_FLOW_MOD, xid);
    ofm = ofpbuf_put_zeros(out, sizeof *ofm);
    ofm->cookie = htonll(flow->cookie);
    ofm->table_id = flow->table_id;
    ofm->command = OFPFC_ADD;
    ofm->priority = htons(flow->priority);
    ofm->buffer_id = htonl(UINT32_MAX);
    ofm->out_port = ofputil_port_to_ofp11(OFPP_ANY);
    ofm->out_group = htonl(OFPG_ANY);
    ofm->flags = htons(flow->send_flow_rem ? OFPFF_SEND_FLOW_REM : 0);
    put_flow_bytes(out, flow);
    msg_end(out, start);
    if (bundle) {
        msg_end(out, outer);
    }
}

void
otd_msg_bundle_ctrl(struct ofpbuf *out, ovs_be32 xid, uint32_t id,
                    enum otd_bundle_verb verb)
{
    uint16_t type = 0;

    switch (verb) {
    case OTD_BUNDLE_OPEN:
        type = OFPBCT_OPEN_REQUEST;
        break;
    case OTD_BUNDLE_COMMIT:
        type = OFPBCT_COMMIT_REQUEST;
        break;
    case OTD_BUNDLE_DISCARD:
        type = OFPBCT_DISCARD_REQUEST;
        break;
    }
    msg_end(out, bundle_begin(out, OFPRAW_OFPT14_BUNDLE_CONTROL, xid, id,
                              type));
}

void
otd_msg_delete_by_cookie(struct ofpbuf *out, ovs_be32 xid, uint64_t cookie,
                         uint64_t mask)
{
    size_t start = msg_begin(out, OFPRAW_OFPT11_FLOW_MOD, xid);
    struct ofp11_flow_mod *ofm = ofpbuf_put_zeros(out, sizeof *ofm);
    struct match any = MATCH_CATCHALL_INITIALIZER;

    ofm->cookie = htonll(cookie & mask);
    ofm->cookie_mask = htonll(mask);
    ofm->table_id = OFPTT_ALL;
    ofm->command = OFPFC_DELETE;
    ofm->buffer_id = htonl(UINT32_MAX);
    ofm->out_port = ofputil_port_to_ofp11(OFPP_ANY);
    ofm->out_group = htonl(OFPG_ANY);
    oxm_put_match(out, &any, OTD_OFP_VERSION);
    msg_end(out, start);
}

void
otd_msg_barrier(struct ofpbuf *out, ovs_be32 xid)
{
    msg_end(out, msg_begin(out, OFPRAW_OFPT11_BARRIER_REQUEST, xid));
}

void
otd_msg_flow_dump(struct ofpbuf *out, ovs_be32 xid, uint64_t cookie,
                  uint64_t mask)
{
    struct ofputil_flow_stats_request fsr = {
        .match = MATCH_CATCHALL_INITIALIZER,
        .cookie = htonll(cookie & mask),
        .cookie_mask = htonll(mask),
        .out_port = OFPP_ANY,
        .out_group = OFPG_ANY,
        .table_id = OFPTT_ALL,
    };

    msg_append(out, xid,
               ofputil_encode_flow_stats_request(&fsr, OTD_OFP_PROTOCOL));
}

/* ---- Geneve TLV table. */

void
otd_msg_tlv_request(struct ofpbuf *out, ovs_be32 xid)
{
    msg_end(out, msg_begin(out, OFPRAW_NXT_TLV_TABLE_REQUEST, xid));
}

void
otd_msg_tlv_mod(struct ofpbuf *out, ovs_be32 xid, bool add,
                const struct otd_tlv_entry *entries, size_t n)
{
    struct ofputil_tlv_table_mod ttm = {
        .command = add ? NXTTMC_ADD : NXTTMC_DELETE,
        .mappings = OVS_LIST_INITIALIZER(&ttm.mappings),
    };

    for (size_t i = 0; i < n; i++) {
        struct ofputil_tlv_map *map = xzalloc(sizeof *map);

        map->option_class = entries[i].opt_class;
        map->option_type = entries[i].type;
        map->option_len = entries[i].len;
        map->index = entries[i].index;
        ovs_list_push_back(&ttm.mappings, &map->list_node);
    }
    msg_append(out, xid, ofputil_encode_tlv_table_mod(OTD_OFP_VERSION, &ttm));
    ofputil_uninit_tlv_table(&ttm.mappings);
}

enum ofperr
otd_msg_tlv_reply(const struct ofp_header *oh, struct otd_tlv_table *table)
{
    struct ofputil_tlv_table_reply ttr;
    struct ofputil_tlv_map *map;
    enum ofperr error;

    memset(table, 0, sizeof *table);

    enum ofptype type;
    error = ofptype_decode(&type, oh);
    if (error) {
        return error;
    } else if (type != OFPTYPE_NXT_TLV_TABLE_REPLY) {
        return OFPERR_OFPBRC_BAD_TYPE;
    }

    error = ofputil_decode_tlv_table_reply(oh, &ttr);
    if (error) {
        return error;
    }

    table->max_space = ttr.max_option_space;
    table->max_fields = ttr.max_fields;
    LIST_FOR_EACH (map, list_node, &ttr.mappings) {
        if (table->n >= ARRAY_SIZE(table->entries)) {
            error = OFPERR_NXTTMFC_TABLE_FULL;
            break;
        }
        table->entries[table->n++] = (struct otd_tlv_entry) {
            .opt_class = map->option_class,
            .type = map->option_type,
            .len = map->option_len,
            .index = map->index,
        };
    }
    ofputil_uninit_tlv_table(&ttr.mappings);
    return error;
}

/* ---- Flow dumps. */

/* Pulls the header of a flow stats reply if that has not been done yet. */
static enum ofperr
dump_start(struct ofpbuf *msg, bool *more)
{
    if (!msg->header) {
        const struct ofp_header *oh = msg->data;
        enum ofperr error;
        enum ofpraw raw;

        if (msg->size < sizeof *oh || ntohs(oh->length) != msg->size
            || oh->version != OTD_OFP_VERSION) {
            return OFPERR_OFPBRC_BAD_LEN;
        }
        error = ofpraw_pull(&raw, msg);
        if (error) {
            return error;
        } else if (raw != OFPRAW_OFPST15_FLOW_REPLY) {
            return OFPERR_OFPBRC_BAD_STAT;
        }
    }
    if (more) {
        *more = ofpmp_more(msg->header);
    }
    return 0;
}

/* Checks that a whole entry stands at the front of 'msg' and returns it. */
static const struct ofp15_flow_desc *
dump_entry(const struct ofpbuf *msg, size_t *length)
{
    const struct ofp15_flow_desc *ofd = msg->data;

    if (msg->size < sizeof *ofd) {
        return NULL;
    }
    *length = ntohs(ofd->length);
    return *length >= sizeof *ofd && *length <= msg->size ? ofd : NULL;
}

int
otd_msg_flow_dump_next(struct ofpbuf *msg, struct otd_flow_report *report,
                       struct ofpbuf *ofpacts, bool *more)
{
    enum ofperr error = dump_start(msg, more);
    if (error) {
        return error;
    }
    if (!msg->size) {
        return EOF;
    }

    size_t length;
    if (!dump_entry(msg, &length)) {
        return OFPERR_OFPBRC_BAD_LEN;
    }

    /* The decoder sees this one entry only, so no length inside can lead it
     * into the next. */
    struct ofpbuf entry = ofpbuf_const_initializer(msg->data, length);
    entry.header = msg->header;
    entry.msg = msg->msg;

    struct ofputil_flow_stats fs;
    int retval = ofputil_decode_flow_stats_reply(&fs, &entry, false, ofpacts);
    if (retval) {
        return ofperr_is_valid(retval) ? retval : OFPERR_OFPBRC_BAD_LEN;
    } else if (entry.size) {
        return OFPERR_OFPBRC_BAD_LEN;
    }
    ofpbuf_pull(msg, length);

    report->table_id = fs.table_id;
    report->priority = fs.priority;
    report->cookie = ntohll(fs.cookie);
    report->packets = fs.packet_count;
    report->bytes = fs.byte_count;
    report->send_flow_rem = (fs.flags & OFPUTIL_FF_SEND_FLOW_REM) != 0;
    report->match = fs.match;
    report->ofpacts = fs.ofpacts;
    report->ofpacts_len = fs.ofpacts_len;
    return 0;
}

/* OXS (OpenFlow 1.5.1 section 7.2.4): like OXM, a 32-bit header of class (16
 * bits), field (7), reserved (1) and length (8) in front of each value, the
 * whole behind a 4-byte header with the length of all without the padding. */
#define OXS_HEADER(FIELD, LENGTH) (0x80020000u | (FIELD) << 9 | (LENGTH))
#define OXS_PACKETS OXS_HEADER(OFPXST_OFB_PACKET_COUNT, 8)
#define OXS_BYTES OXS_HEADER(OFPXST_OFB_BYTE_COUNT, 8)
#define OXS_HEADER_LEN 4

static bool
oxs_counters(const uint8_t *p, size_t n, uint64_t *packets, uint64_t *bytes)
{
    *packets = *bytes = UINT64_MAX;

    size_t length = n >= OXS_HEADER_LEN
                    ? ntohs(get_unaligned_be16((const void *) (p + 2))) : 0;
    if (length < OXS_HEADER_LEN || ROUND_UP(length, 8) > n) {
        return false;
    }

    for (size_t ofs = OXS_HEADER_LEN; ofs < length; ) {
        if (length - ofs < OXS_HEADER_LEN) {
            return false;
        }
        uint32_t header
            = ntohl(get_unaligned_be32((const void *) (p + ofs)));
        size_t size = header & 0xff;

        ofs += OXS_HEADER_LEN;
        if (size > length - ofs) {
            return false;
        }
        if (header == OXS_PACKETS || header == OXS_BYTES) {
            uint64_t x = ntohll(get_unaligned_be64((const void *) (p + ofs)));

            *(header == OXS_PACKETS ? packets : bytes) = x;
        }
        ofs += size;
    }
    return true;
}

int
otd_msg_flow_dump_next_counters(struct ofpbuf *msg, uint64_t *cookie,
                                uint8_t *table_id, uint64_t *packets,
                                uint64_t *bytes, bool *more)
{
    enum ofperr error = dump_start(msg, more);
    if (error) {
        return error;
    }
    if (!msg->size) {
        return EOF;
    }

    size_t length;
    const struct ofp15_flow_desc *ofd = dump_entry(msg, &length);
    if (!ofd || length < sizeof *ofd + sizeof(struct ofp11_match_header)) {
        return OFPERR_OFPBRC_BAD_LEN;
    }

    const struct ofp11_match_header *omh = (const void *) (ofd + 1);
    size_t match_len = ntohs(omh->length);
    size_t left = length - sizeof *ofd;
    if (omh->type != htons(OFPMT_OXM)) {
        return OFPERR_OFPBMC_BAD_TYPE;
    } else if (match_len < sizeof *omh || ROUND_UP(match_len, 8) > left) {
        return OFPERR_OFPBMC_BAD_LEN;
    }

    size_t ofs = sizeof *ofd + ROUND_UP(match_len, 8);
    if (!oxs_counters((const uint8_t *) ofd + ofs, length - ofs,
                      packets, bytes)) {
        return OFPERR_OFPBRC_BAD_LEN;
    }
    *cookie = ntohll(ofd->cookie);
    *table_id = ofd->table_id;
    ofpbuf_pull(msg, length);
    return 0;
}

bool
otd_msg_flow_removed(const struct ofp_header *oh,
                     struct otd_flow_report *report)
{
    struct ofputil_flow_removed fr;
    enum ofptype type;

    if (ofptype_decode(&type, oh) || type != OFPTYPE_FLOW_REMOVED
        || ofputil_decode_flow_removed(&fr, oh)) {
        return false;
    }

    report->table_id = fr.table_id;
    report->priority = fr.priority;
    report->cookie = ntohll(fr.cookie);
    report->packets = fr.packet_count;
    report->bytes = fr.byte_count;
    report->send_flow_rem = true;
    report->match = fr.match;
    report->ofpacts = NULL;
    report->ofpacts_len = 0;
    return true;
}

/* ---- Any message. */

static const struct ofp_header *
msg_header(const struct ofpbuf *msg)
{
    return msg->header ? msg->header : msg->data;
}

enum otd_msg_type
otd_msg_type(const struct ofpbuf *msg)
{
    enum ofptype type;

    if (ofptype_decode(&type, msg_header(msg))) {
        return OTD_MSG_OTHER;
    }

    switch ((int) type) {
    case OFPTYPE_ERROR:
        return OTD_MSG_ERROR;
    case OFPTYPE_BARRIER_REPLY:
        return OTD_MSG_BARRIER_REPLY;
    case OFPTYPE_FLOW_STATS_REPLY:
        return OTD_MSG_FLOW_STATS;
    case OFPTYPE_FLOW_REMOVED:
        return OTD_MSG_FLOW_REMOVED;
    case OFPTYPE_BUNDLE_CONTROL:
        return OTD_MSG_BUNDLE_REPLY;
    case OFPTYPE_NXT_TLV_TABLE_REPLY:
        return OTD_MSG_TLV_REPLY;
    default:
        return OTD_MSG_OTHER;
    }
}

ovs_be32
otd_msg_xid(const struct ofpbuf *msg)
{
    return msg_header(msg)->xid;
}

enum ofperr
otd_msg_error(const struct ofpbuf *msg)
{
    /* ofperr_decode_msg() takes it for granted that it is one. */
    return (otd_msg_type(msg) == OTD_MSG_ERROR
            ? ofperr_decode_msg(msg_header(msg), NULL) : 0);
}

const char *
otd_msg_error_name(const struct ofpbuf *msg)
{
    enum ofperr error = otd_msg_error(msg);

    return error ? ofperr_get_name(error) : "an error of unknown kind";
}

void
otd_flow_report_format(const struct otd_flow_report *report, struct ds *s)
{
    struct ofputil_flow_stats fs = {
        .match = report->match,
        .cookie = htonll(report->cookie),
        .table_id = report->table_id,
        .priority = report->priority,
        .flags = report->send_flow_rem ? OFPUTIL_FF_SEND_FLOW_REM : 0,
        .ofpacts = report->ofpacts,
        .ofpacts_len = report->ofpacts_len,
    };

    ofputil_flow_stats_format(s, &fs, NULL, NULL, false);
}
