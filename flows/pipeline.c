/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "flows/pipeline.h"

#include <stddef.h>

const char *
otd_table_name(uint8_t table_id)
{
    switch (table_id) {
#define X(NAME, NUMBER, STRING, JOB) case NUMBER: return STRING;
    OTD_TABLES(X)
#undef X
    default: return NULL;
    }
}
