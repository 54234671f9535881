/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "grpcsvc/server-private.h"

#include <errno.h>
#include <fcntl.h>
#include <grpc/grpc_security.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Certificates, and who may call.
 *
 * gRPC asks for the certificates at each handshake, which is when we look
 * whether the files have changed.  Key and certificate are rarely replaced in
 * the same instant: a pair that does not fit is not used, the one before stays
 * in use, and the next handshake looks again. */

#define PEM_MAX (1u << 20)      /* Bytes of one file. */

enum { TLS_KEY, TLS_CERT, TLS_CA, TLS_N_FILES };

struct tls_file {
    const char *option;         /* For messages: "--private-key". */
    char *name;                 /* Owned; NULL if not given. */
    char *pem;                  /* Owned; what was read last. */
    size_t len;
    struct stat seen;           /* When it was read last. */
};

struct otd_tls {
    struct otd_cq *cq;          /* For the log. */
    char **allowed;             /* Subjects, owned; NULL for all. */
    size_t n_allowed;
    struct fetcher *fetchers;   /* One for each address. */

    pthread_mutex_t mutex;      /* Two addresses may shake hands at once. */
    struct tls_file files[TLS_N_FILES];
    unsigned int version;       /* Counts the times that 'files' was loaded. */
};

/* What one address's credentials know of the certificates. */
struct fetcher {
    struct fetcher *next;
    struct otd_tls *tls;
    unsigned int version;       /* Given to gRPC last; 0 for never. */
};

static char *
format(const char *fmt, ...)
{
    va_list args;
    char *s;

    va_start(args, fmt);
    if (vasprintf(&s, fmt, args) < 0) {
        abort();
    }
    va_end(args);
    return s;
}

/* ---- Files. */

static void
wipe_pem(char *pem, size_t len)
{
    if (pem) {
        explicit_bzero(pem, len);
        free(pem);
    }
}

static char *
read_file(const struct tls_file *file, char **pem, size_t *len,
          struct stat *st)
{
    int fd = open(file->name, O_RDONLY | O_CLOEXEC);
    char *error = NULL;
    size_t n = 0;

    *pem = NULL;
    if (fd < 0 || fstat(fd, st)) {
        error = format("%s %s: %s", file->option, file->name,
                       strerror(errno));
    } else if (!S_ISREG(st->st_mode) || st->st_size > PEM_MAX) {
        error = format("%s %s: this is not a PEM file (%s)", file->option,
                       file->name, S_ISREG(st->st_mode) ? "too large"
                       : "not a regular file");
    } else {
        *pem = otd_cq_alloc(st->st_size + 1);
        while (n < st->st_size) {
            ssize_t retval = read(fd, *pem + n, st->st_size - n);

            if (retval < 0 && errno == EINTR) {
                continue;
            } else if (retval < 0) {
                error = format("%s %s: %s", file->option, file->name,
                               strerror(errno));
            }
            if (retval <= 0) {
                break;
            }
            n += retval;
        }
        if (!error && memchr(*pem, '\0', n)) {
            error = format("%s %s: this is not a PEM file (it holds a NUL)",
                           file->option, file->name);
        }
        if (error) {
            wipe_pem(*pem, n);
            *pem = NULL;
        }
    }
    *len = n;
    if (fd >= 0) {
        close(fd);
    }
    return error;
}

static const char *
openssl_reason(void)
{
    unsigned long error = ERR_peek_last_error();
    const char *reason = error ? ERR_reason_error_string(error) : NULL;

    ERR_clear_error();
    return reason ? reason : "no PEM block found";
}

/* An encrypted key must not make OpenSSL ask on the terminal. */
static int
no_password(char *buf, int size, int rwflag, void *aux)
{
    return -1;
}

static char *
check_certs(const struct tls_file *file, const char *pem, size_t len)
{
    BIO *bio = BIO_new_mem_buf(pem, len);
    char *error = NULL;
    int n = 0;
    X509 *x;

    while ((x = PEM_read_bio_X509(bio, NULL, no_password, NULL)) != NULL) {
        X509_free(x);
        n++;
    }
    if (!n) {
        error = format("%s %s: not a PEM certificate: %s", file->option,
                       file->name, openssl_reason());
    }
    ERR_clear_error();
    BIO_free(bio);
    return error;
}

static char *
check_pair(const struct otd_tls *tls, char *const pem[], const size_t len[])
{
    const struct tls_file *key_file = &tls->files[TLS_KEY];
    const struct tls_file *cert_file = &tls->files[TLS_CERT];
    BIO *cert_bio = BIO_new_mem_buf(pem[TLS_CERT], len[TLS_CERT]);
    BIO *key_bio = BIO_new_mem_buf(pem[TLS_KEY], len[TLS_KEY]);
    X509 *cert = PEM_read_bio_X509(cert_bio, NULL, no_password, NULL);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(key_bio, NULL, no_password, NULL);
    char *error = NULL;

    if (!key) {
        error = format("%s %s: not an unencrypted PEM private key: %s",
                       key_file->option, key_file->name, openssl_reason());
    } else if (!cert || X509_check_private_key(cert, key) != 1) {
        error = format("%s %s does not belong to %s %s", key_file->option,
                       key_file->name, cert_file->option, cert_file->name);
    } else if (X509_cmp_current_time(X509_get0_notAfter(cert)) < 0) {
        otd_cq_log(tls->cq, true, "%s %s: the certificate has expired; "
                   "clients will refuse it", cert_file->option,
                   cert_file->name);
    }
    ERR_clear_error();
    X509_free(cert);
    EVP_PKEY_free(key);
    BIO_free(cert_bio);
    BIO_free(key_bio);
    return error;
}

/* Reads all files anew and keeps them if they are good and fit together. */
static char *
load_files(struct otd_tls *tls)
{
    char *pem[TLS_N_FILES] = { NULL };
    size_t len[TLS_N_FILES] = { 0 };
    struct stat st[TLS_N_FILES];
    char *error = NULL;
    size_t i;

    memset(st, 0, sizeof st);
    for (i = 0; i < TLS_N_FILES && !error; i++) {
        const struct tls_file *file = &tls->files[i];

        if (file->name) {
            error = read_file(file, &pem[i], &len[i], &st[i]);
            if (!error && i != TLS_KEY) {
                error = check_certs(file, pem[i], len[i]);
            }
        }
    }
    if (!error) {
        error = check_pair(tls, pem, len);
    }

    for (i = 0; i < TLS_N_FILES; i++) {
        struct tls_file *file = &tls->files[i];

        if (error) {
            wipe_pem(pem[i], len[i]);
        } else {
            wipe_pem(file->pem, file->len);
            file->pem = pem[i];
            file->len = len[i];
            file->seen = st[i];
        }
    }
    if (!error) {
        tls->version++;
    }
    return error;
}

static bool
files_changed(const struct otd_tls *tls)
{
    size_t i;

    for (i = 0; i < TLS_N_FILES; i++) {
        const struct tls_file *file = &tls->files[i];
        struct stat st;

        if (file->name
            && (stat(file->name, &st)
                || st.st_ino != file->seen.st_ino
                || st.st_dev != file->seen.st_dev
                || st.st_size != file->seen.st_size
                || st.st_mtim.tv_sec != file->seen.st_mtim.tv_sec
                || st.st_mtim.tv_nsec != file->seen.st_mtim.tv_nsec)) {
            return true;
        }
    }
    return false;
}

static void
reload(struct otd_tls *tls)
{
    char *error = load_files(tls);

    if (error) {
        otd_cq_log(tls->cq, true,
                   "%s; the certificate read before stays in use", error);
        free(error);
    } else {
        otd_cq_log(tls->cq, false, "%s: took up the changed certificate",
                   tls->files[TLS_CERT].name);
    }
}

/* gRPC calls this once when the address is bound and at each handshake. */
static grpc_ssl_certificate_config_reload_status
fetch_certificates(void *fetcher_, grpc_ssl_server_certificate_config **config)
{
    grpc_ssl_certificate_config_reload_status status
        = GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
    struct fetcher *fetcher = fetcher_;
    struct otd_tls *tls = fetcher->tls;

    pthread_mutex_lock(&tls->mutex);
    if (files_changed(tls)) {
        reload(tls);
    }
    if (fetcher->version != tls->version) {
        grpc_ssl_pem_key_cert_pair pair = {
            .private_key = tls->files[TLS_KEY].pem,
            .cert_chain = tls->files[TLS_CERT].pem,
        };

        /* gRPC 1.51 insists on some authority even where no client certificate
         * is asked for; there it is never looked at. */
        *config = grpc_ssl_server_certificate_config_create(
            tls->files[TLS_CA].pem ? tls->files[TLS_CA].pem : pair.cert_chain,
            &pair, 1);
        fetcher->version = tls->version;
        status = GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW;
    }
    pthread_mutex_unlock(&tls->mutex);
    return status;
}

/* ---- Who may call. */

static void
parse_allowed(struct otd_tls *tls, const char *list)
{
    char *copy, *name, *save = NULL;

    if (!list) {
        return;
    }
    copy = strdup(list);
    tls->allowed = otd_cq_alloc((strlen(list) / 2 + 1) * sizeof *tls->allowed);
    for (name = strtok_r(copy, ", \t\n", &save); name;
         name = strtok_r(NULL, ", \t\n", &save)) {
        tls->allowed[tls->n_allowed++] = strdup(name);
    }
    free(copy);
}

static bool
is_allowed(const struct otd_tls *tls, const grpc_auth_property *property)
{
    size_t i;

    for (i = 0; i < tls->n_allowed; i++) {
        /* By length too: a certificate's name may hold a NUL. */
        if (strlen(tls->allowed[i]) == property->value_length
            && !memcmp(tls->allowed[i], property->value,
                       property->value_length)) {
            return true;
        }
    }
    return false;
}

/* Appends a name that a stranger chose to a sentence for the log. */
static char *
append_name(char *names, const grpc_auth_property *property)
{
    char *new, *p;
    int n = property->value_length > 256 ? 256 : property->value_length;

    new = format("%s%s%.*s", names ? names : "", names ? ", " : "", n,
                 property->value);
    for (p = new + (names ? strlen(names) : 0); *p; p++) {
        if (*p < ' ' || *p > '~') {
            *p = '?';
        }
    }
    free(names);
    return new;
}

char *
otd_tls_refuse(const struct otd_tls *tls, grpc_call *call)
{
    static const char *const properties[] = {
        GRPC_X509_CN_PROPERTY_NAME, GRPC_X509_SAN_PROPERTY_NAME
    };
    grpc_auth_property_iterator iter;
    const grpc_auth_property *property;
    grpc_auth_context *context;
    char *names = NULL, *refusal;
    bool is_tls = false, allowed = false;
    size_t i;

    if (!tls->allowed) {
        return NULL;
    }

    context = grpc_call_auth_context(call);
    iter = grpc_auth_context_find_properties_by_name(
        context, GRPC_TRANSPORT_SECURITY_TYPE_PROPERTY_NAME);
    property = grpc_auth_property_iterator_next(&iter);
    is_tls = property && !strcmp(property->value,
                                 GRPC_SSL_TRANSPORT_SECURITY_TYPE);
    for (i = 0; is_tls && !allowed && i < 2; i++) {
        iter = grpc_auth_context_find_properties_by_name(context,
                                                         properties[i]);
        while (!allowed
               && (property = grpc_auth_property_iterator_next(&iter))) {
            allowed = is_allowed(tls, property);
            if (!names || strlen(names) < 1024) {
                names = append_name(names, property);
            }
        }
    }
    grpc_auth_context_release(context);

    refusal = NULL;
    if (is_tls && !allowed) {
        refusal = format("the certificate's subject (%s) is not among the "
                         "allowed subjects", names ? names : "no name");
    }
    free(names);
    return refusal;
}

/* ---- Life. */

char *
otd_tls_create(const struct otd_cq_config *config, struct otd_cq *cq,
               struct otd_tls **tlsp)
{
    static const char *const options[TLS_N_FILES] = {
        [TLS_KEY] = "--private-key",
        [TLS_CERT] = "--certificate",
        [TLS_CA] = "--ca-cert",
    };
    const char *names[TLS_N_FILES] = {
        [TLS_KEY] = config->private_key,
        [TLS_CERT] = config->certificate,
        [TLS_CA] = config->ca_cert,
    };
    struct otd_tls *tls = otd_cq_alloc(sizeof *tls);
    char *error;
    size_t i;

    tls->cq = cq;
    pthread_mutex_init(&tls->mutex, NULL);
    for (i = 0; i < TLS_N_FILES; i++) {
        tls->files[i].option = options[i];
        tls->files[i].name = names[i] ? strdup(names[i]) : NULL;
    }
    parse_allowed(tls, config->allowed_subjects);
    error = load_files(tls);
    if (error) {
        otd_tls_destroy(tls);
        tls = NULL;
    }
    *tlsp = tls;
    return error;
}

void
otd_tls_destroy(struct otd_tls *tls)
{
    size_t i;

    if (!tls) {
        return;
    }
    for (i = 0; i < TLS_N_FILES; i++) {
        free(tls->files[i].name);
        wipe_pem(tls->files[i].pem, tls->files[i].len);
    }
    for (i = 0; i < tls->n_allowed; i++) {
        free(tls->allowed[i]);
    }
    free(tls->allowed);
    while (tls->fetchers) {
        struct fetcher *next = tls->fetchers->next;

        free(tls->fetchers);
        tls->fetchers = next;
    }
    pthread_mutex_destroy(&tls->mutex);
    free(tls);
}

grpc_server_credentials *
otd_tls_credentials(struct otd_tls *tls)
{
    grpc_ssl_client_certificate_request_type request
        = (tls->files[TLS_CA].name
           ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
           : GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE);

    struct fetcher *fetcher = otd_cq_alloc(sizeof *fetcher);

    fetcher->tls = tls;
    fetcher->next = tls->fetchers;
    tls->fetchers = fetcher;
    return grpc_ssl_server_credentials_create_with_options(
        grpc_ssl_server_credentials_create_options_using_config_fetcher(
            request, fetch_certificates, fetcher));
}
