/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OTD_CLI_TRACE_H
#define OTD_CLI_TRACE_H 1

/* The output of ofproto/trace with the names of tables and tunnels. */

struct ds;
struct otd_trace_names;

/* From the daemon's tunnel/keys: lines "KEY ID DESCRIPTION".  Lines of another
 * form are left out. */
struct otd_trace_names *otd_trace_names_parse(const char *keys);
void otd_trace_names_destroy(struct otd_trace_names *);

/* Appends 'trace', each line of which may get names:
 *
 *   " 0. ip,... cookie 0x746e0100000005"    the table's, where it belongs to
 *                                           'bridge', and the tunnel's
 *   "set_field:0x5->reg5", "reg5=0x5"       the tunnel's
 */
void otd_trace_decode(struct ds *, const char *trace, const char *bridge,
                      const struct otd_trace_names *);

#endif /* cli/trace.h */
