/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "cli/progress.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "timeval.h"
#include "util.h"

/* Imports that are done before this many milliseconds show nothing. */
#define DELAY 500
#define INTERVAL 100

void
otd_progress_init(struct otd_progress *p, bool forced)
{
    p->on = forced || isatty(STDERR_FILENO);
    p->shown = false;
    p->start = time_msec();
    p->next = p->start + (forced ? 0 : DELAY);
}

static void OVS_PRINTF_FORMAT(2, 0)
say(struct otd_progress *p, const char *format, va_list args)
{
    fputs("\r", stderr);
    vfprintf(stderr, format, args);
    fputs("\033[K", stderr);            /* Clears the rest of the line. */
    fflush(stderr);
    p->shown = true;
    p->next = time_msec() + INTERVAL;
}

static bool
is_due(const struct otd_progress *p)
{
    return p->on && time_msec() >= p->next;
}

void
otd_progress_say(struct otd_progress *p, const char *format, ...)
{
    if (is_due(p)) {
        va_list args;

        va_start(args, format);
        say(p, format, args);
        va_end(args);
    }
}

void
otd_progress_count(struct otd_progress *p, size_t n, uint64_t offset,
                   uint64_t size)
{
    if (n % 256 || !is_due(p)) {
        return;
    }
    if (size) {
        otd_progress_say(p, "%"PRIuSIZE" sent, %d%%", n,
                         (int) (offset * 100 / size));
    } else {
        otd_progress_say(p, "%"PRIuSIZE" sent", n);
    }
}

void
otd_progress_clear(struct otd_progress *p)
{
    if (p->shown) {
        fputs("\r\033[K", stderr);
        p->shown = false;
    }
}

void
otd_progress_finish(struct otd_progress *p, size_t n)
{
    if (p->shown) {
        double seconds = MAX(1, time_msec() - p->start) / 1000.0;

        otd_progress_clear(p);
        fprintf(stderr, "%"PRIuSIZE" requests in %.1f s, %.0f a second\n",
                n, seconds, n / seconds);
    }
}
