/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "lib/paths.h"

#include <stdlib.h>
#include <string.h>

#include "dirs.h"
#include "util.h"

static char *
env_or_null(const char *name)
{
    const char *value = getenv(name);

    return value && value[0] ? xstrdup(value) : NULL;
}

char *
otd_rundir(void)
{
    static const char ovs[] = "/openvswitch";
    char *ours = env_or_null("OTD_RUNDIR");
    const char *theirs;
    size_t n, n_ovs = strlen(ovs);

    if (ours) {
        n = strlen(ours);
        while (n > 1 && ours[n - 1] == '/') {
            ours[--n] = '\0';
        }
        return ours;
    }

    theirs = ovs_rundir();
    n = strlen(theirs);
    while (n > 1 && theirs[n - 1] == '/') {
        n--;
    }
    if (n >= n_ovs && !memcmp(theirs + n - n_ovs, ovs, n_ovs)) {
        return xasprintf("%.*s/ovs-tunneld", (int) (n - n_ovs), theirs);
    }
    return xasprintf("%.*s/ovs-tunneld", (int) n, theirs);
}

char *
otd_default_listen(void)
{
    char *rundir = otd_rundir();
    char *listen = xasprintf("unix:%s/tunneld.sock", rundir);

    free(rundir);
    return listen;
}

char *
otd_default_store_dir(void)
{
    char *dir = env_or_null("OTD_DBDIR");

    return dir ? dir : xstrdup("/var/lib/ovs-tunneld");
}
