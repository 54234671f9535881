/* SPDX-License-Identifier: Apache-2.0 */

/* Answers of tunneloffload.v2: plain structs to bytes. */

#include <config.h>
#include "grpcsvc/codec.h"

#include <stdlib.h>
#include <string.h>

#include "openvswitch/ofpbuf.h"
#include "proto/tunneloffload.pb-c.h"
#include "util.h"

typedef Tunneloffload__V2__Error pb_error;
typedef Tunneloffload__V2__TunnelAdditionError pb_addition_error;
typedef Tunneloffload__V2__Counters pb_counters;
typedef Tunneloffload__V2__IpTunnelResponse pb_tunnel;
typedef Tunneloffload__V2__IpTunnelStatsResponse pb_stats;
typedef Tunneloffload__V2__CreateIpTunnelResponse pb_create;

#define PAGE_BYTES (256 * 1024)
#define FIELD_HEADER_MAX 11     /* 1 byte of tag, at most 10 of length. */

/* ---- Messages inside messages.
 *
 * A stored request is bytes already, and protobuf-c cannot embed bytes as a
 * message; so the outer field's tag and length are written here. */

static size_t
put_varint(uint8_t *p, uint64_t value)
{
    size_t n = 0;

    for (; value >= 0x80; value >>= 7) {
        p[n++] = value | 0x80;
    }
    p[n++] = value;
    return n;
}

/* Makes room for 'n' more bytes.  ofpbuf grows by what is missing only; pages
 * grow by doubling, or appending to one would take quadratic time. */
static void
reserve(struct ofpbuf *b, size_t n)
{
    if (ofpbuf_tailroom(b) < n) {
        ofpbuf_prealloc_tailroom(b, MAX(n, b->size));
    }
}

/* Appends the header of field 'name' (a submessage) of 'type', whose 'n' bytes
 * the caller appends next. */
static void
put_field_header(struct ofpbuf *b, const ProtobufCMessageDescriptor *type,
                 const char *name, size_t n)
{
    const ProtobufCFieldDescriptor *field
        = protobuf_c_message_descriptor_get_field_by_name(type, name);
    uint8_t header[FIELD_HEADER_MAX];
    size_t len = put_varint(header, field->id << 3 | 2);

    len += put_varint(header + len, n);
    ofpbuf_put(b, header, len);
}

/* ---- Errors. */

static const struct {
    enum { NO_FIELD, MATCH_FIELD, TUNNEL_FIELD, IPSEC_FIELD,
           GENEVE_FIELD } field;
    int value;
} addition_errors[OTD_N_FAULT_KINDS] = {
    [OTD_FAULT_OTHER] = { NO_FIELD, 0 },
    [OTD_FAULT_MATCH_MISSING_FIELDS] = {
        MATCH_FIELD, TUNNELOFFLOAD__V2__MATCH_ERROR__MISING_FIELDS },
    [OTD_FAULT_MATCH_TUNNEL_ID] = {
        MATCH_FIELD, TUNNELOFFLOAD__V2__MATCH_ERROR__INVALID_TUNNEL_ID },
    [OTD_FAULT_MATCH_CAPABILITIES] = {
        MATCH_FIELD, TUNNELOFFLOAD__V2__MATCH_ERROR__INVALID_CAPABILITIES },
    [OTD_FAULT_MATCH_FIELD] = {
        MATCH_FIELD, TUNNELOFFLOAD__V2__MATCH_ERROR__INVALID_FIELD },
    [OTD_FAULT_TUNNEL_NOT_SUPPORTED] = {
        TUNNEL_FIELD, TUNNELOFFLOAD__V2__TUNNEL_ERROR__NOT_SUPPORTED_TUNNEL },
    [OTD_FAULT_IPSEC_KEY] = {
        IPSEC_FIELD, TUNNELOFFLOAD__V2__IPSEC_ERROR__INVALID_KEY },
    [OTD_FAULT_IPSEC_ENCRYPTION] = {
        IPSEC_FIELD,
        TUNNELOFFLOAD__V2__IPSEC_ERROR__NON_SUPPORTED_ENCRYPTION },
    [OTD_FAULT_IPSEC_TUNNEL_TYPE] = {
        IPSEC_FIELD,
        TUNNELOFFLOAD__V2__IPSEC_ERROR__NON_SUPPORTED_TUNNEL_TYPE },
    [OTD_FAULT_IPSEC_MISSING_FIELDS] = {
        IPSEC_FIELD, TUNNELOFFLOAD__V2__IPSEC_ERROR__IPSEC_MISSING_FIELDS },
    [OTD_FAULT_GENEVE_OPTION] = {
        GENEVE_FIELD, TUNNELOFFLOAD__V2__GENEVE_ERROR__INVALID_OPTION },
    [OTD_FAULT_GENEVE_TOO_MANY_OPTIONS] = {
        GENEVE_FIELD, TUNNELOFFLOAD__V2__GENEVE_ERROR__TOO_MANY_OPTIONS },
    [OTD_FAULT_GENEVE_FIELD] = {
        GENEVE_FIELD, TUNNELOFFLOAD__V2__GENEVE_ERROR__INVALID_GENEVE_FIELD },
    [OTD_FAULT_ALREADY_EXISTS] = { NO_FIELD, 0 },
    [OTD_FAULT_TABLE_FULL] = { NO_FIELD, 0 },
    [OTD_FAULT_UNAVAILABLE] = { NO_FIELD, 0 },
};

struct error_parts {
    pb_error error;
    pb_addition_error addition;
};

static pb_error *
make_error(enum otd_fault_kind kind, const char *text,
           struct error_parts *parts)
{
    pb_error *error = &parts->error;
    pb_addition_error *addition = &parts->addition;
    int value = addition_errors[kind].value;

    tunneloffload__v2__error__init(error);
    error->error_string = CONST_CAST(char *, text);
    tunneloffload__v2__tunnel_addition_error__init(addition);
    switch (addition_errors[kind].field) {
    case NO_FIELD:
        return error;
    case MATCH_FIELD:
        addition->match_error = value;
        break;
    case TUNNEL_FIELD:
        addition->tunnel_error = value;
        break;
    case IPSEC_FIELD:
        addition->ipsec_error = value;
        break;
    case GENEVE_FIELD:
        addition->geneve_error = value;
        break;
    }
    error->error_message = addition;
    return error;
}

/* ---- Capabilities. */

static struct ofpbuf *
pack(const ProtobufCMessage *message)
{
    size_t n = protobuf_c_message_get_packed_size(message);
    struct ofpbuf *b = ofpbuf_new(n);

    protobuf_c_message_pack(message, ofpbuf_put_uninit(b, n));
    return b;
}

struct ofpbuf *
otd_codec_capabilities(const struct otd_caps *caps)
{
    Tunneloffload__V2__CapabilityResponse response
        = TUNNELOFFLOAD__V2__CAPABILITY_RESPONSE__INIT;
    Tunneloffload__V2__CapabilityResponse__MatchCapabilities match
        = TUNNELOFFLOAD__V2__CAPABILITY_RESPONSE__MATCH_CAPABILITIES__INIT;
    Tunneloffload__V2__CapabilityResponse__IPSecCapabilities ipsec
        = TUNNELOFFLOAD__V2__CAPABILITY_RESPONSE__IPSEC_CAPABILITIES__INIT;
    Tunneloffload__V2__CapabilityResponse__GeneveCapabilities geneve
        = TUNNELOFFLOAD__V2__CAPABILITY_RESPONSE__GENEVE_CAPABILITIES__INIT;

    match.ingress_interface_matching = caps->ingress_interface_matching;
    match.vxlan_matching = caps->vxlan_matching;
    match.geneve_matching = caps->geneve_matching;
    match.tunnel_matching = caps->tunnel_matching;
    match.spi_matching = caps->spi_matching;
    geneve.number_geneve_options_supported = caps->n_geneve_options;
    response.match_capabilities = &match;
    response.ipsec_capabilities = &ipsec;
    response.geneve_capabilities = &geneve;
    return pack(&response.base);
}

/* ---- The answer to a stream. */

/* What an entry needs until it is packed. */
struct entry_parts {
    pb_create create;
    struct error_parts error;
};

static pb_create *
make_entry(uint64_t id, enum otd_fault_kind kind, const char *text,
           struct entry_parts *parts)
{
    tunneloffload__v2__create_ip_tunnel_response__init(&parts->create);
    parts->create.tunnel_id = id;
    if (text) {
        parts->create.error = make_error(kind, text, &parts->error);
    }
    return &parts->create;
}

/* Copies at most 'max' bytes of 'text' to 'buf', not ending inside a UTF-8
 * character. */
static const char *
cut_text(const char *text, size_t max, char *buf)
{
    size_t n = strlen(text);

    if (n <= max) {
        return text;
    }
    n = max - 3;
    while (n && ((uint8_t) text[n] & 0xc0) == 0x80) {
        n--;
    }
    memcpy(buf, text, n);
    memcpy(buf + n, "...", 4);
    return buf;
}

#define TEXT_CUT_MAX 512        /* The longest cut, for a buffer's size. */

static void
put_entry(struct ofpbuf *b, const pb_create *entry)
{
    const ProtobufCMessageDescriptor *outer
        = &tunneloffload__v2__create_ip_tunnel_responses__descriptor;
    size_t n = protobuf_c_message_get_packed_size(&entry->base);

    reserve(b, FIELD_HEADER_MAX + n);
    put_field_header(b, outer, "responses", n);
    protobuf_c_message_pack(&entry->base, ofpbuf_put_uninit(b, n));
}

/* Appends the entries with texts of at most 'text_max' bytes.  Stops before
 * one that would make 'b' larger than allowed, and returns how many it
 * appended. */
static size_t
put_entries(struct ofpbuf *b, const struct otd_txn_result *result,
            size_t text_max)
{
    size_t i;

    for (i = 0; i < result->n_entries; i++) {
        const struct otd_txn_entry *e = &result->entries[i];
        bool failed = otd_faults_any(&e->faults);
        size_t before = b->size;
        struct entry_parts parts;
        char buf[TEXT_CUT_MAX + 1];

        put_entry(b, make_entry(e->id, e->faults.kind,
                                failed ? cut_text(otd_faults_text(&e->faults),
                                                  text_max, buf)
                                       : NULL, &parts));
        if (b->size > OTD_MESSAGE_BYTES_MAX) {
            b->size = before;
            break;
        }
    }
    return i;
}

struct ofpbuf *
otd_codec_create_responses(const struct otd_txn_result *result)
{
    static const size_t text_max[] = { SIZE_MAX, TEXT_CUT_MAX, 128, 32 };
    Tunneloffload__V2__CreateIpTunnelResponses response
        = TUNNELOFFLOAD__V2__CREATE_IP_TUNNEL_RESPONSES__INIT;
    struct entry_parts parts;

    response.request_status = (int) result->status;
    response.error_status = result->error_bits;
    struct ofpbuf *b = pack(&response.base);
    if (result->error) {
        put_entry(b, make_entry(0, OTD_FAULT_OTHER, result->error, &parts));
    }

    size_t start = b->size;
    size_t n;
    for (size_t i = 0; i < ARRAY_SIZE(text_max); i++) {
        b->size = start;
        n = put_entries(b, result, text_max[i]);
        if (n == result->n_entries) {
            return b;
        }
    }

    /* OTD_MESSAGE_BYTES_MAX leaves room for this one. */
    char *text = xasprintf("%"PRIuSIZE" more entries do not fit this message; "
                           "send shorter streams", result->n_entries - n);
    put_entry(b, make_entry(result->entries[n].id, OTD_FAULT_OTHER, text,
                            &parts));
    free(text);
    return b;
}

/* ---- Tunnels and their counters. */

static pb_counters *
make_counters(const struct otd_counters *counters, pb_counters *pb)
{
    tunneloffload__v2__counters__init(pb);
    pb->in_packets = counters->in_packets;
    pb->out_packets = counters->out_packets;
    pb->in_bytes = counters->in_bytes;
    pb->out_bytes = counters->out_bytes;
    pb->in_packets_drops = counters->in_packets_drops;
    pb->out_packets_drops = counters->out_packets_drops;
    pb->in_bytes_drops = counters->in_bytes_drops;
    pb->out_bytes_drops = counters->out_bytes_drops;
    return pb;
}

/* The most bytes that put_view() appends for 'view' in a page: nine numbers of
 * up to 10 bytes and their tags, headers, and the request. */
static size_t
view_bytes_max(enum otd_reply reply, const struct otd_tunnel_view *view)
{
    return 128 + (reply == OTD_REPLY_TUNNEL ? view->n + FIELD_HEADER_MAX : 0);
}

/* Appends an IpTunnelResponse or IpTunnelStatsResponse; if 'outer' is nonnull,
 * as its field "responses". */
static void
put_view(struct ofpbuf *b, enum otd_reply reply,
         const struct otd_tunnel_view *view,
         const ProtobufCMessageDescriptor *outer)
{
    pb_tunnel tunnel = TUNNELOFFLOAD__V2__IP_TUNNEL_RESPONSE__INIT;
    pb_stats stats = TUNNELOFFLOAD__V2__IP_TUNNEL_STATS_RESPONSE__INIT;
    pb_counters counters;
    const ProtobufCMessage *message;
    struct ofpbuf request;
    uint8_t request_stub[FIELD_HEADER_MAX];

    ofpbuf_use_stub(&request, request_stub, sizeof request_stub);
    if (reply == OTD_REPLY_TUNNEL) {
        tunnel.tunnel_id = view->id;
        tunnel.tunnel_counters = make_counters(&view->counters, &counters);
        message = &tunnel.base;
        put_field_header(&request,
                         &tunneloffload__v2__ip_tunnel_response__descriptor,
                         "ip_tunnel", view->n);
    } else {
        stats.tunnel_id = view->id;
        stats.tunnel_counters = make_counters(&view->counters, &counters);
        message = &stats.base;
    }

    size_t n = protobuf_c_message_get_packed_size(message);
    size_t n_request = request.size ? request.size + view->n : 0;
    reserve(b, FIELD_HEADER_MAX + n + n_request);
    if (outer) {
        put_field_header(b, outer, "responses", n + n_request);
    }
    protobuf_c_message_pack(message, ofpbuf_put_uninit(b, n));
    if (n_request) {
        ofpbuf_put(b, request.data, request.size);
        ofpbuf_put(b, view->bytes, view->n);
    }
    ofpbuf_uninit(&request);
}

struct ofpbuf *
otd_codec_reply(enum otd_reply reply, const struct otd_tunnel_view *view)
{
    struct ofpbuf *b = ofpbuf_new(view_bytes_max(reply, view));

    put_view(b, reply, view, NULL);
    return b;
}

struct ofpbuf *
otd_codec_reply_error(enum otd_reply reply, uint64_t id,
                      const struct otd_faults *faults)
{
    struct error_parts parts;
    pb_error *error = make_error(faults->kind, otd_faults_text(faults),
                                 &parts);

    if (reply == OTD_REPLY_TUNNEL) {
        pb_tunnel pb = TUNNELOFFLOAD__V2__IP_TUNNEL_RESPONSE__INIT;

        pb.tunnel_id = id;
        pb.error = error;
        return pack(&pb.base);
    } else {
        pb_stats pb = TUNNELOFFLOAD__V2__IP_TUNNEL_STATS_RESPONSE__INIT;

        pb.tunnel_id = id;
        pb.error = error;
        return pack(&pb.base);
    }
}

/* ---- Pages. */

void
otd_page_init(struct otd_page *page, enum otd_reply reply,
              uint32_t tunnels_per_request)
{
    *page = (struct otd_page) {
        .reply = reply,
        .n_max = tunnels_per_request ? tunnels_per_request : UINT32_MAX,
        .bytes_max = tunnels_per_request ? OTD_MESSAGE_BYTES_MAX : PAGE_BYTES,
    };
}

void
otd_page_destroy(struct otd_page *page)
{
    ofpbuf_delete(page->message);
    page->message = NULL;
    page->n = 0;
}

bool
otd_page_add(struct otd_page *page, const struct otd_tunnel_view *view)
{
    if (page->n) {
        if (page->n >= page->n_max
            || page->message->size + view_bytes_max(page->reply, view)
               > page->bytes_max) {
            return false;
        }
    } else {
        page->message = ofpbuf_new(1024);
    }
    put_view(page->message, page->reply, view,
             page->reply == OTD_REPLY_TUNNEL
             ? &tunneloffload__v2__ip_tunnel_responses__descriptor
             : &tunneloffload__v2__ip_tunnel_stats_responses__descriptor);
    page->n++;
    return true;
}

struct ofpbuf *
otd_page_take(struct otd_page *page)
{
    struct ofpbuf *message = page->message;

    page->message = NULL;
    page->n = 0;
    return message;
}
