/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OTD_COMPAT_H
#define OTD_COMPAT_H 1

/* The one place that knows that Open vSwitch has versions.
 *
 * Built against 3.1 and newer.  The files of ofctl/ use only what has the same
 * name and meaning in all of them; where that is not possible the difference
 * is bridged here, with the version in which it appeared.  They include this
 * header instead of the library headers below. */

#include "openvswitch/json.h"
#include "openvswitch/version.h"
#include "daemon.h"
#include "jsonrpc.h"

/* OpenFlow 1.5 is all that this daemon speaks: it is enabled by default since
 * Open vSwitch 2.15, and the one version with bundles, importance-free
 * flow_mods and set_field with masks as the standard has them. */
#define OTD_OFP_VERSION OFP15_VERSION
#define OTD_OFP_PROTOCOL OFPUTIL_P_OF15_OXM

/* The text of a unixctl reply's "result" or "error" member; borrowed.  Servers
 * up to 3.3 send a string always; from 3.4 on a server sends any JSON value,
 * but only to clients that asked for JSON output (this one never does).  NULL
 * if it is no string.
 *
 * json_string() hides that the string moved within struct json in 3.6. */
static inline const char *
otd_json_text(const struct json *json)
{
    return json && json->type == JSON_STRING ? json_string(json) : NULL;
}

/* A JSON array of 'n' strings; returns owned.  (struct json_array's members
 * were renamed in 3.6; the functions were not.) */
static inline struct json *
otd_json_strings(const char *const strings[], size_t n)
{
    struct json *array = json_array_create_empty();

    for (size_t i = 0; i < n; i++) {
        json_array_add(array, json_string_create(strings[i]));
    }
    return array;
}

/* daemonize_start(), keeping CAP_NET_ADMIN for another --user but not the raw I/O
 * that a second argument asks for since 3.2. */
static inline void
otd_daemonize_start(void)
{
    void (*start)(void) = (void (*)(void)) daemonize_start;

    if (__builtin_types_compatible_p(__typeof__(&daemonize_start),
                                     void (*)(bool))) {
        ((void (*)(bool)) start)(true);
    } else {
        ((void (*)(bool, bool)) start)(true, false);
    }
}

#endif /* ofctl/compat.h */
