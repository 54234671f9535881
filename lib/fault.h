/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OTD_FAULT_H
#define OTD_FAULT_H 1

/* Faults of a request.
 *
 * A request is checked to its end and every fault is collected, because a
 * client that must fix five fields should not need five round trips.  A fault
 * is one sentence for a person: the field path as the .proto spells it, the
 * offending value, the limit and the remedy, for example
 *
 *     geneve.geneve_encap.vni: 16777216 does not fit 24 bits; use at most
 *     16777215
 *
 * A collection is a plain value without allocation of its own until the first
 * fault, so the good path costs nothing.  Not thread-safe; any thread. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "openvswitch/compiler.h"

/* What the API calls the fault (TunnelAdditionError's sub-field and value).
 * OTD_FAULT_OTHER sets none of the sub-fields, only the text. */
enum otd_fault_kind {
    OTD_FAULT_OTHER,
    OTD_FAULT_MATCH_MISSING_FIELDS,
    OTD_FAULT_MATCH_TUNNEL_ID,
    OTD_FAULT_MATCH_CAPABILITIES,
    OTD_FAULT_MATCH_FIELD,
    OTD_FAULT_TUNNEL_NOT_SUPPORTED,
    OTD_FAULT_IPSEC_KEY,
    OTD_FAULT_IPSEC_ENCRYPTION,
    OTD_FAULT_IPSEC_TUNNEL_TYPE,
    OTD_FAULT_IPSEC_MISSING_FIELDS,
    OTD_FAULT_GENEVE_OPTION,
    OTD_FAULT_GENEVE_TOO_MANY_OPTIONS,
    OTD_FAULT_GENEVE_FIELD,
    OTD_FAULT_ALREADY_EXISTS,   /* Create of an id that exists. */
    OTD_FAULT_TABLE_FULL,       /* No room for the whole stream. */
    OTD_FAULT_UNAVAILABLE,      /* Switch, database or store out of reach. */
    OTD_N_FAULT_KINDS
};

/* At most this many bytes of text are kept; what does not fit is counted and
 * said at the end of the text ("... and 12 more"). */
#define OTD_FAULTS_TEXT_MAX 4096

struct otd_faults {
    size_t n;                   /* Number of faults, 0 if all is well. */
    size_t n_dropped;           /* Of these, how many did not fit the text. */
    enum otd_fault_kind kind;   /* Kind of the first fault. */
    uint32_t kinds;             /* 1 << kind of each. */
    char *text;                 /* Owned; joined by "; ".  May be NULL. */
    size_t len;                 /* Bytes in 'text' without the NUL. */
};

#define OTD_FAULTS_INITIALIZER { 0, 0, OTD_FAULT_OTHER, 0, NULL, 0 }

void otd_faults_init(struct otd_faults *);
void otd_faults_destroy(struct otd_faults *);

static inline bool
otd_faults_any(const struct otd_faults *f)
{
    return f->n > 0;
}

/* Adds a fault of 'kind' at field 'path' (NULL or "" for the request as a
 * whole); the text becomes "PATH: MESSAGE".  Control bytes and invalid UTF-8
 * in the message are replaced by '?', so that a hostile value can neither
 * break a log line nor the UTF-8 rule of a protobuf string. */
void otd_fault(struct otd_faults *, enum otd_fault_kind, const char *path,
               const char *format, ...) OVS_PRINTF_FORMAT(4, 5);

/* Appends all faults of 'src' to 'dst'; 'src' is unchanged. */
void otd_faults_append(struct otd_faults *dst, const struct otd_faults *src);

/* The text for a person, without the "; ... and N more" tail missing; never
 * NULL.  Borrowed until the next change. */
const char *otd_faults_text(const struct otd_faults *);

/* Short stable name ("INVALID_FIELD", ...) for logs and tests. */
const char *otd_fault_kind_to_string(enum otd_fault_kind);

#endif /* lib/fault.h */
