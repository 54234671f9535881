/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "ofctl/ovsdb-private.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "packets.h"
#include "smap.h"
#include "util.h"

#define BRIDGE_NAME_MAX 15      /* Its local port is a network device. */

static void OVS_PRINTF_FORMAT(2, 3)
complain(struct ds *complaints, const char *format, ...)
{
    va_list args;

    if (complaints->length) {
        ds_put_cstr(complaints, "; ");
    }
    va_start(args, format);
    ds_put_format_valist(complaints, format, args);
    va_end(args);
}

/* An unsigned number, decimal or hex, in 'min'...'max'; 'def' if it is not set
 * or cannot be read. */
static uint32_t
get_number(const struct smap *ids, const char *key, uint32_t min, uint32_t max,
           uint32_t def, struct ds *complaints)
{
    const char *s = smap_get(ids, key);
    unsigned long long int x;

    if (!s) {
        return def;
    }
    /* str_to_ullong() takes "-1" for a large number. */
    if (s[0] == '-' || !str_to_ullong(s, 0, &x) || x < min || x > max) {
        complain(complaints, "external_ids:%s: \"%s\" is not a number from "
                 "%"PRIu32" to %"PRIu32"; using %"PRIu32, key, s, min, max,
                 def);
        return def;
    }
    return x;
}

static bool
get_bool(const struct smap *ids, const char *key, bool def,
         struct ds *complaints)
{
    const char *s = smap_get(ids, key);

    if (!s) {
        return def;
    } else if (!strcmp(s, "true")) {
        return true;
    } else if (!strcmp(s, "false")) {
        return false;
    }
    complain(complaints, "external_ids:%s: \"%s\" is neither true nor false; "
             "using %s", key, s, def ? "true" : "false");
    return def;
}

static char *
get_bridge(const struct smap *ids, struct ds *complaints)
{
    const char *s = smap_get(ids, "tunneld-bridge");

    if (!s) {
        return xstrdup("br-int");
    } else if (!s[0] || strlen(s) > BRIDGE_NAME_MAX
               || strcspn(s, "/ \t\r\n") != strlen(s)) {
        complain(complaints, "external_ids:tunneld-bridge: \"%s\" is no name "
                 "for a bridge (1 to %d bytes without slash and space); "
                 "using br-int", s, BRIDGE_NAME_MAX);
        return xstrdup("br-int");
    }
    return xstrdup(s);
}

static void
get_encap_ip(const struct smap *ids, struct otd_settings *settings,
             struct ds *complaints)
{
    char *copy = xstrdup(smap_get_def(ids, "tunneld-encap-ip", ""));
    char *save_ptr = NULL;

    for (char *s = strtok_r(copy, ", ", &save_ptr); s;
         s = strtok_r(NULL, ", ", &save_ptr)) {
        struct in6_addr addr, *dst = NULL;
        struct in_addr addr4;

        if (inet_pton(AF_INET, s, &addr4) == 1) {
            in6_addr_set_mapped_ipv4(&addr, addr4.s_addr);
            dst = &settings->encap_ip4;
        } else if (inet_pton(AF_INET6, s, &addr) == 1
                   && !IN6_IS_ADDR_V4MAPPED(&addr)) {
            dst = &settings->encap_ip6;
        }

        if (!dst) {
            complain(complaints, "external_ids:tunneld-encap-ip: \"%s\" is no "
                     "IP address; ignoring it", s);
        } else if (ipv6_addr_is_set(dst)) {
            complain(complaints, "external_ids:tunneld-encap-ip: \"%s\" is a "
                     "second address of its family; ignoring it", s);
        } else if (!ipv6_addr_is_set(&addr) || ipv6_addr_is_multicast(&addr)
                   || (dst == &settings->encap_ip4
                       && (!addr4.s_addr || ip_is_multicast(addr4.s_addr)
                           || addr4.s_addr == OVS_BE32_MAX))) {
            complain(complaints, "external_ids:tunneld-encap-ip: \"%s\" "
                     "cannot be the address of a host; ignoring it", s);
        } else {
            *dst = addr;
        }
    }
    free(copy);
}

static enum otd_default_action
get_default_action(const struct smap *ids, struct ds *complaints)
{
    const char *s = smap_get_def(ids, "tunneld-default-action", "normal");

    if (!strcmp(s, "drop")) {
        return OTD_DEFAULT_DROP;
    } else if (strcmp(s, "normal")) {
        complain(complaints, "external_ids:tunneld-default-action: \"%s\" is "
                 "neither normal nor drop; using normal", s);
    }
    return OTD_DEFAULT_NORMAL;
}

void
otd_settings_parse(struct otd_settings *settings, const struct smap *ids)
{
    struct ds complaints = DS_EMPTY_INITIALIZER;

    *settings = (struct otd_settings) {
        .bridge = get_bridge(ids, &complaints),
        .datapath_type = xstrdup(
            smap_get_def(ids, "tunneld-bridge-datapath-type", "")),
        .listen = xstrdup(smap_get_def(ids, "tunneld-listen", "")),
        .default_action = get_default_action(ids, &complaints),
        .mark_base = get_number(ids, "tunneld-mark-base", 0, UINT32_MAX, 0,
                                &complaints),
        .mark_mask = get_number(ids, "tunneld-mark-mask", 1, UINT32_MAX,
                                0xffffff, &complaints),
        .geneve_port = get_number(ids, "tunneld-geneve-port", 1, UINT16_MAX,
                                  6081, &complaints),
        .share_bridge = get_bool(ids, "tunneld-share-bridge", false,
                                 &complaints),
        .capacity = get_number(ids, "tunneld-capacity", 0, 1 << 26, 1 << 20,
                               &complaints),
        .poll_interval_ms = get_number(ids, "tunneld-stats-interval", 100,
                                       24 * 60 * 60 * 1000, 10000,
                                       &complaints),
    };
    get_encap_ip(ids, settings, &complaints);
    settings->complaints = ds_steal_cstr(&complaints);
}

void
otd_settings_destroy(struct otd_settings *settings)
{
    free(settings->bridge);
    free(settings->datapath_type);
    free(settings->listen);
    free(settings->complaints);
}

void
otd_settings_format(const struct otd_settings *settings, struct ds *s)
{
    ds_put_format(s, "bridge=%s datapath_type=%s encap_ip=",
                  settings->bridge, settings->datapath_type);
    ipv6_format_mapped(&settings->encap_ip4, s);
    ds_put_char(s, ',');
    ipv6_format_mapped(&settings->encap_ip6, s);
    ds_put_format(s, " listen=%s default_action=%s mark=%#"PRIx32"/%#"PRIx32
                  " geneve_port=%"PRIu16" share_bridge=%s capacity=%"PRIu32
                  " stats_interval=%"PRIu32" complaints=%s\n",
                  settings->listen,
                  settings->default_action == OTD_DEFAULT_DROP ? "drop"
                  : "normal",
                  settings->mark_base, settings->mark_mask,
                  settings->geneve_port,
                  settings->share_bridge ? "true" : "false",
                  settings->capacity, settings->poll_interval_ms,
                  settings->complaints);
}
