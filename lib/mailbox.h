/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OTD_MAILBOX_H
#define OTD_MAILBOX_H 1

/* The queue between threads: many producers, one consumer that lives in a
 * poll_loop (the main thread).  Everything that the gRPC thread tells the main
 * thread goes through one of these, and nothing else is shared.
 *
 * Producers call otd_mailbox_post() from any thread: it never blocks, takes no
 * lock and does not touch RCU (so it may run on a thread that sleeps in C-core
 * for ever).  The consumer calls otd_mailbox_take() until NULL and then
 * otd_mailbox_wait() before poll_block(): a post that happens in between wakes
 * it.  Waking costs a system call only if the consumer is not awake already. */

#include <stdbool.h>

struct otd_mail {               /* Embed as a member; CONTAINER_OF() it back. */
    struct otd_mail *next;
};

struct otd_mailbox;

struct otd_mailbox *otd_mailbox_create(void);
void otd_mailbox_destroy(struct otd_mailbox *);     /* Must be empty. */

void otd_mailbox_post(struct otd_mailbox *, struct otd_mail *);  /* Takes. */

/* Consumer only.  Returns the oldest mail (returns owned), or NULL. */
struct otd_mail *otd_mailbox_take(struct otd_mailbox *);
void otd_mailbox_wait(struct otd_mailbox *);

#endif /* lib/mailbox.h */
