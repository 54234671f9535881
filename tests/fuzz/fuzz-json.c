/* SPDX-License-Identifier: Apache-2.0 */

/* A fuzz target for the files that the command line reads.  Besides "no crash":
 *
 *   - an error and an object never come together, and an error ends with a text;
 *   - a request that is accepted packs to bytes that unpack;
 *   - what is printed of it is accepted again, and prints the same. */

#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli/input.h"
#include "cli/message.h"
#include "cli/print.h"
#include "cli/request.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/json.h"
#include "util.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

#define MUST(CONDITION)                                                 \
    do {                                                                \
        if (!(CONDITION)) {                                             \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__,  \
                    #CONDITION);                                        \
            abort();                                                    \
        }                                                               \
    } while (0)

/* The request as it is printed. */
static char *
print(const Tunneloffload__V2__IpTunnelRequest *request)
{
    struct json *json = otd_message_to_json(&request->base);
    char *text = json_to_string(json, JSSF_SORT);

    json_destroy(json);
    return text;
}

static void
check_request(const struct json *json, Tunneloffload__V2__Operation operation)
{
    struct otd_faults faults = OTD_FAULTS_INITIALIZER;
    Tunneloffload__V2__IpTunnelRequest *request, *again;
    struct ds ds = DS_EMPTY_INITIALIZER;

    request = otd_request_from_json(json, operation, &faults);
    MUST((request == NULL) == otd_faults_any(&faults));
    if (request) {
        size_t n = protobuf_c_message_get_packed_size(&request->base);
        uint8_t *bytes = xmalloc(n + 1);
        char *text = print(request), *text_again;
        struct json *printed = json_from_string(text);

        protobuf_c_message_pack(&request->base, bytes);
        again = tunneloffload__v2__ip_tunnel_request__unpack(NULL, n, bytes);
        MUST(again != NULL);
        text_again = print(again);
        MUST(!strcmp(text, text_again));
        free(text_again);
        tunneloffload__v2__ip_tunnel_request__free_unpacked(again, NULL);

        again = otd_request_from_json(printed, PB(OPERATION___NONE), &faults);
        MUST(again != NULL);
        text_again = print(again);
        MUST(!strcmp(text, text_again));
        free(text_again);
        tunneloffload__v2__ip_tunnel_request__free_unpacked(again, NULL);

        otd_format_match(&ds, request->match_criteria);
        otd_format_tunnel(&ds, request);
        ds_destroy(&ds);
        json_destroy(printed);
        free(text);
        free(bytes);
        tunneloffload__v2__ip_tunnel_request__free_unpacked(request, NULL);
    }
    otd_faults_destroy(&faults);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    struct otd_input *in;
    char path[64];
    char *error;

    MUST(fd >= 0 && write(fd, data, size) == size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    MUST(!otd_input_open(path, &in));
    for (;;) {
        struct json *json;

        error = otd_input_next(in, &json);
        MUST(!error || !json);
        if (error || !json) {
            break;
        }
        check_request(json, PB(OPERATION___CREATE));
        json_destroy(json);
    }
    MUST(!error || error[0]);
    free(error);
    otd_input_close(in);
    close(fd);
    return 0;
}
