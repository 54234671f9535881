/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OTD_CLI_STATS_H
#define OTD_CLI_STATS_H 1

/* Counters in tables. */

#include "proto/tunneloffload.pb-c.h"

struct table;

/* Adds the columns of the eight counters. */
void otd_stats_add_columns(struct table *);
/* Adds the eight cells; NULL counters are zeros. */
void otd_stats_add_cells(struct table *, const Tunneloffload__V2__Counters *);

#endif /* cli/stats.h */
