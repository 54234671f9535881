/* SPDX-License-Identifier: Apache-2.0 */

/* The merge of an _UPDATE.  Proto3 scalars have no presence, so 0 in the patch
 * means "stays"; whoever wants a 0 deletes the tunnel and creates it anew. */

#include <config.h>
#include "tunnel/spec.h"

#include <string.h>

#include "util.h"

static void
merge_u32(uint32_t *base, uint32_t patch)
{
    if (patch) {
        *base = patch;
    }
}

static void
merge_ip(enum otd_family family, struct in6_addr *base,
         const struct in6_addr *patch)
{
    bool given = (family == OTD_FAMILY_IPV4 ? otd_ip4_to_wire(patch) != 0
                  : !IN6_IS_ADDR_UNSPECIFIED(patch));
    if (given) {
        *base = *patch;
    }
}

static void
merge_mac_pair(struct otd_mac_pair *base, const struct otd_mac_pair *patch)
{
    base->present |= patch->present;
    if (patch->has_dst) {
        base->has_dst = true;
        base->dst = patch->dst;
    }
    if (patch->has_src) {
        base->has_src = true;
        base->src = patch->src;
    }
}

/* The two families are members of one oneof: the other one replaces. */
static void
merge_ip_pair(struct otd_ip_pair *base, const struct otd_ip_pair *patch)
{
    if (patch->family == OTD_FAMILY_NONE) {
        return;
    }
    if (patch->family != base->family) {
        *base = *patch;
        return;
    }
    merge_ip(base->family, &base->src, &patch->src);
    merge_ip(base->family, &base->dst, &patch->dst);
}

static void
merge_ip_match(struct otd_ip_match *base, const struct otd_ip_match *patch)
{
    if (patch->family == OTD_FAMILY_NONE) {
        return;
    }
    if (patch->family != base->family) {
        *base = *patch;
        return;
    }
    merge_ip(base->family, &base->src, &patch->src);
    merge_ip(base->family, &base->dst, &patch->dst);
    merge_u32(&base->src_plen, patch->src_plen);
    merge_u32(&base->dst_plen, patch->dst_plen);
}

static void
merge_match(struct otd_match *base, const struct otd_match *patch)
{
    if (!patch->present) {
        return;
    }
    base->present = true;
    if (patch->ingress_interface[0]) {
        memcpy(base->ingress_interface, patch->ingress_interface,
               sizeof base->ingress_interface);
    }
    merge_mac_pair(&base->mac, &patch->mac);
    merge_ip_match(&base->ip, &patch->ip);
    if (patch->tunnel_id) {
        base->tunnel_id = patch->tunnel_id;
    }

    if (patch->kind == OTD_MATCH_PLAIN) {
        return;
    }
    if (patch->kind != base->kind) {
        base->kind = patch->kind;
        base->spi = patch->spi;
        base->sn = patch->sn;
        base->overlay = patch->overlay;
        return;
    }
    merge_u32(&base->spi, patch->spi);
    merge_u32(&base->sn, patch->sn);
    merge_u32(&base->overlay.vni, patch->overlay.vni);
    merge_u32(&base->overlay.protocol_type, patch->overlay.protocol_type);
    merge_mac_pair(&base->overlay.mac, &patch->overlay.mac);
    merge_ip_match(&base->overlay.ip, &patch->overlay.ip);
}

static void
merge_encap(struct otd_geneve_encap *base,
            const struct otd_geneve_encap *patch)
{
    merge_ip_pair(&base->outer, &patch->outer);
    merge_mac_pair(&base->inner_mac, &patch->inner_mac);
    base->control_packet |= patch->control_packet;
    merge_u32(&base->vni, patch->vni);
    merge_u32(&base->protocol_type, patch->protocol_type);
    if (patch->options_len) {
        memcpy(base->options, patch->options, patch->options_len);
        memset(base->options + patch->options_len, 0,
               sizeof base->options - patch->options_len);
        base->options_len = patch->options_len;
        /* The flag speaks of the list.  Were it kept from the old list like
         * other scalars, no update could ever take a critical option away. */
        base->critical_option_present &= otd_geneve_has_critical(base);
    }
    base->critical_option_present |= patch->critical_option_present;
}

static struct otd_ipsec_sa *
find_sa(struct otd_ipsec *ipsec, uint32_t spi)
{
    for (size_t i = 0; i < ipsec->n_sas; i++) {
        if (ipsec->sas[i].spi == spi) {
            return &ipsec->sas[i];
        }
    }
    return NULL;
}

static void
merge_sa(struct otd_ipsec_sa *base, const struct otd_ipsec_sa *patch)
{
    merge_u32(&base->spi, patch->spi);
    if (patch->key_len) {
        base->key_len = patch->key_len;
        base->key_is_hex = patch->key_is_hex;
    }
}

/* One entry of a decrypting tunnel's list, by its own operation. */
static void
merge_dec_sa(struct otd_ipsec *base, const struct otd_ipsec_sa *patch,
             size_t index, struct otd_faults *faults)
{
    struct otd_ipsec_sa *old = find_sa(base, patch->spi);
    char path[64];

    snprintf(path, sizeof path, "ipsec_tunnel.ipsec_dec.ipsec_sas[%"PRIuSIZE
             "]", index);
    switch (patch->operation) {
    case OTD_OP_CREATE:
        if (old) {
            otd_fault(faults, OTD_FAULT_MATCH_FIELD, path, "the tunnel has an "
                      "SA with SPI %"PRIu32" already; use _UPDATE",
                      patch->spi);
        } else if (base->n_sas >= OTD_IPSEC_SAS_MAX) {
            otd_fault(faults, OTD_FAULT_MATCH_FIELD, path, "the tunnel has "
                      "%d SAs, which is the limit; delete one first",
                      OTD_IPSEC_SAS_MAX);
        } else {
            base->sas[base->n_sas++] = *patch;
        }
        break;
    case OTD_OP_UPDATE:
        if (old) {
            merge_sa(old, patch);
        } else {
            otd_fault(faults, OTD_FAULT_MATCH_FIELD, path, "the tunnel has no "
                      "SA with SPI %"PRIu32"; use _CREATE", patch->spi);
        }
        break;
    case OTD_OP_DELETE:
        if (old) {
            size_t i = old - base->sas;

            base->n_sas--;
            memmove(old, old + 1, (base->n_sas - i) * sizeof *old);
            memset(&base->sas[base->n_sas], 0, sizeof *old);
        } else {
            otd_fault(faults, OTD_FAULT_MATCH_FIELD, path, "the tunnel has no "
                      "SA with SPI %"PRIu32" to delete", patch->spi);
        }
        break;
    default:
        otd_fault(faults, OTD_FAULT_MATCH_FIELD, path, "operation %"PRIu32
                  " among entries that have one; use _CREATE (1), _UPDATE (2) "
                  "or _DELETE (3) for each, or leave it out in all",
                  patch->operation);
        break;
    }
}

static void
merge_ipsec(struct otd_ipsec *base, const struct otd_ipsec *patch,
            enum otd_kind kind, struct otd_faults *faults)
{
    bool any_operation = false;

    merge_u32(&base->tunnel_type, patch->tunnel_type);
    merge_u32(&base->encryption_type, patch->encryption_type);
    merge_ip_pair(&base->outer, &patch->outer);
    for (size_t i = 0; i < patch->n_sas; i++) {
        any_operation |= patch->sas[i].operation != OTD_OP_NONE;
    }

    if (!patch->n_sas) {
        return;
    } else if (kind == OTD_KIND_IPSEC_ENC && base->n_sas) {
        merge_sa(&base->sas[0], &patch->sas[0]);
    } else if (kind == OTD_KIND_IPSEC_ENC || !any_operation) {
        memcpy(base->sas, patch->sas, sizeof base->sas);
        base->n_sas = patch->n_sas;
    } else {
        for (size_t i = 0; i < patch->n_sas; i++) {
            merge_dec_sa(base, &patch->sas[i], i, faults);
        }
    }
}

void
otd_spec_merge(struct otd_spec *base, const struct otd_spec *patch,
               struct otd_faults *faults)
{
    merge_u32(&base->next_action, patch->next_action);
    merge_match(&base->match, &patch->match);

    if (patch->kind == OTD_KIND_NONE) {
        return;
    }
    if (base->kind != patch->kind) {
        otd_fault(faults, OTD_FAULT_MATCH_FIELD, "tunnel", "%s, but tunnel "
                  "%"PRIu64" is %s; to change the kind, delete the tunnel and "
                  "create it anew", otd_kind_to_string(patch->kind), base->id,
                  otd_kind_to_string(base->kind));
        return;
    }
    switch (patch->kind) {
    case OTD_KIND_GENEVE_ENCAP:
        merge_encap(&base->encap, &patch->encap);
        break;
    case OTD_KIND_IPSEC_ENC:
    case OTD_KIND_IPSEC_DEC:
        merge_ipsec(&base->ipsec, &patch->ipsec, patch->kind, faults);
        break;
    case OTD_KIND_NAT:
        merge_u32(&base->nat_source_ip, patch->nat_source_ip);
        break;
    case OTD_KIND_NONE:
    case OTD_KIND_GENEVE_DECAP:
    case OTD_N_KINDS:
        break;
    }
}
