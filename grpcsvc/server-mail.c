/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "grpcsvc/server-private.h"

#include <grpc/byte_buffer.h>
#include <grpc/slice.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* What the main thread gets to read: request messages packed into mails, and
 * the account of the memory that they hold. */

/* What holding a mail and a message costs beyond the bytes of data: what makes
 * a flood of tiny messages count. */
#define MAIL_COST 1024
#define MESSAGE_COST 8

/* A mail with room for a small request, which is what most calls consist
 * of. */
struct roomy_mail {
    struct otd_cq_mail mail;
    uint32_t ends[8];
    uint8_t data[512];
};

static struct otd_cq_call *
call_cast(struct otd_call *pub)
{
    return OTD_CONTAINER(pub, struct otd_cq_call, pub);
}

/* ---- The account. */

static size_t
mail_overhead(const struct otd_cq_mail *mail)
{
    return MAIL_COST + MESSAGE_COST * mail->n;
}

size_t
otd_cq_unposted(const struct otd_cq_call *call)
{
    return call->mail ? call->mail->size + mail_overhead(call->mail) : 0;
}

/* Takes 'n' bytes off the total and lets the calls that wait for it go on. */
static void
credit_total(struct otd_cq *cq, size_t n)
{
    if (atomic_fetch_sub(&cq->charge, n) - n <= OTD_CQ_TOTAL_REOPEN
        && atomic_load(&cq->any_starved)
        && atomic_exchange(&cq->any_starved, false)) {
        otd_mailq_push(&cq->commands, &cq->feed.mail);
    }
}

/* Either thread. */
void
otd_cq_call_unref(struct otd_cq_call *call)
{
    if (atomic_fetch_sub(&call->refs, 1) == 1) {
        /* What the main thread never used up. */
        credit_total(call->cq, atomic_load(&call->charge));
        free(call->text);
        free(call);
    }
}

/* Main thread: gives back 'n' bytes of charge. */
static void
credit(struct otd_cq_call *call, size_t n)
{
    size_t left = atomic_fetch_sub(&call->charge, n) - n;

    credit_total(call->cq, n);

    /* After the call's end the command would outlive it. */
    if (!call->pub.finished && left <= OTD_CQ_CALL_REOPEN
        && atomic_load(&call->held) && atomic_exchange(&call->held, false)) {
        otd_mailq_push(&call->cq->commands, &call->read.mail);
    }
}

void
otd_cq_consumed(struct otd_call *pub, size_t n)
{
    credit(call_cast(pub), n);
}

/* ---- Mails. */

/* Of a call, not of a log line. */
static void
free_mail(struct otd_cq_mail *mail)
{
    struct roomy_mail *room = OTD_CONTAINER(mail, struct roomy_mail, mail);

    if (mail->data != room->data) {
        free(mail->data);
    }
    if (mail->ends != room->ends) {
        free(mail->ends);
    }
    free(room);
}

void
otd_cq_mail_done(struct otd_cq *cq, struct otd_cq_mail *mail)
{
    if (mail->call) {
        struct otd_cq_call *call = call_cast(mail->call);

        credit(call, mail_overhead(mail));
        free_mail(mail);
        otd_cq_call_unref(call);
    } else {
        if (cq) {
            atomic_store(&cq->log_posted, false);
        }
        free(mail->log);
        free(mail);
    }
}

static struct otd_cq_mail *
get_mail(struct otd_cq_call *call)
{
    struct roomy_mail *room;

    if (call->mail) {
        return call->mail;
    }

    room = malloc(sizeof *room);
    if (!room) {
        abort();
    }
    memset(&room->mail, 0, sizeof room->mail);
    room->mail.call = &call->pub;
    room->mail.data = room->data;
    room->mail.ends = room->ends;
    call->data_alloc = sizeof room->data;
    call->ends_alloc = sizeof room->ends / sizeof room->ends[0];
    call->mail = &room->mail;

    if (!call->dirty) {
        call->dirty = true;
        atomic_fetch_add(&call->refs, 1);
        call->next_dirty = call->cq->dirty;
        call->cq->dirty = call;
    }
    return call->mail;
}

void
otd_cq_post_mail(struct otd_cq_call *call)
{
    struct otd_cq_mail *mail = call->mail;

    if (!mail) {
        return;
    }
    call->mail = NULL;
    if (call->finished || !call->announced) {
        free_mail(mail);        /* Nobody there to read it. */
        return;
    }
    atomic_fetch_add(&call->charge, mail->size + mail_overhead(mail));
    atomic_fetch_add(&call->cq->charge, mail->size + mail_overhead(mail));
    atomic_fetch_add(&call->refs, 1);
    otd_mailbox_post(call->cq->mailbox, &mail->mail);
}

/* The middle of a stream that is answered only at its end is in no hurry:
 * waiting for more of it spares the main thread a wake-up for each message of
 * a client that is slower than we are. */
static bool
can_wait(const struct otd_cq_mail *mail, enum otd_method method)
{
    return (mail && !(mail->flags & ~OTD_CQ_NEW)
            && otd_methods[method].client_streams
            && !otd_methods[method].server_streams);
}

bool
otd_cq_flush_mail(struct otd_cq *cq, bool all)
{
    struct otd_cq_call *call, *next, *oldest = NULL;

    /* In the order of arrival: a client that came first is served first. */
    for (call = cq->dirty; call; call = next) {
        next = call->next_dirty;
        call->next_dirty = oldest;
        oldest = call;
    }
    cq->dirty = NULL;

    for (call = oldest; call; call = next) {
        next = call->next_dirty;
        if (!all && !call->finished && can_wait(call->mail,
                                                call->pub.method)) {
            call->next_dirty = cq->dirty;
            cq->dirty = call;
        } else {
            call->next_dirty = NULL;
            call->dirty = false;
            otd_cq_post_mail(call);
            otd_cq_call_unref(call);
        }
    }
    return cq->dirty != NULL;
}

void
otd_cq_tell(struct otd_cq_call *call, unsigned int flags)
{
    if (call->announced && !call->finished) {
        get_mail(call)->flags |= flags;
    }
}

/* ---- Messages. */

static void *
grow(void *old, void *room, size_t used, size_t alloc)
{
    void *new = old == room ? malloc(alloc) : realloc(old, alloc);

    if (!new) {
        abort();
    }
    if (old == room) {
        memcpy(new, old, used);
    }
    return new;
}

/* Makes room for one message of 'len' bytes at the end of the call's mail. */
static struct otd_cq_mail *
mail_reserve(struct otd_cq_call *call, size_t len)
{
    struct otd_cq_mail *mail = get_mail(call);
    struct roomy_mail *room = OTD_CONTAINER(mail, struct roomy_mail, mail);

    if (mail->n && mail->size + len > OTD_CQ_CHUNK) {
        otd_cq_post_mail(call);
        mail = get_mail(call);
        room = OTD_CONTAINER(mail, struct roomy_mail, mail);
    }
    if (mail->size + len > call->data_alloc) {
        size_t alloc = call->data_alloc;

        while (alloc < mail->size + len) {
            alloc = alloc < OTD_CQ_CHUNK / 4 ? alloc * 4
                    : alloc < OTD_CQ_CHUNK ? OTD_CQ_CHUNK
                    : mail->size + len;
        }
        mail->data = grow(mail->data, room->data, mail->size, alloc);
        call->data_alloc = alloc;
    }
    if (mail->n >= call->ends_alloc) {
        size_t alloc = call->ends_alloc * 4;

        mail->ends = grow(mail->ends, room->ends, mail->n * sizeof(uint32_t),
                          alloc * sizeof(uint32_t));
        call->ends_alloc = alloc;
    }
    return mail;
}

static void
copy_slices(uint8_t *dst, const grpc_slice_buffer *sb)
{
    size_t i;

    for (i = 0; i < sb->count; i++) {
        size_t n = GRPC_SLICE_LENGTH(sb->slices[i]);

        memcpy(dst, GRPC_SLICE_START_PTR(sb->slices[i]), n);
        dst += n;
    }
}

/* Decompresses to at most OTD_CQ_MESSAGE_MAX bytes.  Returns the message
 * (owned) and its size, or NULL.
 *
 * gRPC's own decompression, which is switched off, looks at the limit only
 * afterwards: one megabyte of gzip makes a gigabyte of memory. */
static uint8_t *
inflate_slices(const grpc_slice_buffer *sb, bool gzip, size_t *n)
{
    const size_t max = OTD_CQ_MESSAGE_MAX + 1;  /* One more shows excess. */
    size_t alloc = sb->length < 64 << 10 ? 256 << 10 : max;
    uint8_t *out = otd_cq_alloc(alloc);
    z_stream z = { .next_out = out, .avail_out = alloc };
    int retval = inflateInit2(&z, MAX_WBITS + (gzip ? 16 : 0));
    size_t i;

    for (i = 0; i < sb->count && retval == Z_OK; i++) {
        z.next_in = (uint8_t *) GRPC_SLICE_START_PTR(sb->slices[i]);
        z.avail_in = GRPC_SLICE_LENGTH(sb->slices[i]);
        while (z.avail_in && retval == Z_OK) {
            if (!z.avail_out) {
                if (alloc >= max) {
                    retval = Z_BUF_ERROR;
                    break;
                }
                out = realloc(out, max);
                if (!out) {
                    abort();
                }
                z.next_out = out + alloc;
                z.avail_out = max - alloc;
                alloc = max;
            }
            retval = inflate(&z, Z_NO_FLUSH);
        }
    }
    *n = z.total_out;
    inflateEnd(&z);
    if (retval != Z_STREAM_END || *n > OTD_CQ_MESSAGE_MAX) {
        free(out);
        return NULL;
    }
    return out;
}

bool
otd_cq_append_message(struct otd_cq_call *call, grpc_byte_buffer *bb)
{
    const grpc_slice_buffer *sb = &bb->data.raw.slice_buffer;
    struct otd_cq_mail *mail;

    if (bb->data.raw.compression == GRPC_COMPRESS_NONE) {
        mail = mail_reserve(call, sb->length);
        copy_slices(mail->data + mail->size, sb);
        mail->size += sb->length;
    } else {
        bool gzip = bb->data.raw.compression == GRPC_COMPRESS_GZIP;
        size_t n;
        uint8_t *message = inflate_slices(sb, gzip, &n);

        if (!message) {
            return false;
        }
        mail = mail_reserve(call, n);
        memcpy(mail->data + mail->size, message, n);
        mail->size += n;
        free(message);
    }
    mail->ends[mail->n++] = mail->size;
    return true;
}
