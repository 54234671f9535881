/* SPDX-License-Identifier: Apache-2.0 */
/* Prints flows/pipeline.h: as tables for docs/pipeline.md, and as variables for
 * shell tests, so that no number of the pipeline is written down twice.
 *
 *     print-pipeline tables|registers|priorities|cookies
 *     print-pipeline shell */

#include <config.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flows/pipeline.h"

static void
print_tables(void)
{
    printf("| table | name | job |\n|---|---|---|\n");
#define X(NAME, NUMBER, STRING, JOB) \
    printf("| %d | %s | %s |\n", NUMBER, STRING, JOB);
    OTD_TABLES(X)
#undef X
}

static void
print_registers(void)
{
    printf("| field | holds |\n|---|---|\n");
#define X(NAME, NUMBER, STRING, MEANING) \
    printf("| %s | %s |\n", STRING, MEANING);
    OTD_REGISTERS(X)
#undef X
}

static void
print_priorities(void)
{
    printf("| priority | hexadecimal | where and what |\n|---|---|---|\n");
#define X(NAME, VALUE, TEXT) printf("| %d | 0x%04x | %s |\n", VALUE, VALUE, TEXT);
    OTD_PRIORITIES(X)
#undef X
}

static void
print_cookies(void)
{
    printf("| cookie | mask | flows |\n|---|---|---|\n"
           "| 0x%016llx | 0x%016llx | all that are ours |\n",
           OTD_COOKIE_OWNER << OTD_COOKIE_OWNER_SHIFT, OTD_COOKIE_OWNER_MASK);
#define X(NAME, VALUE, TEXT)                                                \
    printf("| 0x%016"PRIx64" | 0x%016llx | %s |\n",                         \
           otd_cookie_make(VALUE, 0),                                       \
           OTD_COOKIE_OWNER_MASK | OTD_COOKIE_KIND_MASK, TEXT);
    OTD_COOKIE_KINDS(X)
#undef X
}

/* OTD_TABLE_DECAP=11, OTD_REG_STATE=reg4, OTD_STATE_PENDING=1,
 * OTD_PRIO_DEFAULT=1, OTD_COOKIE_TUNNEL=0x746e010000000000; the masks for
 * "dump-flows cookie=COOKIE/MASK". */
static void
print_shell(void)
{
#define X(NAME, NUMBER, STRING, JOB) printf("OTD_TABLE_%s=%d\n", #NAME, NUMBER);
    OTD_TABLES(X)
#undef X
#define X(NAME, NUMBER, STRING, MEANING) printf("OTD_REG_%s=%s\n", #NAME, STRING);
    OTD_REGISTERS(X)
#undef X
    printf("OTD_STATE_PLAIN=%d\nOTD_STATE_PENDING=%d\nOTD_STATE_AGAIN=%d\n",
           OTD_STATE_PLAIN, OTD_STATE_PENDING, OTD_STATE_AGAIN);
#define X(NAME, VALUE, TEXT) printf("OTD_PRIO_%s=%d\n", #NAME, VALUE);
    OTD_PRIORITIES(X)
#undef X
#define X(NAME, VALUE, TEXT) \
    printf("OTD_COOKIE_%s=0x%016"PRIx64"\n", #NAME, otd_cookie_make(VALUE, 0));
    OTD_COOKIE_KINDS(X)
#undef X
    printf("OTD_COOKIE_OURS=0x%016llx/0x%016llx\n",
           OTD_COOKIE_OWNER << OTD_COOKIE_OWNER_SHIFT, OTD_COOKIE_OWNER_MASK);
    printf("OTD_COOKIE_KIND_MASK=0x%016llx\n",
           OTD_COOKIE_OWNER_MASK | OTD_COOKIE_KIND_MASK);
}

int
main(int argc, char *argv[])
{
    static const struct {
        const char *name;
        void (*print)(void);
    } parts[] = {
        { "tables", print_tables },
        { "registers", print_registers },
        { "priorities", print_priorities },
        { "cookies", print_cookies },
        { "shell", print_shell },
    };

    for (size_t i = 0; argc == 2 && i < sizeof parts / sizeof parts[0]; i++) {
        if (!strcmp(argv[1], parts[i].name)) {
            parts[i].print();
            return 0;
        }
    }
    fprintf(stderr, "usage: print-pipeline "
            "tables|registers|priorities|cookies|shell\n");
    return 2;
}
