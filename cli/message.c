/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "cli/message.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "openvswitch/dynamic-string.h"
#include "openvswitch/json.h"
#include "util.h"

/* ---- JSON to a message. */

struct reader {
    struct otd_faults *faults;
    struct ds path;             /* Of the value at hand. */
};

static bool read_message(struct reader *, const struct json *,
                         ProtobufCMessage *);

#define FAULT(R, ...)                                                  \
    otd_fault((R)->faults, OTD_FAULT_OTHER, ds_cstr_ro(&(R)->path),     \
              __VA_ARGS__)

static const char *
describe(const struct json *json)
{
    switch (json->type) {
    case JSON_NULL: return "null";
    case JSON_FALSE: return "false";
    case JSON_TRUE: return "true";
    case JSON_OBJECT: return "an object";
    case JSON_ARRAY: return "an array";
    case JSON_INTEGER: return "a number";
    case JSON_REAL: return "a fraction or a number over 63 bits";
    case JSON_STRING: return "a string";
    case JSON_SERIALIZED_OBJECT:
    case JSON_N_TYPES: break;
    }
    OVS_NOT_REACHED();
}

/* Reads an integer of 'min'..'max'. */
static bool
read_integer(struct reader *r, const struct json *json, int64_t min,
             uint64_t max, uint64_t *value)
{
    bool negative = false, ok = false;

    if (json->type == JSON_INTEGER) {
        negative = json_integer(json) < 0;
        *value = json_integer(json);
        ok = true;
    } else if (json->type == JSON_STRING) {
        const char *s = json_string(json);
        char *end;

        negative = s[0] == '-';
        errno = 0;
        *value = negative ? (uint64_t) strtoll(s, &end, 0)
                          : strtoull(s, &end, 0);
        /* strtoull() takes white space and signs, which are no numbers here.
         */
        ok = !errno && !*end && end != s
             && (s[0] == '-' || (s[0] >= '0' && s[0] <= '9'));
        if (!ok) {
            FAULT(r, "\"%s\" is not a number%s", s,
                  errno == ERANGE ? " of 64 bits" : "");
            return false;
        }
    }
    if (!ok) {
        FAULT(r, "%s, want a number%s", describe(json),
              json->type == JSON_REAL
              ? "; write one over 63 bits as a string" : "");
    } else if (negative ? (int64_t) *value < min : *value > max) {
        FAULT(r, negative ? "%"PRId64" is out of range; at least %"PRId64
                 : "%"PRIu64" is out of range; at most %"PRIu64,
              *value, negative ? (uint64_t) min : max);
        ok = false;
    }
    return ok;
}

static bool
read_ip4(struct reader *r, const struct json *json, uint32_t *value)
{
    uint64_t number;

    if (json->type == JSON_STRING && strchr(json_string(json), '.')) {
        uint8_t b[4];

        if (inet_pton(AF_INET, json_string(json), b) != 1) {
            FAULT(r, "\"%s\" is not an IPv4 address", json_string(json));
            return false;
        }
        *value = b[0] | b[1] << 8 | b[2] << 16 | (uint32_t) b[3] << 24;
        return true;
    }
    if (json->type == JSON_STRING && strchr(json_string(json), ':')) {
        FAULT(r, "\"%s\" is not an IPv4 address", json_string(json));
        return false;
    }
    if (!read_integer(r, json, 0, UINT32_MAX, &number)) {
        return false;
    }
    *value = number;
    return true;
}

/* Compares names without case and leading underscores; '-' equals '_'. */
static bool
enum_name_equal(const char *a, const char *b)
{
    a += strspn(a, "_");
    b += strspn(b, "_");
    for (; *a && *b; a++, b++) {
        char ca = *a == '-' ? '_' : *a >= 'a' && *a <= 'z' ? *a - 32 : *a;
        char cb = *b == '-' ? '_' : *b >= 'a' && *b <= 'z' ? *b - 32 : *b;

        if (ca != cb) {
            return false;
        }
    }
    return *a == *b;
}

static bool
read_enum(struct reader *r, const struct json *json,
          const ProtobufCEnumDescriptor *desc, int *value)
{
    struct ds names = DS_EMPTY_INITIALIZER;

    for (size_t i = 0; i < desc->n_values; i++) {
        const ProtobufCEnumValue *v = &desc->values[i];

        if (json->type == JSON_STRING
            ? enum_name_equal(json_string(json), v->name)
            : json->type == JSON_INTEGER && json_integer(json) == v->value) {
            *value = v->value;
            ds_destroy(&names);
            return true;
        }
        ds_put_format(&names, "%s%s", i ? ", " : "", v->name);
    }
    if (json->type == JSON_STRING) {
        FAULT(r, "\"%s\" is none of %s", json_string(json), ds_cstr(&names));
    } else if (json->type == JSON_INTEGER) {
        FAULT(r, "%"PRId64" is the number of none of %s", json_integer(json),
              ds_cstr(&names));
    } else {
        FAULT(r, "%s, want one of %s", describe(json), ds_cstr(&names));
    }
    ds_destroy(&names);
    return false;
}

static bool
read_bytes(struct reader *r, const struct json *json,
           const ProtobufCFieldDescriptor *f, ProtobufCBinaryData *value)
{
    char *error;

    if (json->type != JSON_STRING) {
        FAULT(r, "%s, want a string", describe(json));
        return false;
    }
    if (!json_string(json)[0]) {
        return true;
    }
    error = otd_bytes_from_text(otd_field_role(f), json_string(json),
                                &value->data, &value->len);
    if (error) {
        FAULT(r, "%s", error);
        free(error);
        return false;
    }
    return true;
}

/* Size of one value of the field in its struct, or in its array. */
static size_t
value_size(const ProtobufCFieldDescriptor *f)
{
    switch (f->type) {
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return 8;
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
        return 4;
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_ENUM:
        return sizeof(int);
    case PROTOBUF_C_TYPE_STRING:
        return sizeof(char *);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(ProtobufCMessage *);
    }
    OVS_NOT_REACHED();
}

static bool
read_number(struct reader *r, const struct json *json,
            const ProtobufCFieldDescriptor *f, void *value)
{
    uint64_t number;
    uint32_t number32;
    bool ok;

    switch (value_size(f)) {
    case 8:
        ok = f->type == PROTOBUF_C_TYPE_UINT64
             || f->type == PROTOBUF_C_TYPE_FIXED64
             ? read_integer(r, json, 0, UINT64_MAX, &number)
             : read_integer(r, json, INT64_MIN, INT64_MAX, &number);
        if (ok) {
            memcpy(value, &number, 8);
        }
        return ok;
    default:
        if (otd_field_role(f) == OTD_ROLE_IPV4) {
            return read_ip4(r, json, value);
        }
        ok = f->type == PROTOBUF_C_TYPE_UINT32
             || f->type == PROTOBUF_C_TYPE_FIXED32
             ? read_integer(r, json, 0, UINT32_MAX, &number)
             : read_integer(r, json, INT32_MIN, INT32_MAX, &number);
        if (ok) {
            number32 = number;
            memcpy(value, &number32, 4);
        }
        return ok;
    }
}

/* Reads one value into '*value', which has the field's type in the struct. */
static bool
read_value(struct reader *r, const struct json *json,
           const ProtobufCFieldDescriptor *f, void *value)
{
    switch (f->type) {
    case PROTOBUF_C_TYPE_BOOL:
        if (json->type != JSON_TRUE && json->type != JSON_FALSE) {
            FAULT(r, "%s, want true or false", describe(json));
            return false;
        }
        *(protobuf_c_boolean *) value = json->type == JSON_TRUE;
        return true;
    case PROTOBUF_C_TYPE_ENUM:
        return read_enum(r, json, f->descriptor, value);
    case PROTOBUF_C_TYPE_STRING:
        if (json->type != JSON_STRING) {
            FAULT(r, "%s, want a string", describe(json));
            return false;
        }
        if (json_string(json)[0]) {
            *(char **) value = xstrdup(json_string(json));
        }
        return true;
    case PROTOBUF_C_TYPE_BYTES:
        return read_bytes(r, json, f, value);
    case PROTOBUF_C_TYPE_MESSAGE: {
        const ProtobufCMessageDescriptor *desc = f->descriptor;
        ProtobufCMessage *m = xzalloc(desc->sizeof_message);

        desc->message_init(m);
        *(ProtobufCMessage **) value = m;
        return read_message(r, json, m);
    }
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        return read_number(r, json, f, value);
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_DOUBLE:
        break;                  /* The API has none. */
    }
    OVS_NOT_REACHED();
}

static bool
read_repeated(struct reader *r, const struct json *json,
              const ProtobufCFieldDescriptor *f, ProtobufCMessage *m)
{
    size_t path_len = r->path.length;
    size_t size = value_size(f), n;
    bool ok = true;
    char *array;

    if (json->type != JSON_ARRAY) {
        FAULT(r, "%s, want an array", describe(json));
        return false;
    }
    n = json->array.n;
    if (!n) {
        return true;
    }
    array = xzalloc(n * size);
    *(void **) ((char *) m + f->offset) = array;
    for (size_t i = 0; i < n; i++) {
        ds_put_format(&r->path, "[%"PRIuSIZE"]", i);
        if (json->array.elems[i]->type == JSON_NULL) {
            FAULT(r, "null cannot stand in an array");
            ok = false;
        } else if (!read_value(r, json->array.elems[i], f,
                               array + i * size)) {
            ok = false;
        }
        ds_truncate(&r->path, path_len);
        if (f->type == PROTOBUF_C_TYPE_MESSAGE
            && !((void **) array)[i]) {
            break;              /* What follows would not be freed. */
        }
        *(size_t *) ((char *) m + f->quantifier_offset) = i + 1;
    }
    return ok;
}

static bool
camel_equal(const char *snake, const char *camel)
{
    for (; *snake; snake++, camel++) {
        if (*snake == '_' && snake[1] >= 'a' && snake[1] <= 'z') {
            snake++;
            if (*camel != *snake - 32) {
                return false;
            }
        } else if (*camel != *snake) {
            return false;
        }
    }
    return !*camel;
}

static const ProtobufCFieldDescriptor *
find_field(const ProtobufCMessageDescriptor *desc, const char *name)
{
    for (size_t i = 0; i < desc->n_fields; i++) {
        if (!strcmp(desc->fields[i].name, name)
            || camel_equal(desc->fields[i].name, name)) {
            return &desc->fields[i];
        }
    }
    return NULL;
}

static void
fault_unknown(struct reader *r, const ProtobufCMessageDescriptor *desc,
              const char *name)
{
    struct ds known = DS_EMPTY_INITIALIZER;

    for (size_t i = 0; i < desc->n_fields; i++) {
        ds_put_format(&known, "%s%s", i ? ", " : "", desc->fields[i].name);
    }
    FAULT(r, "unknown field \"%s\"; %s has %s", name, desc->short_name,
          desc->n_fields ? ds_cstr(&known) : "no fields");
    ds_destroy(&known);
}

/* Marks the field in its oneof.  False if another one of it is there. */
static bool
set_oneof_case(struct reader *r, const ProtobufCFieldDescriptor *f,
               ProtobufCMessage *m)
{
    uint32_t *which = (uint32_t *) ((char *) m + f->quantifier_offset);

    if (*which) {
        const ProtobufCFieldDescriptor *other
            = protobuf_c_message_descriptor_get_field(m->descriptor, *which);

        FAULT(r, "excludes %s, which is given, too", other->name);
        return false;
    }
    *which = f->id;
    return true;
}

static bool
read_member(struct reader *r, const char *name, const struct json *json,
            ProtobufCMessage *m, bool *given)
{
    const ProtobufCMessageDescriptor *desc = m->descriptor;
    const ProtobufCFieldDescriptor *f = find_field(desc, name);
    size_t path_len = r->path.length;
    bool ok;

    if (!f) {
        fault_unknown(r, desc, name);
        return false;
    }
    ds_put_format(&r->path, "%s%s", path_len ? "." : "", f->name);
    if (given[f - desc->fields]) {
        FAULT(r, "given twice, in two spellings");
        ok = false;
    } else if (json->type == JSON_NULL) {
        ok = true;              /* As if it were not there. */
    } else if (f->label == PROTOBUF_C_LABEL_REPEATED) {
        ok = read_repeated(r, json, f, m);
    } else if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF
               && !set_oneof_case(r, f, m)) {
        ok = false;
    } else {
        ok = read_value(r, json, f, (char *) m + f->offset);
    }
    given[f - desc->fields] = true;
    ds_truncate(&r->path, path_len);
    return ok;
}

static bool
read_message(struct reader *r, const struct json *json, ProtobufCMessage *m)
{
    const struct shash_node **nodes;
    bool *given;
    bool ok = true;
    size_t n;

    if (json->type != JSON_OBJECT) {
        FAULT(r, "%s, want an object with the fields of %s", describe(json),
              m->descriptor->short_name);
        return false;
    }
    /* Sorted, so that faults come in the same order on each run. */
    nodes = shash_sort(json_object(json));
    n = shash_count(json_object(json));
    given = xzalloc(m->descriptor->n_fields + 1);
    for (size_t i = 0; i < n; i++) {
        if (!read_member(r, nodes[i]->name, nodes[i]->data, m, given)) {
            ok = false;
        }
    }
    free(given);
    free(nodes);
    return ok;
}

ProtobufCMessage *
otd_message_from_json(const ProtobufCMessageDescriptor *desc,
                      const struct json *json, struct otd_faults *faults)
{
    struct reader r = { .faults = faults, .path = DS_EMPTY_INITIALIZER };
    ProtobufCMessage *m = xzalloc(desc->sizeof_message);

    desc->message_init(m);
    if (!read_message(&r, json, m)) {
        protobuf_c_message_free_unpacked(m, NULL);
        m = NULL;
    }
    ds_destroy(&r.path);
    return m;
}

/* ---- A message to JSON. */

static struct json *
value_to_json(const ProtobufCFieldDescriptor *f, const void *value)
{
    switch (f->type) {
    case PROTOBUF_C_TYPE_BOOL:
        return json_boolean_create(*(const protobuf_c_boolean *) value);
    case PROTOBUF_C_TYPE_ENUM: {
        int number = *(const int *) value;
        const ProtobufCEnumValue *v
            = protobuf_c_enum_descriptor_get_value(f->descriptor, number);

        return v ? json_string_create(v->name) : json_integer_create(number);
    }
    case PROTOBUF_C_TYPE_STRING:
        return json_string_create(*(char *const *) value);
    case PROTOBUF_C_TYPE_BYTES: {
        const ProtobufCBinaryData *b = value;

        return json_string_create_nocopy(
            otd_bytes_to_text(otd_field_role(f), b->data, b->len));
    }
    case PROTOBUF_C_TYPE_MESSAGE:
        return otd_message_to_json(*(ProtobufCMessage *const *) value);
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        return json_string_create_nocopy(
            xasprintf("%"PRIu64, *(const uint64_t *) value));
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        return json_string_create_nocopy(
            xasprintf("%"PRId64, *(const int64_t *) value));
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        return otd_field_role(f) == OTD_ROLE_IPV4
               ? json_string_create_nocopy(
                     otd_ip4_to_text(*(const uint32_t *) value))
               : json_integer_create(*(const uint32_t *) value);
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        return json_integer_create(*(const int32_t *) value);
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_DOUBLE:
        break;                  /* The API has none. */
    }
    OVS_NOT_REACHED();
}

/* True if the member has its default value, which the wire does not carry. */
static bool
is_default(const ProtobufCFieldDescriptor *f, const void *value)
{
    static const uint64_t zero;

    switch (f->type) {
    case PROTOBUF_C_TYPE_STRING: {
        const char *s = *(char *const *) value;

        return !s || !s[0];
    }
    case PROTOBUF_C_TYPE_BYTES:
        return !((const ProtobufCBinaryData *) value)->len;
    case PROTOBUF_C_TYPE_MESSAGE:
        return !*(void *const *) value;
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_DOUBLE:
    case PROTOBUF_C_TYPE_BOOL:
    case PROTOBUF_C_TYPE_ENUM:
        return !memcmp(value, &zero, value_size(f));
    }
    OVS_NOT_REACHED();
}

struct json *
otd_message_to_json(const ProtobufCMessage *m)
{
    struct json *object = json_object_create();

    for (size_t i = 0; i < m->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
        const char *value = (const char *) m + f->offset;
        const char *quantifier = (const char *) m + f->quantifier_offset;

        if (otd_field_role(f) == OTD_ROLE_KEY) {
            continue;
        }
        if (f->label == PROTOBUF_C_LABEL_REPEATED) {
            size_t n = *(const size_t *) quantifier;
            const char *array = *(const char *const *) value;

            if (n) {
                struct json *json = json_array_create_empty();

                for (size_t j = 0; j < n; j++) {
                    json_array_add(json, value_to_json(
                                       f, array + j * value_size(f)));
                }
                json_object_put(object, f->name, json);
            }
        } else if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF
                   ? *(const uint32_t *) quantifier == f->id
                     && (f->type != PROTOBUF_C_TYPE_MESSAGE
                         || !is_default(f, value))
                   : !is_default(f, value)) {
            json_object_put(object, f->name, value_to_json(f, value));
        }
    }
    return object;
}
