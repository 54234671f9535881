/* Preloaded into the User-mode Linux process only (never into a program that
 * runs inside the lab): moves the lab's monotonic clock 11 seconds ahead once,
 * 700 ms after the boot began.
 *
 * Why: count_cpu_cores() of Open vSwitch 3.1 answers 0 until the system has
 * been up for 10 seconds, and ovs-vswitchd then starts no handler threads and
 * loses all upcalls.  The kernel itself sees the jump, so that every clock in
 * the lab agrees; without this file the lab works too, but boots 10 s slower
 * (init looks at the uptime and waits for what is missing). */

#define _GNU_SOURCE
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int
clock_gettime(clockid_t id, struct timespec *ts)
{
    static long long start;
    static int jumped;

    int error = syscall(SYS_clock_gettime, id, ts);
    if (!error && id == CLOCK_MONOTONIC) {
        long long now = ts->tv_sec * 1000000000LL + ts->tv_nsec;

        if (!start) {
            start = now;
        }
        /* Not from the start: the kernel counts from its first readings. */
        if (now - start > 700000000LL) {
            jumped = 1;
        }
        if (jumped) {
            ts->tv_sec += 11;
        }
    }
    return error;
}
