/* Namespaces of the lab's hypervisors. Does what unshare and nsenter do; a
 * program of its own (and a static one) because starting a process is slow in
 * User-mode Linux, and this one is started for each command.
 *
 *     ns hold PIDFILE NETNS DIR...     a new mount namespace beside the network
 *                                      namespace NETNS (a file), with a private
 *                                      tmpfs on each DIR and its own /sys; says
 *                                      its pid in PIDFILE and keeps them
 *     ns enter PIDFILE CMD [ARG...]    run CMD in the namespaces of that holder
 *     ns net NETNS CMD [ARG...]        run CMD in a network namespace only
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static void
must(int result, const char *what)
{
    if (result < 0) {
        fprintf(stderr, "ns: %s: %s\n", what, strerror(errno));
        exit(126);
    }
}

static void
join(const char *file, int type)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    must(fd, file);
    must(setns(fd, type), file);
    close(fd);
}

static void
hold(const char *pidfile, const char *netns, char **dirs)
{
    char tmp[256];

    join(netns, CLONE_NEWNET);
    must(unshare(CLONE_NEWNS), "unshare");
    must(mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL), "slave /");
    must(mount("sysfs", "/sys", "sysfs", 0, NULL), "/sys");
    for (; *dirs; dirs++) {
        mkdir(*dirs, 0755);
        must(mount("tmpfs", *dirs, "tmpfs", 0, "mode=0755"), *dirs);
    }

    /* Whoever sees the file may use the namespaces. */
    snprintf(tmp, sizeof tmp, "%s.tmp", pidfile);
    FILE *f = fopen(tmp, "w");
    must(f ? 0 : -1, tmp);
    fprintf(f, "%d\n", (int) getpid());
    fclose(f);
    must(rename(tmp, pidfile), pidfile);
    for (;;) {
        pause();
    }
}

static void
enter(const char *pidfile)
{
    char net[64], mnt[64], *cwd = getcwd(NULL, 0);
    int pid;

    FILE *f = fopen(pidfile, "r");
    must(f && fscanf(f, "%d", &pid) == 1 ? 0 : -1, pidfile);
    fclose(f);
    snprintf(net, sizeof net, "/proc/%d/ns/net", pid);
    snprintf(mnt, sizeof mnt, "/proc/%d/ns/mnt", pid);
    join(net, CLONE_NEWNET);
    join(mnt, CLONE_NEWNS);

    /* Entering a mount namespace changes to its root directory. */
    if (!cwd || chdir(cwd)) {
        must(chdir("/"), "/");
    }
}

int
main(int argc, char *argv[])
{
    if (argc >= 5 && !strcmp(argv[1], "hold")) {
        hold(argv[2], argv[3], argv + 4);
    } else if (argc >= 4 && !strcmp(argv[1], "enter")) {
        enter(argv[2]);
    } else if (argc >= 4 && !strcmp(argv[1], "net")) {
        join(argv[2], CLONE_NEWNET);
    } else {
        fprintf(stderr, "usage: ns hold PIDFILE NETNS DIR... | "
                "enter PIDFILE CMD... | net NETNS CMD...\n");
        return 126;
    }
    execvp(argv[3], argv + 3);
    fprintf(stderr, "ns: %s: %s\n", argv[3], strerror(errno));
    return 127;
}
