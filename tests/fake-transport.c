/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "tests/fake-transport.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/mailbox.h"
#include "openvswitch/list.h"
#include "openvswitch/ofpbuf.h"
#include "util.h"

/* Clients' threads allocate with malloc() only: xmalloc() would register them
 * with Open vSwitch's coverage counters. */

struct fake_transport {
    struct otd_transport up;
    struct otd_mailbox *mailbox;
    struct ovs_list open;       /* Calls seen and not finished. */
    struct fake_mail *mail;     /* The one that next_event() gave out. */
    struct otd_event event;
};

struct fake_mail {
    struct otd_mail mail;
    enum otd_event_type type;
    struct fake_call *call;     /* Holds a reference. */
    uint8_t *data;
    uint32_t *ends;
    size_t n;
};

struct fake_reply {
    struct fake_reply *next;
    size_t size;
    uint8_t data[];
};

struct fake_call {
    /* Constant. */
    struct fake_transport *transport;
    enum otd_method method;
    atomic_uint refs;           /* The client, the service, each mail. */

    /* The service's thread. */
    struct ovs_list node;       /* In 'open', from OTD_EV_CALL on. */
    bool is_open;
    bool is_finished;
    void *data;

    pthread_mutex_t mutex;      /* Everything below. */
    pthread_cond_t cond;
    bool finished;
    enum otd_status status;
    char *text;
    struct fake_reply *replies, **last_reply;
    bool reading;
    size_t pending;
    size_t unconsumed;
};

/* What the service's side calls a struct otd_call. */
static struct fake_call *
fake_call_cast(const struct otd_call *call)
{
    return (struct fake_call *) call;
}

static void *
alloc(size_t size)
{
    void *p = calloc(1, size);

    if (!p) {
        abort();
    }
    return p;
}

static void
fake_call_unref(struct fake_call *call)
{
    if (atomic_fetch_sub(&call->refs, 1) == 1) {
        while (call->replies) {
            struct fake_reply *next = call->replies->next;

            free(call->replies);
            call->replies = next;
        }
        pthread_mutex_destroy(&call->mutex);
        pthread_cond_destroy(&call->cond);
        free(call->text);
        free(call);
    }
}

static void
post(struct fake_call *call, enum otd_event_type type, const uint8_t *data,
     const uint32_t *ends, size_t n)
{
    struct fake_mail *mail = alloc(sizeof *mail);

    mail->type = type;
    mail->call = call;
    atomic_fetch_add(&call->refs, 1);
    if (n) {
        /* Exactly as large as it must be, for the address sanitizer. */
        mail->data = alloc(ends[n - 1] ? ends[n - 1] : 1);
        mail->ends = alloc(n * sizeof *ends);
        if (ends[n - 1]) {
            memcpy(mail->data, data, ends[n - 1]);
        }
        memcpy(mail->ends, ends, n * sizeof *ends);
        mail->n = n;
    }
    otd_mailbox_post(call->transport->mailbox, &mail->mail);
}

/* ---- The service's side. */

static struct fake_transport *
fake_transport_cast(struct otd_transport *up)
{
    return CONTAINER_OF(up, struct fake_transport, up);
}

static void
release_mail(struct fake_transport *ft)
{
    if (ft->mail) {
        fake_call_unref(ft->mail->call);
        free(ft->mail->data);
        free(ft->mail->ends);
        free(ft->mail);
        ft->mail = NULL;
    }
}

static bool
next_mail(struct fake_transport *ft)
{
    struct otd_mail *mail;

    release_mail(ft);
    mail = otd_mailbox_take(ft->mailbox);
    if (mail) {
        ft->mail = CONTAINER_OF(mail, struct fake_mail, mail);
    }
    return mail != NULL;
}

static const struct otd_event *
fake_next_event(struct otd_transport *up)
{
    struct fake_transport *ft = fake_transport_cast(up);

    while (next_mail(ft)) {
        struct fake_call *call = ft->mail->call;

        if (ft->mail->type == OTD_EV_CALL) {
            ovs_list_push_back(&ft->open, &call->node);
            call->is_open = true;
            atomic_fetch_add(&call->refs, 1);
        }
        if (call->is_open && !call->is_finished) {
            ft->event.type = ft->mail->type;
            ft->event.call = (struct otd_call *) call;
            ft->event.method = call->method;
            ft->event.data = ft->mail->data;
            ft->event.ends = ft->mail->ends;
            ft->event.n = ft->mail->n;
            return &ft->event;
        }
    }
    return NULL;
}

static void
fake_wait(struct otd_transport *up)
{
    otd_mailbox_wait(fake_transport_cast(up)->mailbox);
}

static void
fake_set_data(struct otd_call *call, void *data)
{
    fake_call_cast(call)->data = data;
}

static void *
fake_get_data(const struct otd_call *call)
{
    return fake_call_cast(call)->data;
}

static void
fake_consumed(struct otd_call *call_, size_t n)
{
    struct fake_call *call = fake_call_cast(call_);

    pthread_mutex_lock(&call->mutex);
    ovs_assert(call->unconsumed >= n);
    call->unconsumed -= n;
    pthread_cond_broadcast(&call->cond);
    pthread_mutex_unlock(&call->mutex);
}

static void
fake_send(struct otd_call *call_, struct ofpbuf *message)
{
    struct fake_call *call = fake_call_cast(call_);
    struct fake_reply *reply = alloc(sizeof *reply + message->size);
    bool reading;

    ovs_assert(!call->is_finished);
    reply->size = message->size;
    if (message->size) {
        memcpy(reply->data, message->data, message->size);
    }
    ofpbuf_delete(message);

    pthread_mutex_lock(&call->mutex);
    *call->last_reply = reply;
    call->last_reply = &reply->next;
    reading = call->reading;
    if (!reading) {
        call->pending += reply->size;
    }
    pthread_cond_broadcast(&call->cond);
    pthread_mutex_unlock(&call->mutex);
    if (reading) {
        post(call, OTD_EV_WRITABLE, NULL, NULL, 0);
    }
}

static size_t
fake_send_pending(const struct otd_call *call_)
{
    struct fake_call *call = fake_call_cast(call_);
    size_t pending;

    pthread_mutex_lock(&call->mutex);
    pending = call->pending;
    pthread_mutex_unlock(&call->mutex);
    return pending;
}

static void
end_call(struct fake_call *call, enum otd_status status, const char *text)
{
    ovs_assert(!call->is_finished);
    call->is_finished = true;
    ovs_list_remove(&call->node);

    pthread_mutex_lock(&call->mutex);
    call->finished = true;
    call->status = status;
    call->text = strdup(text ? text : "");
    pthread_cond_broadcast(&call->cond);
    pthread_mutex_unlock(&call->mutex);
    fake_call_unref(call);
}

static void
fake_finish(struct otd_call *call, enum otd_status status, const char *text)
{
    end_call(fake_call_cast(call), status, text);
}

static const struct otd_transport_class fake_class = {
    .next_event = fake_next_event,
    .wait = fake_wait,
    .set_data = fake_set_data,
    .get_data = fake_get_data,
    .consumed = fake_consumed,
    .send = fake_send,
    .send_pending = fake_send_pending,
    .finish = fake_finish,
};

struct fake_transport *
fake_transport_create(void)
{
    struct fake_transport *ft = xzalloc(sizeof *ft);

    ft->up.class = &fake_class;
    ft->mailbox = otd_mailbox_create();
    ovs_list_init(&ft->open);
    return ft;
}

void
fake_transport_destroy(struct fake_transport *ft)
{
    if (!ft) {
        return;
    }
    /* Calls that were never looked at end like all others. */
    while (fake_next_event(&ft->up)) {
        continue;
    }
    while (!ovs_list_is_empty(&ft->open)) {
        end_call(CONTAINER_OF(ovs_list_front(&ft->open), struct fake_call,
                              node), OTD_STATUS_UNAVAILABLE, "shutting down");
    }
    release_mail(ft);
    otd_mailbox_destroy(ft->mailbox);
    free(ft);
}

struct otd_transport *
fake_transport_up(struct fake_transport *ft)
{
    return &ft->up;
}

size_t
fake_transport_n_open(const struct fake_transport *ft)
{
    return ovs_list_size(&ft->open);
}

/* ---- The clients' side. */

struct fake_call *
fake_call_start(struct fake_transport *ft, enum otd_method method)
{
    struct fake_call *call = alloc(sizeof *call);

    call->transport = ft;
    call->method = method;
    atomic_init(&call->refs, 1);
    pthread_mutex_init(&call->mutex, NULL);
    pthread_cond_init(&call->cond, NULL);
    call->last_reply = &call->replies;
    call->reading = true;
    post(call, OTD_EV_CALL, NULL, NULL, 0);
    return call;
}

void
fake_call_destroy(struct fake_call *call)
{
    if (call) {
        if (!fake_call_wait(call, 0)) {
            fake_call_cancel(call);
        }
        fake_call_unref(call);
    }
}

void
fake_call_send(struct fake_call *call, const void *data, size_t size)
{
    uint32_t end = size;

    fake_call_send_many(call, data, &end, 1);
}

void
fake_call_send_many(struct fake_call *call, const uint8_t *data,
                    const uint32_t *ends, size_t n)
{
    if (n) {
        pthread_mutex_lock(&call->mutex);
        call->unconsumed += ends[n - 1];
        pthread_mutex_unlock(&call->mutex);
        post(call, OTD_EV_MESSAGES, data, ends, n);
    }
}

void
fake_call_half_close(struct fake_call *call)
{
    post(call, OTD_EV_HALF_CLOSE, NULL, NULL, 0);
}

void
fake_call_cancel(struct fake_call *call)
{
    post(call, OTD_EV_CANCELLED, NULL, NULL, 0);
}

size_t
fake_call_unconsumed(struct fake_call *call)
{
    size_t n;

    pthread_mutex_lock(&call->mutex);
    n = call->unconsumed;
    pthread_mutex_unlock(&call->mutex);
    return n;
}

void
fake_call_set_reading(struct fake_call *call, bool reading)
{
    bool writable;

    pthread_mutex_lock(&call->mutex);
    writable = reading && call->pending && !call->finished;
    call->reading = reading;
    if (reading) {
        call->pending = 0;
    }
    pthread_mutex_unlock(&call->mutex);
    if (writable) {
        post(call, OTD_EV_WRITABLE, NULL, NULL, 0);
    }
}

bool
fake_call_wait(struct fake_call *call, int timeout_ms)
{
    struct timespec until;
    bool finished;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += timeout_ms % 1000 * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }

    pthread_mutex_lock(&call->mutex);
    while (!call->finished && timeout_ms
           && !pthread_cond_timedwait(&call->cond, &call->mutex, &until)) {
        continue;
    }
    finished = call->finished;
    pthread_mutex_unlock(&call->mutex);
    return finished;
}

enum otd_status
fake_call_status(struct fake_call *call)
{
    enum otd_status status;

    pthread_mutex_lock(&call->mutex);
    ovs_assert(call->finished);
    status = call->status;
    pthread_mutex_unlock(&call->mutex);
    return status;
}

const char *
fake_call_text(struct fake_call *call)
{
    const char *text;

    pthread_mutex_lock(&call->mutex);
    ovs_assert(call->finished);
    text = call->text;
    pthread_mutex_unlock(&call->mutex);
    return text;
}

void *
fake_call_take_reply(struct fake_call *call, size_t *size)
{
    struct fake_reply *reply;
    void *data = NULL;

    pthread_mutex_lock(&call->mutex);
    reply = call->replies;
    if (reply) {
        call->replies = reply->next;
        if (!call->replies) {
            call->last_reply = &call->replies;
        }
    }
    pthread_mutex_unlock(&call->mutex);

    *size = 0;
    if (reply) {
        *size = reply->size;
        data = alloc(reply->size ? reply->size : 1);
        memcpy(data, reply->data, reply->size);
        free(reply);
    }
    return data;
}
