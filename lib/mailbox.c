/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "lib/mailbox.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "openvswitch/poll-loop.h"
#include "openvswitch/util.h"
#include "util.h"

/* Producers push onto a stack; the consumer takes the whole stack with one
 * exchange and turns it round.  As nobody ever pops a single element, the
 * usual ABA problem of such stacks does not exist. */

struct otd_mailbox {
    struct otd_mailq q;
    atomic_bool armed;          /* The consumer sleeps, or is about to. */
    int fd;                     /* eventfd, non-blocking. */

    /* Consumer only. */
    struct otd_mail *oldest;    /* Taken from 'q', not yet handed out. */
    bool waited;                /* otd_mailbox_wait() armed it. */
    uint64_t n_owed;            /* Signals that producers sent or will send. */
};

bool
otd_mailq_push(struct otd_mailq *q, struct otd_mail *mail)
{
    struct otd_mail *newest = atomic_load_explicit(&q->newest,
                                                   memory_order_relaxed);

    do {
        mail->next = newest;
    } while (!atomic_compare_exchange_weak(&q->newest, &newest, mail));
    return newest == NULL;
}

struct otd_mail *
otd_mailq_take_all(struct otd_mailq *q)
{
    struct otd_mail *mail, *oldest = NULL;

    if (!atomic_load_explicit(&q->newest, memory_order_relaxed)) {
        return NULL;            /* Spares the bus-locked exchange. */
    }
    mail = atomic_exchange(&q->newest, NULL);
    while (mail) {
        struct otd_mail *next = mail->next;

        mail->next = oldest;
        oldest = mail;
        mail = next;
    }
    return oldest;
}

bool
otd_mailq_is_empty(const struct otd_mailq *q)
{
    return atomic_load(&q->newest) == NULL;
}

struct otd_mailbox *
otd_mailbox_create(void)
{
    struct otd_mailbox *mb = xzalloc(sizeof *mb);

    mb->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (mb->fd < 0) {
        ovs_abort(errno, "failed to create an eventfd");
    }
    return mb;
}

void
otd_mailbox_destroy(struct otd_mailbox *mb)
{
    if (mb) {
        ovs_assert(!mb->oldest && otd_mailq_is_empty(&mb->q));
        close(mb->fd);
        free(mb);
    }
}

void
otd_mailbox_post(struct otd_mailbox *mb, struct otd_mail *mail)
{
    otd_mailq_push(&mb->q, mail);

    /* The push and this load are sequentially consistent, as are the store and
     * the load of otd_mailbox_wait(): at least one side sees the other.  The
     * exchange makes one of many producers the one that pays the write(). */
    if (atomic_load(&mb->armed) && atomic_exchange(&mb->armed, false)) {
        uint64_t one = 1;
        ssize_t n;

        do {
            n = write(mb->fd, &one, sizeof one);
        } while (n < 0 && errno == EINTR);
    }
}

/* Each time that a producer cleared 'armed' it writes exactly one signal,
 * maybe a moment after the consumer saw the flag gone; what is owed is
 * collected sooner or later, so that the eventfd never stays readable. */
static void
otd_mailbox_collect_signals(struct otd_mailbox *mb)
{
    if (mb->waited) {
        mb->waited = false;
        if (!atomic_exchange(&mb->armed, false)) {
            mb->n_owed++;
        }
    }
    if (mb->n_owed) {
        uint64_t n;

        if (read(mb->fd, &n, sizeof n) == sizeof n) {
            mb->n_owed -= n;
        }
    }
}

struct otd_mail *
otd_mailbox_take(struct otd_mailbox *mb)
{
    struct otd_mail *mail;

    if (!mb->oldest) {
        otd_mailbox_collect_signals(mb);
        mb->oldest = otd_mailq_take_all(&mb->q);
    }
    mail = mb->oldest;
    if (mail) {
        mb->oldest = mail->next;
        mail->next = NULL;
    }
    return mail;
}

void
otd_mailbox_wait(struct otd_mailbox *mb)
{
    /* A second wait without a take in between must not lose count. */
    otd_mailbox_collect_signals(mb);

    mb->waited = true;
    atomic_store(&mb->armed, true);
    if (mb->oldest || !otd_mailq_is_empty(&mb->q)) {
        poll_immediate_wake();
    } else {
        poll_fd_wait(mb->fd, POLLIN);
    }
}
