/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OTD_SERVER_PRIVATE_H
#define OTD_SERVER_PRIVATE_H 1

/* The gRPC thread's inside: shared by server-cq.c (thread, server, commands),
 * server-call.c (the state machine of one call) and server-tls.c (certificates
 * and who may call).  Everything here belongs to the gRPC thread but for the
 * members marked atomic.
 *
 * Nothing of Open vSwitch runs on this thread, not even xmalloc() (its
 * coverage counter registers the thread): a thread that sleeps in C-core would
 * hold up RCU for ever. */

#include <grpc/grpc.h>
#include <stdatomic.h>

#include "grpcsvc/server-cq.h"

#define OTD_CONTAINER(OBJECT, STRUCT, MEMBER) \
    ((STRUCT *) (void *) ((char *) (OBJECT) - offsetof(STRUCT, MEMBER)))

/* Something that completes on the queue; its address is the tag. */
struct otd_tag {
    void (*done)(struct otd_tag *, bool ok);
};

enum otd_command_type {
    OTD_CMD_SEND,               /* Embedded in a struct otd_cq_send. */
    OTD_CMD_FINISH,
    OTD_CMD_READ,               /* The call's window is open again. */
    OTD_CMD_FEED,               /* The total window is open again. */
    OTD_CMD_STOP
};
struct otd_command {
    struct otd_mail mail;
    enum otd_command_type type;
    struct otd_cq_call *call;   /* NULL for FEED and STOP. */
};

/* A message on its way out. */
struct otd_cq_send {
    struct otd_command cmd;
    struct otd_cq_send *next;
    const void *data;
    size_t n;
    void *owner;
};

struct otd_cq_list {            /* Circular, doubly linked. */
    struct otd_cq_list *prev, *next;
};

/* A call is in one of three states of reading:
 *
 *   reading: RECV_MESSAGE is outstanding (tag 'recv').
 *   eof:     no further message will come.
 *   neither: a window is full.  Its own: 'held' is set, until the main thread
 *            has given back enough and sends OTD_CMD_READ.  The total one: it
 *            is in otd_cq's list 'starved', until OTD_CMD_FEED. */
struct otd_cq_call {
    struct otd_call pub;        /* Must be first. */
    struct otd_cq *cq;
    grpc_call *call;
    _Atomic(unsigned int) refs; /* gRPC thread; each mail; the list 'dirty'. */

    struct otd_cq_list all;     /* In otd_cq's 'calls'. */
    unsigned int n_tags;        /* Outstanding. */
    bool announced;             /* The main thread knows this call. */
    bool dead;                  /* Cancelled or broken: send nothing. */
    bool told_cancelled;
    bool finished;              /* OTD_CMD_FINISH came, or none will. */
    bool status_sent;           /* The final batch was started. */

    /* Receive. */
    struct otd_tag recv;
    grpc_byte_buffer *message;
    bool reading, eof;
    struct otd_cq_list starved; /* In otd_cq's 'starved'; NULLs if not. */
    _Atomic(size_t) charge;     /* Posted and not given back. */
    atomic_bool held;
    struct otd_command read;    /* OTD_CMD_READ. */
    struct otd_cq_mail *mail;   /* Being filled, or NULL. */
    size_t data_alloc, ends_alloc;      /* Room in 'mail'. */
    bool dirty;                 /* In otd_cq's 'dirty'. */
    struct otd_cq_call *next_dirty;

    /* Close. */
    struct otd_tag close;
    struct otd_cq_list young;   /* In one of otd_cq's 'young'; NULLs if not. */
    bool close_started;
    int cancelled;

    /* Send. */
    struct otd_tag send;
    grpc_byte_buffer *sending;  /* Outstanding SEND_MESSAGE, with its size. */
    size_t sending_n;
    bool metadata_sent;
    struct otd_cq_send *out_first, **out_last;
    _Atomic(size_t) pending;    /* Bytes queued and not accepted. */
    struct otd_command finish;
    int status;
    char *text;                 /* Owned; NULL for none. */
};

/* A posted request for a call of one method, or of any unknown method. */
struct otd_cq_slot {
    struct otd_tag tag;
    struct otd_cq *cq;
    int method;                 /* enum otd_method, or -1. */
    grpc_call *call;
    gpr_timespec deadline;
    grpc_call_details details;
    grpc_metadata_array metadata;
    grpc_byte_buffer *payload;
};

struct otd_tls;

struct otd_cq {
    struct otd_mailbox *mailbox;
    void (*free_message)(void *);
    grpc_server *server;
    grpc_completion_queue *queue;
    pthread_t thread;
    void *methods[OTD_N_METHODS];
    struct otd_cq_slot *slots;
    size_t n_slots;
    struct otd_tls *tls;        /* NULL without a "tls:" address. */

    /* Commands and the bell.  The bell is a call on a lame channel: nothing is
     * ever sent on it, but an empty batch on a call is C-core's one way to
     * post to a completion queue from outside. */
    struct otd_mailq commands;
    atomic_bool sleeping;
    grpc_channel *bell_channel;
    grpc_call *bell_call;
    struct otd_tag bell;

    struct otd_cq_list calls;
    _Atomic(size_t) n_calls;
    struct otd_cq_list young[2];        /* This tick's calls, the last's. */
    gpr_timespec tick;          /* When otd_cq_age_calls() is due. */
    bool lingering;             /* Mail that can wait does, until... */
    gpr_timespec linger;        /* ...this moment. */
    struct otd_cq_call *dirty;  /* Calls whose mail must be posted. */
    struct otd_cq_list starved; /* Calls that wait for the total window. */
    atomic_bool any_starved;    /* Credit must send OTD_CMD_FEED... */
    struct otd_command feed;    /* ...which is this. */
    bool feed_awaited;          /* 'any_starved' is set, or 'feed' on its way:
                                 * it must not be queued twice. */
    _Atomic(size_t) charge;
    atomic_bool log_posted;     /* One log line at a time. */

    struct otd_command stop;
    bool stopping, server_down;
    gpr_timespec stop_deadline;
    struct otd_tag server_tag;
};

/* server-cq.c */
void *otd_cq_alloc(size_t);     /* Zeroed; aborts when out of memory. */
void otd_cq_start_batch(struct otd_cq_call *, struct otd_tag *,
                        const grpc_op *, size_t n);
void otd_cq_log(struct otd_cq *, bool is_warning, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static inline void
otd_cq_list_init(struct otd_cq_list *list)
{
    list->prev = list->next = list;
}

static inline void
otd_cq_list_push(struct otd_cq_list *list, struct otd_cq_list *elem)
{
    elem->prev = list->prev;
    elem->next = list;
    list->prev->next = elem;
    list->prev = elem;
}

static inline bool
otd_cq_list_is_empty(const struct otd_cq_list *list)
{
    return list->next == list;
}

static inline void
otd_cq_list_remove(struct otd_cq_list *elem)
{
    elem->prev->next = elem->next;
    elem->next->prev = elem->prev;
    elem->prev = elem->next = NULL;
}

/* server-mail.c.  A window that was full opens again when it is this empty, so
 * that a call is not switched on and off for each message. */
#define OTD_CQ_CALL_REOPEN (OTD_CQ_CALL_WINDOW / 2)
#define OTD_CQ_TOTAL_REOPEN (OTD_CQ_TOTAL_WINDOW / 4 * 3)

/* Adds a message to the call's mail.  Copies it out of gRPC's memory, once and
 * straight to its place.  Returns false if it does not decompress to at most
 * OTD_CQ_MESSAGE_MAX. */
bool otd_cq_append_message(struct otd_cq_call *, grpc_byte_buffer *);
/* Adds OTD_CQ_* flags to the call's mail. */
void otd_cq_tell(struct otd_cq_call *, unsigned int flags);
void otd_cq_post_mail(struct otd_cq_call *);
/* Posts what all calls have gathered, or only what is urgent.  Called when no
 * completion is at hand, so that the main thread is woken for a handful of
 * messages or calls and not for each.  Returns true if something is left. */
bool otd_cq_flush_mail(struct otd_cq *, bool all);
size_t otd_cq_unposted(const struct otd_cq_call *);
void otd_cq_call_unref(struct otd_cq_call *);

/* server-call.c */
void otd_cq_call_new(struct otd_cq *, int method, grpc_call *,
                     grpc_byte_buffer *payload);
void otd_cq_call_run_command(struct otd_command *, bool more);
void otd_cq_call_abort(struct otd_cq_call *, grpc_status_code,
                       const char *text);
void otd_cq_feed_starved(struct otd_cq *);
bool otd_cq_any_young(const struct otd_cq *);
void otd_cq_age_calls(struct otd_cq *);

/* server-tls.c.  One for all "tls:" addresses. */
char *otd_tls_create(const struct otd_cq_config *, struct otd_cq *,
                     struct otd_tls **);
void otd_tls_destroy(struct otd_tls *);
grpc_server_credentials *otd_tls_credentials(struct otd_tls *);
/* NULL if the caller may call, else an owned sentence that names it. */
char *otd_tls_refuse(const struct otd_tls *, grpc_call *);

#endif /* grpcsvc/server-private.h */
