/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "lib/fault.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/utf8.h"
#include "util.h"

static const char *const kind_names[] = {
    [OTD_FAULT_OTHER] = "OTHER",
    [OTD_FAULT_MATCH_MISSING_FIELDS] = "MISING_FIELDS",
    [OTD_FAULT_MATCH_TUNNEL_ID] = "INVALID_TUNNEL_ID",
    [OTD_FAULT_MATCH_CAPABILITIES] = "INVALID_CAPABILITIES",
    [OTD_FAULT_MATCH_FIELD] = "INVALID_FIELD",
    [OTD_FAULT_TUNNEL_NOT_SUPPORTED] = "NOT_SUPPORTED_TUNNEL",
    [OTD_FAULT_IPSEC_KEY] = "INVALID_KEY",
    [OTD_FAULT_IPSEC_ENCRYPTION] = "NON_SUPPORTED_ENCRYPTION",
    [OTD_FAULT_IPSEC_TUNNEL_TYPE] = "NON_SUPPORTED_TUNNEL_TYPE",
    [OTD_FAULT_IPSEC_MISSING_FIELDS] = "IPSEC_MISSING_FIELDS",
    [OTD_FAULT_GENEVE_OPTION] = "INVALID_OPTION",
    [OTD_FAULT_GENEVE_TOO_MANY_OPTIONS] = "TOO_MANY_OPTIONS",
    [OTD_FAULT_GENEVE_FIELD] = "INVALID_GENEVE_FIELD",
    [OTD_FAULT_ALREADY_EXISTS] = "ALREADY_EXISTS",
    [OTD_FAULT_TABLE_FULL] = "TABLE_FULL",
    [OTD_FAULT_UNAVAILABLE] = "UNAVAILABLE",
};
BUILD_ASSERT_DECL(ARRAY_SIZE(kind_names) == OTD_N_FAULT_KINDS);

#define SEPARATOR "; "
#define TAIL_FORMAT "; ... and %zu more"
#define CUT_MARK "..."

void
otd_faults_init(struct otd_faults *faults)
{
    *faults = (struct otd_faults) OTD_FAULTS_INITIALIZER;
}

void
otd_faults_destroy(struct otd_faults *faults)
{
    if (faults) {
        free(faults->text);
        otd_faults_init(faults);
    }
}

/* Bytes of the "... and N more" that ends the text. */
static size_t
tail_len(const struct otd_faults *faults)
{
    return (faults->n_dropped
            ? snprintf(NULL, 0, TAIL_FORMAT, faults->n_dropped)
            : 0);
}

/* Counts 'n' more faults that have no text, and says so at the end. */
static void
drop(struct otd_faults *faults, size_t n)
{
    size_t body = faults->len - tail_len(faults);
    char tail[64];

    faults->n += n;
    faults->n_dropped += n;
    size_t len = snprintf(tail, sizeof tail, TAIL_FORMAT, faults->n_dropped);
    faults->text = xrealloc(faults->text, body + len + 1);
    memcpy(faults->text + body, tail, len + 1);
    faults->len = body + len;
}

/* Puts a '?' for each byte of a control character (C0, DEL and C1, which some
 * terminals obey) and for each byte outside a well-formed character. */
static void
sanitize(char *s, size_t n)
{
    for (size_t i = 0; i < n; ) {
        const uint8_t *p = (const uint8_t *) s + i;
        size_t len = otd_utf8_char_len(p, n - i);

        if (len == 0 || p[0] < 0x20 || p[0] == 0x7f
            || (p[0] == 0xc2 && p[1] < 0xa0)) {
            s[i++] = '?';
        } else {
            i += len;
        }
    }
}

/* Adds 'text', which stands for 'n' faults. */
static void
add_text(struct otd_faults *faults, enum otd_fault_kind kind, size_t n,
         const char *text, size_t len)
{
    bool first = !faults->n;
    size_t sep = first ? 0 : strlen(SEPARATOR);

    if (first) {
        faults->kind = kind;
    } else if (faults->n_dropped
               || faults->len + sep + len > OTD_FAULTS_TEXT_MAX) {
        /* Once one has been left out all later ones are, or the order of the
         * text would not be that of the faults. */
        drop(faults, n);
        return;
    }

    faults->text = xrealloc(faults->text, faults->len + sep + len + 1);
    memcpy(faults->text + faults->len, SEPARATOR, sep);
    memcpy(faults->text + faults->len + sep, text, len);
    faults->len += sep + len;
    faults->text[faults->len] = '\0';
    faults->n += n;
}

void
otd_fault(struct otd_faults *faults, enum otd_fault_kind kind,
          const char *path, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    char *message = xvasprintf(format, args);
    va_end(args);

    char *text = (path && path[0]
                  ? xasprintf("%s: %s", path, message)
                  : message);
    size_t len = strlen(text);
    sanitize(text, len);
    if (len > OTD_FAULTS_TEXT_MAX) {
        /* Not in the middle of a character. */
        len = OTD_FAULTS_TEXT_MAX - strlen(CUT_MARK);
        while (len && ((uint8_t) text[len] & 0xc0) == 0x80) {
            len--;
        }
        memcpy(text + len, CUT_MARK, strlen(CUT_MARK));
        len += strlen(CUT_MARK);
    }
    add_text(faults, kind, 1, text, len);
    faults->kinds |= UINT32_C(1) << kind;

    if (text != message) {
        free(text);
    }
    free(message);
}

void
otd_faults_append(struct otd_faults *dst, const struct otd_faults *src)
{
    if (src->n) {
        size_t n_dropped = src->n_dropped;

        add_text(dst, src->kind, src->n - n_dropped, src->text,
                 src->len - tail_len(src));
        if (n_dropped) {
            drop(dst, n_dropped);
        }
        dst->kinds |= src->kinds;
    }
}

const char *
otd_faults_text(const struct otd_faults *faults)
{
    return faults->text ? faults->text : "";
}

const char *
otd_fault_kind_to_string(enum otd_fault_kind kind)
{
    return kind < OTD_N_FAULT_KINDS ? kind_names[kind] : "?";
}
