/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OTD_CLI_PROGRESS_H
#define OTD_CLI_PROGRESS_H 1

/* A line on standard error that says how far a long import is. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "openvswitch/compiler.h"

struct otd_progress {
    bool on;
    bool shown;                 /* A line stands on the terminal. */
    long long int start, next;  /* In time_msec(). */
};

/* Shows nothing unless 'forced' or standard error is a terminal. */
void otd_progress_init(struct otd_progress *, bool forced);

/* 'n' requests so far, after 'offset' of 'size' bytes (0: unknown).  Cheap. */
void otd_progress_count(struct otd_progress *, size_t n, uint64_t offset,
                        uint64_t size);
void otd_progress_say(struct otd_progress *, const char *format, ...)
    OVS_PRINTF_FORMAT(2, 3);

/* Removes the line; the second one then leaves how long it took. */
void otd_progress_clear(struct otd_progress *);
void otd_progress_finish(struct otd_progress *, size_t n);

#endif /* cli/progress.h */
