/* SPDX-License-Identifier: Apache-2.0 */
/* The command chains: which tunnel hands its packets to which. */
#include <config.h>
#include "cli/ctl.h"

#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/links.h"
#include "cli/print.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/json.h"
#include "util.h"

static void
add_page(const ProtobufCMessage *m, void *links)
{
    const Tunneloffload__V2__IpTunnelResponses *page
        = (const Tunneloffload__V2__IpTunnelResponses *) m;

    for (size_t i = 0; i < page->n_responses; i++) {
        if (page->responses[i]->ip_tunnel) {
            otd_links_add(links, page->responses[i]->tunnel_id,
                          page->responses[i]->ip_tunnel);
        }
    }
}

/* ---- Text. */

static void
print_node(const struct otd_link *node, int depth)
{
    printf("%*s%s%"PRIu64"  %s\n", 2 + 3 * depth, "", depth ? "-> " : "",
           node->id, node->summary);
}

/* A circle is refused by the server, so the depth is bounded by the number of
 * tunnels; a server that is not ours must not make this recurse for ever. */
static void
print_tree(const struct otd_links *links, const struct otd_link *node,
           int depth)
{
    print_node(node, depth);
    if (depth >= OTD_LINKS_MAX_DEPTH) {
        printf("%*s...\n", 5 + 3 * depth, "");
        return;
    }
    for (size_t i = 0; i < node->n_followers; i++) {
        print_tree(links, otd_links_get(links, node->followers[i]),
                   depth + 1);
    }
}

static void
print_heading(const char *heading, bool *done)
{
    if (!*done) {
        printf("%s\n", heading);
        *done = true;
    }
}

static void
print_text(const struct otd_links *links)
{
    static const struct {
        enum otd_link_place place;
        const char *heading;
    } sections[] = {
        { OTD_LINK_ALONE, "Tunnels that stand alone:" },
        { OTD_LINK_CHAIN, "Chains:" },
        { OTD_LINK_MISSING, "Chains whose first tunnel is not there:" },
    };
    bool heading;

    for (size_t s = 0; s < ARRAY_SIZE(sections); s++) {
        heading = false;
        for (size_t i = 0; i < otd_links_count(links); i++) {
            const struct otd_link *node = otd_links_get(links, i);

            if (node->place != sections[s].place) {
                continue;
            }
            print_heading(sections[s].heading, &heading);
            if (node->place == OTD_LINK_MISSING) {
                printf("  (%"PRIu64")\n", node->follows);
            }
            print_tree(links, node, node->place == OTD_LINK_MISSING);
        }
    }

    heading = false;
    for (size_t i = 0; i < otd_links_count(links); i++) {
        const struct otd_link *node = otd_links_get(links, i);

        if (node->n_maybe) {
            print_heading("Might be chained, also matches by IP:", &heading);
            print_node(node, 0);
        }
        for (size_t j = 0; j < node->n_maybe; j++) {
            print_node(otd_links_get(links, node->maybe[j]), 1);
        }
        if (node->more_maybe) {
            printf("     -> ... and more\n");
        }
    }
}

/* ---- JSON. */

static struct json *
id_to_json(uint64_t id)
{
    return json_string_create_nocopy(xasprintf("%"PRIu64, id));
}

static struct json *
tree_to_json(const struct otd_links *links, const struct otd_link *node,
             int depth)
{
    struct json *json = json_object_create();

    json_object_put(json, "tunnel_id", id_to_json(node->id));
    json_object_put_string(json, "summary", node->summary);
    if (node->n_followers && depth < OTD_LINKS_MAX_DEPTH) {
        struct json *array = json_array_create_empty();

        for (size_t i = 0; i < node->n_followers; i++) {
            json_array_add(array, tree_to_json(
                links, otd_links_get(links, node->followers[i]), depth + 1));
        }
        json_object_put(json, "followers", array);
    }
    return json;
}

static struct json *
maybe_to_json(const struct otd_links *links, const struct otd_link *node)
{
    struct json *json = json_object_create();
    struct json *array = json_array_create_empty();

    for (size_t i = 0; i < node->n_maybe; i++) {
        json_array_add(array, id_to_json(
                           otd_links_get(links, node->maybe[i])->id));
    }
    json_object_put(json, "tunnel_id", id_to_json(node->id));
    json_object_put(json, "followers", array);
    if (node->more_maybe) {
        json_object_put(json, "more", json_boolean_create(true));
    }
    return json;
}

static struct json *
links_to_json(const struct otd_links *links)
{
    struct json *json = json_object_create();
    struct json *sections[OTD_N_LINK_PLACES] = { NULL };
    struct json *maybe = json_array_create_empty();

    sections[OTD_LINK_ALONE] = json_array_create_empty();
    sections[OTD_LINK_CHAIN] = json_array_create_empty();
    sections[OTD_LINK_MISSING] = json_array_create_empty();
    for (size_t i = 0; i < otd_links_count(links); i++) {
        const struct otd_link *node = otd_links_get(links, i);

        if (sections[node->place]) {
            struct json *tree = tree_to_json(links, node, 0);

            if (node->place == OTD_LINK_MISSING) {
                json_object_put(tree, "follows", id_to_json(node->follows));
            }
            json_array_add(sections[node->place], tree);
        }
        if (node->n_maybe) {
            json_array_add(maybe, maybe_to_json(links, node));
        }
    }
    json_object_put(json, "alone", sections[OTD_LINK_ALONE]);
    json_object_put(json, "chains", sections[OTD_LINK_CHAIN]);
    json_object_put(json, "missing", sections[OTD_LINK_MISSING]);
    json_object_put(json, "maybe", maybe);
    return json;
}

int
ctl_chains(struct ctl *ctl)
{
    Tunneloffload__V2__TunnelRequestArgs args = PB(TUNNEL_REQUEST_ARGS__INIT);
    struct otd_links *links = otd_links_create();
    bool ok;

    ok = ctl_read(ctl, CTL_METHOD("GetAllIpTunnels"), &args.base,
                  &tunneloffload__v2__ip_tunnel_responses__descriptor,
                  add_page, links);
    if (ok) {
        otd_links_resolve(links);
        if (ctl_is_json(ctl)) {
            ctl_json_print(ctl, links_to_json(links));
        } else {
            print_text(links);
        }
    }
    otd_links_destroy(links);
    return ok ? CTL_OK : CTL_FAILED;
}
