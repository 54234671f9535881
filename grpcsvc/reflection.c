/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "grpcsvc/reflection.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "openvswitch/ofpbuf.h"
#include "proto/descriptor-set.h"
#include "proto/reflection.pb-c.h"
#include "util.h"

typedef Grpc__Reflection__V1__ServerReflectionRequest pb_request;
typedef Grpc__Reflection__V1__ServerReflectionResponse pb_response;
#define QUESTION(MEMBER) \
    GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_##MEMBER
#define ANSWER(MEMBER) \
    GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_##MEMBER

/* A name and its wrapping.  Bounds what unpacking hostile bytes can
 * allocate. */
#define REQUEST_BYTES_MAX 4096

/* Status codes of gRPC as the ErrorResponse carries them. */
enum { CODE_NOT_FOUND = 5, CODE_UNIMPLEMENTED = 12 };

/* ---- Reading descriptors.
 *
 * Only names and nesting are needed, so the descriptor of descriptors is not
 * compiled in: a message is walked field by field, and only the
 * length-delimited fields are looked at (google/protobuf/descriptor.proto has
 * the numbers). */

struct span {
    const uint8_t *p;
    size_t n;
};

enum {
    FILE_SET_FILE = 1,
    FILE_NAME = 1, FILE_PACKAGE = 2, FILE_MESSAGE = 4, FILE_ENUM = 5,
    FILE_SERVICE = 6,
    MESSAGE_NAME = 1, MESSAGE_FIELD = 2, MESSAGE_MESSAGE = 3,
    MESSAGE_ENUM = 4, MESSAGE_ONEOF = 8,
    ENUM_NAME = 1, ENUM_VALUE = 2,
    SERVICE_NAME = 1, SERVICE_METHOD = 2,
    LEAF_NAME = 1,              /* Of a field, an enum value, a method. */
};

static bool
take_varint(struct span *s, uint64_t *value)
{
    *value = 0;
    for (int shift = 0; s->n && shift < 64; shift += 7) {
        uint8_t byte = *s->p++;

        s->n--;
        *value |= (uint64_t) (byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            return true;
        }
    }
    return false;
}

/* Takes the next length-delimited field from 's', skipping others.  False at
 * the end (or where the bytes stop making sense, which protoc rules out). */
static bool
next_field(struct span *s, uint32_t *number, struct span *value)
{
    uint64_t tag, n;

    while (take_varint(s, &tag)) {
        *number = tag >> 3;
        switch (tag & 7) {
        case 0:
            if (!take_varint(s, &n)) {
                return false;
            }
            break;
        case 1:
        case 5:
            n = (tag & 7) == 1 ? 8 : 4;
            if (n > s->n) {
                return false;
            }
            s->p += n;
            s->n -= n;
            break;
        case 2:
            if (!take_varint(s, &n) || n > s->n) {
                return false;
            }
            *value = (struct span) { s->p, n };
            s->p += n;
            s->n -= n;
            return true;
        default:
            return false;
        }
    }
    return false;
}

/* The first field 'number' of 'message'; empty if there is none. */
static struct span
get_field(struct span message, uint32_t number)
{
    struct span value;
    uint32_t number_;

    while (next_field(&message, &number_, &value)) {
        if (number_ == number) {
            return value;
        }
    }
    return (struct span) { NULL, 0 };
}

static bool
span_equals(struct span a, const char *s)
{
    return a.n == strlen(s) && !memcmp(a.p, s, a.n);
}

/* If 'name' is the first component of '*symbol', moves '*symbol' past it: to
 * the rest after the dot, or to "" at the end. */
static bool
take_component(const char **symbol, struct span name)
{
    if (name.n && !strncmp(*symbol, (const char *) name.p, name.n)) {
        const char *end = *symbol + name.n;

        if (end[0] == '\0' || (end[0] == '.' && end[1] != '\0')) {
            *symbol = end + (end[0] == '.');
            return true;
        }
    }
    return false;
}

enum scope { SCOPE_FILE, SCOPE_MESSAGE, SCOPE_ENUM, SCOPE_SERVICE,
             SCOPE_LEAF, SCOPE_NONE };

/* What kind of thing the field 'number' declares in a thing of kind
 * 'scope'. */
static enum scope
declared_by(enum scope scope, uint32_t number)
{
    switch (scope) {
    case SCOPE_FILE:
        return (number == FILE_MESSAGE ? SCOPE_MESSAGE
                : number == FILE_ENUM ? SCOPE_ENUM
                : number == FILE_SERVICE ? SCOPE_SERVICE : SCOPE_NONE);
    case SCOPE_MESSAGE:
        return (number == MESSAGE_MESSAGE ? SCOPE_MESSAGE
                : number == MESSAGE_ENUM ? SCOPE_ENUM
                : number == MESSAGE_FIELD || number == MESSAGE_ONEOF
                ? SCOPE_LEAF : SCOPE_NONE);
    case SCOPE_ENUM:
        return number == ENUM_VALUE ? SCOPE_LEAF : SCOPE_NONE;
    case SCOPE_SERVICE:
        return number == SERVICE_METHOD ? SCOPE_LEAF : SCOPE_NONE;
    case SCOPE_LEAF:
    case SCOPE_NONE:
        break;
    }
    return SCOPE_NONE;
}

/* Is 'symbol', relative to 'decl', declared in it?  The name of a message,
 * enum, service, field, value or method is its field 1 throughout.  Values of
 * an enum belong to the scope around it ("pkg.VALUE"); the longer form, with
 * the enum's name, is taken too, because people write it. */
static bool
declares(struct span decl, enum scope scope, const char *symbol,
         bool messages_only)
{
    struct span member;
    uint32_t number;

    while (next_field(&decl, &number, &member)) {
        enum scope kind = declared_by(scope, number);
        const char *rest = symbol;

        if (kind == SCOPE_NONE) {
            continue;
        }
        if (take_component(&rest, get_field(member, LEAF_NAME))) {
            if (!*rest) {
                if (!messages_only || kind == SCOPE_MESSAGE) {
                    return true;
                }
            } else if (declares(member, kind, rest, messages_only)) {
                return true;
            }
        }
        if (kind == SCOPE_ENUM
            && declares(member, kind, symbol, messages_only)) {
            return true;
        }
    }
    return false;
}

static bool
next_file(struct span *set, struct span *file)
{
    uint32_t number;

    while (next_field(set, &number, file)) {
        if (number == FILE_SET_FILE) {
            return true;
        }
    }
    return false;
}

static struct span
descriptor_set(void)
{
    return (struct span) { otd_descriptor_set, otd_descriptor_set_len };
}

static bool
find_file_by_name(const char *name, struct span *file)
{
    for (struct span set = descriptor_set(); next_file(&set, file); ) {
        if (span_equals(get_field(*file, FILE_NAME), name)) {
            return true;
        }
    }
    return false;
}

static bool
find_file_by_symbol(const char *symbol, bool messages_only, struct span *file)
{
    /* A leading dot marks a full name in descriptors; some clients send it. */
    symbol += symbol[0] == '.';
    for (struct span set = descriptor_set(); next_file(&set, file); ) {
        const char *rest = symbol;

        if (take_component(&rest, get_field(*file, FILE_PACKAGE)) && *rest
            && declares(*file, SCOPE_FILE, rest, messages_only)) {
            return true;
        }
    }
    return false;
}

/* ---- Answers. */

static struct ofpbuf *
pack(pb_response *response)
{
    size_t n = protobuf_c_message_get_packed_size(&response->base);
    struct ofpbuf *b = ofpbuf_new(n);

    protobuf_c_message_pack(&response->base, ofpbuf_put_uninit(b, n));
    return b;
}

static struct ofpbuf *
answer_error(pb_response *response, int code, const char *message)
{
    Grpc__Reflection__V1__ErrorResponse error
        = GRPC__REFLECTION__V1__ERROR_RESPONSE__INIT;

    error.error_code = code;
    error.error_message = CONST_CAST(char *, message);
    response->message_response_case = ANSWER(ERROR_RESPONSE);
    response->error_response = &error;
    return pack(response);
}

/* None of our files imports another, so one is all that is needed. */
static struct ofpbuf *
answer_file(pb_response *response, struct span file)
{
    Grpc__Reflection__V1__FileDescriptorResponse answer
        = GRPC__REFLECTION__V1__FILE_DESCRIPTOR_RESPONSE__INIT;
    ProtobufCBinaryData bytes = {
        .len = file.n, .data = CONST_CAST(uint8_t *, file.p)
    };

    answer.n_file_descriptor_proto = 1;
    answer.file_descriptor_proto = &bytes;
    response->message_response_case = ANSWER(FILE_DESCRIPTOR_RESPONSE);
    response->file_descriptor_response = &answer;
    return pack(response);
}

static struct ofpbuf *
answer_extensions(pb_response *response, const char *type)
{
    Grpc__Reflection__V1__ExtensionNumberResponse answer
        = GRPC__REFLECTION__V1__EXTENSION_NUMBER_RESPONSE__INIT;
    struct span file;

    if (!find_file_by_symbol(type, true, &file)) {
        return answer_error(response, CODE_NOT_FOUND, "no such message type");
    }
    answer.base_type_name = CONST_CAST(char *, type);
    response->message_response_case = ANSWER(ALL_EXTENSION_NUMBERS_RESPONSE);
    response->all_extension_numbers_response = &answer;
    return pack(response);
}

#define SERVICES_MAX 8

static struct ofpbuf *
answer_services(pb_response *response)
{
    Grpc__Reflection__V1__ListServiceResponse answer
        = GRPC__REFLECTION__V1__LIST_SERVICE_RESPONSE__INIT;
    Grpc__Reflection__V1__ServiceResponse services[SERVICES_MAX];
    Grpc__Reflection__V1__ServiceResponse *pointers[SERVICES_MAX];
    struct span set = descriptor_set();
    struct span file, service;
    uint32_t number;
    size_t n = 0;

    while (next_file(&set, &file)) {
        struct span package = get_field(file, FILE_PACKAGE);

        while (next_field(&file, &number, &service)) {
            if (number == FILE_SERVICE && n < SERVICES_MAX) {
                struct span name = get_field(service, SERVICE_NAME);

                grpc__reflection__v1__service_response__init(&services[n]);
                services[n].name = xasprintf("%.*s.%.*s", (int) package.n,
                                             (const char *) package.p,
                                             (int) name.n,
                                             (const char *) name.p);
                pointers[n] = &services[n];
                n++;
            }
        }
    }
    answer.n_service = n;
    answer.service = pointers;
    response->message_response_case = ANSWER(LIST_SERVICES_RESPONSE);
    response->list_services_response = &answer;
    struct ofpbuf *b = pack(response);
    while (n) {
        free(services[--n].name);
    }
    return b;
}

static struct ofpbuf *
answer(const pb_request *request, pb_response *response)
{
    struct span file;

    switch ((int) request->message_request_case) {
    case QUESTION(FILE_BY_FILENAME):
        return (find_file_by_name(request->file_by_filename, &file)
                ? answer_file(response, file)
                : answer_error(response, CODE_NOT_FOUND, "no such file"));
    case QUESTION(FILE_CONTAINING_SYMBOL):
        return (find_file_by_symbol(request->file_containing_symbol, false,
                                    &file)
                ? answer_file(response, file)
                : answer_error(response, CODE_NOT_FOUND, "no such symbol"));
    case QUESTION(FILE_CONTAINING_EXTENSION):
        return answer_error(response, CODE_NOT_FOUND,
                            "no message has extensions");
    case QUESTION(ALL_EXTENSION_NUMBERS_OF_TYPE):
        return answer_extensions(response,
                                 request->all_extension_numbers_of_type);
    case QUESTION(LIST_SERVICES):
        return answer_services(response);
    default:
        return answer_error(response, CODE_UNIMPLEMENTED,
                            "no such kind of request");
    }
}

struct ofpbuf *
otd_reflection_answer(const void *bytes, size_t n)
{
    pb_response response
        = GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__INIT;
    pb_request *request = NULL;

    if (n <= REQUEST_BYTES_MAX) {
        request = grpc__reflection__v1__server_reflection_request__unpack(
            NULL, n, bytes);
    }
    if (!request) {
        return NULL;
    }
    response.valid_host = request->host;
    response.original_request = request;
    struct ofpbuf *b = answer(request, &response);
    grpc__reflection__v1__server_reflection_request__free_unpacked(request,
                                                                   NULL);
    return b;
}
