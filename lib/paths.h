/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OTD_PATHS_H
#define OTD_PATHS_H 1

/* Where the daemon and the command line meet, and where tunnels are kept, if
 * nobody says otherwise.  Both programs take the answers from here.
 *
 * $OTD_RUNDIR   our own run directory (tests) $OVS_RUNDIR   Open vSwitch's, as
 * for its own programs; ours lies beside it: /run/openvswitch gives
 * /run/ovs-tunneld; a directory of any other name gets a subdirectory
 * ovs-tunneld $OTD_DBDIR    where tunnels are kept; /var/lib/ovs-tunneld
 *
 * Every function returns an owned string. */

/* The directory of the gRPC socket, without a slash at its end. */
char *otd_rundir(void);

/* "unix:RUNDIR/tunneld.sock". */
char *otd_default_listen(void);

char *otd_default_store_dir(void);

#endif /* lib/paths.h */
