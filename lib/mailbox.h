/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OTD_MAILBOX_H
#define OTD_MAILBOX_H 1

/* The queues between threads.  Two shapes of the same list:
 *
 *   - otd_mailbox: many producers, one consumer that lives in a poll_loop (the
 *     main thread).  All that the gRPC thread tells the main thread goes
 *     through one of these, and nothing else is shared.
 *
 *   - otd_mailq: the bare list without a way to wake anybody, for a consumer
 *     that has its own (the gRPC thread, which is woken through its completion
 *     queue).
 *
 * Producers may run on any thread: a post never blocks, takes no lock and does
 * not touch RCU (so it may run on a thread that sleeps in C-core for ever).
 *
 * The mailbox's consumer calls otd_mailbox_take() until NULL and then
 * otd_mailbox_wait() before poll_block(): a post that happens in between wakes
 * it.  Waking costs a system call only if the consumer announced by
 * otd_mailbox_wait() that it sleeps, and then one for any number of posts. */

#include <stdatomic.h>
#include <stdbool.h>

struct otd_mail {               /* Embed; CONTAINER_OF() it back. */
    struct otd_mail *next;
};

/* ---- The bare list.  Zero-initialised is empty. */

struct otd_mailq {
    _Atomic(struct otd_mail *) newest;
};

/* Any thread.  Takes 'mail'.  Returns true if the list was empty. */
bool otd_mailq_push(struct otd_mailq *, struct otd_mail *mail);

/* One consumer.  Returns all mail as a chain by 'next', oldest first (returns
 * owned), or NULL. */
struct otd_mail *otd_mailq_take_all(struct otd_mailq *);

/* Any thread.  Ordered after the caller's earlier sequentially consistent
 * stores, so that "announce sleep, then look" misses no post. */
bool otd_mailq_is_empty(const struct otd_mailq *);

/* ---- The list with a poll_loop consumer. */

struct otd_mailbox;

struct otd_mailbox *otd_mailbox_create(void);
void otd_mailbox_destroy(struct otd_mailbox *);     /* Must be empty. */

/* Any thread.  Takes 'mail'. */
void otd_mailbox_post(struct otd_mailbox *, struct otd_mail *mail);

/* Consumer only.  Returns the oldest mail (returns owned), or NULL. */
struct otd_mail *otd_mailbox_take(struct otd_mailbox *);
void otd_mailbox_wait(struct otd_mailbox *);

#endif /* lib/mailbox.h */
