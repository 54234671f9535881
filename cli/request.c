/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "cli/request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/message.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/json.h"
#include "util.h"

#define GE OTD_REQUEST_GENEVE_ENCAP
#define IE OTD_REQUEST_IPSEC_ENC
#define ID OTD_REQUEST_IPSEC_DEC
#define NAT OTD_REQUEST_NAT

const struct otd_request_kind_info otd_request_kinds[] = {
    { GE, "geneve-encap", "geneve.geneve_encap" },
    { OTD_REQUEST_GENEVE_DECAP, "geneve-decap", "geneve.geneve_decap" },
    { IE, "ipsec-enc", "ipsec_tunnel.ipsec_enc" },
    { ID, "ipsec-dec", "ipsec_tunnel.ipsec_dec" },
    { NAT, "nat", "nat" },
    { OTD_REQUEST_ANY, NULL, NULL },
};

#define M "match_criteria."
#define G "geneve.geneve_encap."
#define E "ipsec_tunnel.ipsec_enc."
#define D "ipsec_tunnel.ipsec_dec."

const struct otd_request_flag otd_request_flags[] = {
    { "next", "ACTION", 0, "next_action",
      "forward, or recirculate to the next tunnel", OTD_FLAG_VALUE },
    { "in-if", "PORT", 0, M "ingress_interface",
      "match packets from this port", OTD_FLAG_VALUE },
    { "match-src", "IP[/LEN]", 0, M "ipv4_match.source_ip",
      "match the packet's source", OTD_FLAG_PREFIX },
    { "match-dst", "IP[/LEN]", 0, M "ipv4_match.destination_ip",
      "match the packet's destination", OTD_FLAG_PREFIX },
    { "match-src-mac", "MAC", 0, M "mac_match.source_mac",
      "match the packet's source MAC", OTD_FLAG_VALUE },
    { "match-dst-mac", "MAC", 0, M "mac_match.destination_mac",
      "match the packet's destination MAC", OTD_FLAG_VALUE },
    { "match-tunnel", "ID", 0, M "tunnel_id",
      "match what this tunnel hands on", OTD_FLAG_VALUE },
    { "match-vni", "VNI", 0, M "geneve_match.vni",
      "match the Geneve network", OTD_FLAG_VALUE },
    { "match-protocol", "TYPE", 0, M "geneve_match.protocol_type",
      "match the Geneve protocol type", OTD_FLAG_VALUE },
    { "match-inner-src", "IP[/LEN]", 0, M "geneve_match.ipv4_match.source_ip",
      "match the inner source", OTD_FLAG_PREFIX },
    { "match-inner-dst", "IP[/LEN]", 0,
      M "geneve_match.ipv4_match.destination_ip",
      "match the inner destination", OTD_FLAG_PREFIX },
    { "match-inner-src-mac", "MAC", 0, M "geneve_match.mac_match.source_mac",
      "match the inner source MAC", OTD_FLAG_VALUE },
    { "match-inner-dst-mac", "MAC", 0,
      M "geneve_match.mac_match.destination_mac",
      "match the inner destination MAC", OTD_FLAG_VALUE },
    { "match-spi", "SPI", 0, M "ipsec_match.spi",
      "match what this SA decrypted", OTD_FLAG_VALUE },

    { "src", "IP", GE, G "outer_ipv4_pair.source_ip",
      "the tunnel's own source", OTD_FLAG_ADDRESS },
    { "dst", "IP", GE, G "outer_ipv4_pair.destination_ip",
      "the tunnel's own destination", OTD_FLAG_ADDRESS },
    { "src", "IP", IE, E "ipv4_tunnel.source_ip",
      "the tunnel's own source", OTD_FLAG_ADDRESS },
    { "dst", "IP", IE, E "ipv4_tunnel.destination_ip",
      "the tunnel's own destination", OTD_FLAG_ADDRESS },
    { "src", "IP", NAT, "nat.source_ip",
      "the new source", OTD_FLAG_VALUE },
    { "vni", "VNI", GE, G "vni", "virtual network, 24 bits", OTD_FLAG_VALUE },
    { "protocol", "TYPE", GE, G "protocol_type",
      "protocol type, 0x6558 if not given", OTD_FLAG_VALUE },
    { "inner-src-mac", "MAC", GE, G "inner_mac_pair.source_mac",
      "new inner source MAC", OTD_FLAG_VALUE },
    { "inner-dst-mac", "MAC", GE, G "inner_mac_pair.destination_mac",
      "new inner destination MAC", OTD_FLAG_VALUE },
    { "option", "CLASS,TYPE,DATA", GE, G "geneve_option",
      "add a Geneve option (repeatable); DATA as 0x...", OTD_FLAG_OPTION },
    { "control", NULL, GE, G "control_packet",
      "set the O bit", OTD_FLAG_TRUE },
    { "mode", "MODE", IE, E "tunnel_type",
      "transport, tunnel, or either with -nat-traversal", OTD_FLAG_VALUE },
    { "mode", "MODE", ID, D "tunnel_type",
      "transport, tunnel, or either with -nat-traversal", OTD_FLAG_VALUE },
    { "cipher", "NAME", IE, E "encryption_type",
      "aes256gcm128, ...", OTD_FLAG_VALUE },
    { "cipher", "NAME", ID, D "encryption_type",
      "aes256gcm128, ...", OTD_FLAG_VALUE },
    { "spi", "SPI", IE, E "ipsec_sa.spi",
      "security parameter index", OTD_FLAG_VALUE },
    { "key-file", "FILE", IE, E "ipsec_sa.encryption_key",
      "read the key from FILE", OTD_FLAG_KEY_FILE },
    { "sa", "SPI,KEYFILE", ID, D "ipsec_sas",
      "add an SA (repeatable)", OTD_FLAG_SA },
    { NULL, NULL, 0, NULL, NULL, OTD_FLAG_VALUE },
};

/* ---- JSON by path. */

/* Returns the object that holds the last part of 'path', making objects on the
 * way; '*last' is that part. */
static struct json *
find_parent(struct json *object, const char *path, const char **last)
{
    const char *dot;

    while ((dot = strchr(path, '.'))) {
        char *name = xmemdup0(path, dot - path);
        struct json *child = shash_find_data(json_object(object), name);

        if (!child) {
            child = json_object_create();
            json_object_put(object, name, child);
        }
        free(name);
        object = child;
        path = dot + 1;
    }
    *last = path;
    return object;
}

/* Takes 'value'.  False, and nothing is changed, if the path has one already.
 */
static bool
put_path(struct json *object, const char *path, struct json *value)
{
    const char *last;
    struct json *parent = find_parent(object, path, &last);

    if (shash_find(json_object(parent), last)) {
        json_destroy(value);
        return false;
    }
    json_object_put(parent, last, value);
    return true;
}

/* Takes 'value'. */
static void
append_path(struct json *object, const char *path, struct json *value)
{
    const char *last;
    struct json *parent = find_parent(object, path, &last);
    struct json *array = shash_find_data(json_object(parent), last);

    if (!array) {
        array = json_array_create_empty();
        json_object_put(parent, last, array);
    }
    json_array_add(array, value);
}

/* ---- Flags to JSON. */

/* 'path' for the family of 'address'.  Returns owned. */
static char *
path_for_family(const char *path, const char *address)
{
    char *copy = xstrdup(path);
    char *family = strchr(address, ':') ? strstr(copy, "ipv4") : NULL;

    if (family) {
        family[3] = '6';
    }
    return copy;
}

/* NULL, or an owned sentence. */
static char *
put_prefix(struct json *request, const char *path_, const char *arg)
{
    const char *slash = strchr(arg, '/');
    char *path = path_for_family(path_, arg);
    char *len_path = xasprintf("%s_prefix", path);
    bool ok;

    ok = put_path(request, path, json_string_create_nocopy(
                      xmemdup0(arg, slash ? slash - arg : strlen(arg))));
    ok = ok && put_path(request, len_path,
                        json_string_create(slash ? slash + 1
                                           : strchr(arg, ':') ? "128" : "32"));
    free(path);
    free(len_path);
    return ok ? NULL : xstrdup("given twice");
}

static char *
put_option(struct json *request, const char *path, const char *arg)
{
    char *copy = xstrdup(arg), *save = NULL;
    const char *class = strtok_r(copy, ",", &save);
    const char *type = strtok_r(NULL, ",", &save);
    const char *data = strtok_r(NULL, "", &save);
    struct json *option;

    if (!type) {
        free(copy);
        return xasprintf("\"%s\" is not CLASS,TYPE,DATA", arg);
    }
    option = json_object_create();
    json_object_put_string(option, "option_class", class);
    json_object_put_string(option, "type", type);
    if (data) {
        json_object_put_string(option, "data", data);
    }
    append_path(request, path, option);
    /* The kernel derives this bit; the API wants it said. */
    if (strtoul(type, NULL, 0) & 0x80) {
        put_path(request, G "critical_option_present",
                 json_boolean_create(true));
    }
    free(copy);
    return NULL;
}

/* Reads a key from a file: text, or the bytes themselves.  NULL, or an owned
 * sentence; '*json' takes the key as hexadecimal or base64 text. */
static char *
read_key(const char *name, struct json **json)
{
    char buffer[256], text[2 * sizeof buffer + 3];
    FILE *stream = fopen(name, "r");
    bool printable = true;
    char *error = NULL;
    size_t n = 0;

    if (stream) {
        setvbuf(stream, NULL, _IONBF, 0);   /* Leaves no copy behind. */
        n = fread(buffer, 1, sizeof buffer, stream);
    }
    if (!stream || ferror(stream)) {
        error = xasprintf("%s: %s", name, ovs_strerror(errno));
    } else if (n == sizeof buffer) {
        error = xasprintf("%s: too long for a key", name);
    }
    if (stream) {
        fclose(stream);
    }
    if (!error) {
        size_t len = n;

        while (len && strchr(" \t\r\n", buffer[len - 1])) {
            len--;
        }
        for (size_t i = 0; i < len; i++) {
            printable = printable && buffer[i] > ' ' && buffer[i] < 127;
        }
        if (printable) {
            memcpy(text, buffer, len);
            text[len] = '\0';
        } else {
            for (size_t i = 0; i < n; i++) {
                sprintf(text + 2 * i, "%02x", (uint8_t) buffer[i]);
            }
        }
        *json = json_string_create(text);
    }
    explicit_bzero(buffer, sizeof buffer);
    explicit_bzero(text, sizeof text);
    return error;
}

static char *
put_sa(struct json *request, const char *path, const char *arg)
{
    const char *comma = strchr(arg, ',');
    struct json *sa, *key;
    char *error;

    if (!comma) {
        return xasprintf("\"%s\" is not SPI,KEYFILE", arg);
    }
    error = read_key(comma + 1, &key);
    if (error) {
        return error;
    }
    sa = json_object_create();
    json_object_put(sa, "spi",
                    json_string_create_nocopy(xmemdup0(arg, comma - arg)));
    json_object_put(sa, "encryption_key", key);
    append_path(request, path, sa);
    return NULL;
}

static char *
put_flag(struct json *request, const struct otd_request_flag *f,
         const char *arg)
{
    struct json *value = NULL;
    char *error = NULL, *path;
    bool ok;

    switch (f->how) {
    case OTD_FLAG_VALUE:
        ok = put_path(request, f->path, json_string_create(arg));
        return ok ? NULL : xstrdup("given twice");
    case OTD_FLAG_TRUE:
        put_path(request, f->path, json_boolean_create(true));
        return NULL;
    case OTD_FLAG_ADDRESS:
        path = path_for_family(f->path, arg);
        ok = put_path(request, path, json_string_create(arg));
        free(path);
        return ok ? NULL : xstrdup("given twice");
    case OTD_FLAG_PREFIX:
        return put_prefix(request, f->path, arg);
    case OTD_FLAG_OPTION:
        return put_option(request, f->path, arg);
    case OTD_FLAG_KEY_FILE:
        error = read_key(arg, &value);
        if (!error && !put_path(request, f->path, value)) {
            error = xstrdup("given twice");
        }
        return error;
    case OTD_FLAG_SA:
        return put_sa(request, f->path, arg);
    }
    OVS_NOT_REACHED();
}

static const struct otd_request_flag *
find_flag(const char *name, enum otd_request_kind kind, unsigned int *kinds)
{
    *kinds = 0;
    for (const struct otd_request_flag *f = otd_request_flags; f->name; f++) {
        if (!strcmp(f->name, name)) {
            if (!f->kinds || f->kinds & kind) {
                return f;
            }
            *kinds |= f->kinds;
        }
    }
    return NULL;
}

static void
fault_kind(struct otd_faults *faults, const char *flag,
           enum otd_request_kind kind, unsigned int kinds)
{
    struct ds names = DS_EMPTY_INITIALIZER;
    const struct otd_request_kind_info *k;

    for (k = otd_request_kinds; k->name; k++) {
        if (kinds & k->kind) {
            ds_put_format(&names, "%s%s", names.length ? " or " : "", k->name);
        }
    }
    otd_fault(faults, OTD_FAULT_OTHER, flag, kind
              ? "belongs to another kind of tunnel: %s"
              : "say the kind of tunnel first: %s", ds_cstr(&names));
    ds_destroy(&names);
}

/* The one kind that has all of the flags, or ANY. */
static enum otd_request_kind
infer_kind(const struct otd_flag_value *values, size_t n)
{
    unsigned int all = (OTD_REQUEST_NAT << 1) - 1, possible = all;

    for (size_t i = 0; i < n; i++) {
        unsigned int kinds;

        if (!find_flag(values[i].name, OTD_REQUEST_ANY, &kinds)) {
            possible &= kinds;
        }
    }
    return possible != all && IS_POW2(possible) ? possible : OTD_REQUEST_ANY;
}

struct json *
otd_request_from_flags(uint64_t id, enum otd_request_kind kind,
                       const struct otd_flag_value *values, size_t n,
                       struct otd_faults *faults)
{
    struct json *request = json_object_create();
    const struct otd_request_kind_info *k;

    if (kind == OTD_REQUEST_ANY) {
        kind = infer_kind(values, n);
    }
    if (id) {
        json_object_put_format(request, "tunnel_id", "%"PRIu64, id);
    }
    for (k = otd_request_kinds; k->name; k++) {
        if (k->kind == kind) {
            put_path(request, k->path, json_object_create());
        }
    }
    for (size_t i = 0; i < n; i++) {
        char *name = xasprintf("--%s", values[i].name);
        unsigned int kinds;
        const struct otd_request_flag *f = find_flag(values[i].name, kind,
                                                     &kinds);

        if (!f) {
            fault_kind(faults, name, kind, kinds);
        } else {
            char *error = put_flag(request, f, values[i].arg);

            if (error) {
                otd_fault(faults, OTD_FAULT_OTHER, name, "%s", error);
                free(error);
            }
        }
        free(name);
    }
    return request;
}

/* ---- JSON to the message. */

/* A fault if the request cannot be sent by a command that does 'operation'. */
static void
check_operation(const Tunneloffload__V2__IpTunnelRequest *request,
                Tunneloffload__V2__Operation operation,
                struct otd_faults *faults)
{
    const ProtobufCEnumDescriptor *names
        = &tunneloffload__v2__operation__descriptor;

    if (operation == TUNNELOFFLOAD__V2__OPERATION___DELETE) {
        if (!request->tunnel_id) {
            otd_fault(faults, OTD_FAULT_OTHER, "tunnel_id",
                      "not given; a delete needs it");
        }
    } else if (!operation && !request->operation) {
        otd_fault(faults, OTD_FAULT_OTHER, "operation",
                  "not given; _CREATE, _UPDATE or _DELETE");
    } else if (operation && request->operation
               && request->operation != operation) {
        otd_fault(faults, OTD_FAULT_OTHER, "operation",
                  "%s, but this command sends %s",
                  protobuf_c_enum_descriptor_get_value(
                      names, request->operation)->name,
                  protobuf_c_enum_descriptor_get_value(
                      names, operation)->name);
    }
}

Tunneloffload__V2__IpTunnelRequest *
otd_request_from_json(const struct json *json,
                      Tunneloffload__V2__Operation operation,
                      struct otd_faults *faults)
{
    Tunneloffload__V2__IpTunnelRequest *request;

    request = (Tunneloffload__V2__IpTunnelRequest *) otd_message_from_json(
        &tunneloffload__v2__ip_tunnel_request__descriptor, json, faults);
    if (!request) {
        return NULL;
    }
    check_operation(request, operation, faults);
    if (otd_faults_any(faults)) {
        tunneloffload__v2__ip_tunnel_request__free_unpacked(request, NULL);
        return NULL;
    }
    if (operation == TUNNELOFFLOAD__V2__OPERATION___DELETE) {
        uint64_t id = request->tunnel_id;

        tunneloffload__v2__ip_tunnel_request__free_unpacked(request, NULL);
        request = xmalloc(sizeof *request);
        tunneloffload__v2__ip_tunnel_request__init(request);
        request->tunnel_id = id;
    }
    if (operation) {
        request->operation = operation;
    }
    return request;
}
