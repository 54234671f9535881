/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "cli/channel-private.h"

#include <errno.h>
#include <grpc/grpc_security.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Connecting, and saying why not. */

char *
otd_channel_format(const char *fmt, ...)
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

static char *
read_pem(const char *name, char **pem)
{
    char buf[4096];
    size_t n = 0, got;
    FILE *stream;
    bool failed;

    *pem = NULL;
    if (!name) {
        return NULL;
    }
    stream = fopen(name, "re");
    if (!stream) {
        return otd_channel_format("%s: %s", name, strerror(errno));
    }
    while ((got = fread(buf, 1, sizeof buf, stream)) > 0) {
        *pem = realloc(*pem, n + got + 1);
        if (!*pem) {
            abort();
        }
        memcpy(*pem + n, buf, got);
        n += got;
        (*pem)[n] = '\0';
    }
    explicit_bzero(buf, sizeof buf);
    failed = ferror(stream);
    fclose(stream);
    if (failed || !n) {
        free(*pem);
        *pem = NULL;
        return otd_channel_format("%s: cannot be read, or is empty", name);
    }
    return NULL;
}

static void
free_secret(char *s)
{
    if (s) {
        explicit_bzero(s, strlen(s));
        free(s);
    }
}

static char *
tls_credentials(const struct otd_channel_config *config,
                grpc_channel_credentials **creds)
{
    char *ca, *cert = NULL, *key = NULL;
    grpc_ssl_pem_key_cert_pair pair;
    char *error;

    error = read_pem(config->ca_cert, &ca);
    if (!error) {
        error = read_pem(config->certificate, &cert);
    }
    if (!error) {
        error = read_pem(config->private_key, &key);
    }
    if (!error && !cert != !key) {
        error = otd_channel_format("a certificate and its private key must be "
                                   "given together");
    }
    if (!error) {
        pair.cert_chain = cert;
        pair.private_key = key;
        *creds = grpc_ssl_credentials_create(ca, cert ? &pair : NULL, NULL,
                                             NULL);
        if (!*creds) {
            error = otd_channel_format("the certificates cannot be used");
        }
    }
    free(ca);
    free(cert);
    free_secret(key);
    return error;
}

/* gRPC's own words for a unix socket that cannot be reached name neither cause
 * nor remedy, so try that first. */
static char *
probe_unix(const char *path)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    char *error = NULL;
    int fd;

    if (strlen(path) >= sizeof un.sun_path) {
        return otd_channel_format("the path is too long for a unix socket");
    }
    strcpy(un.sun_path, path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *) &un, sizeof un)) {
        int e = errno;

        error = otd_channel_format("%s%s", strerror(e),
                       e == ENOENT || e == ECONNREFUSED
                       ? "; is ovs-tunneld running?"
                       : e == EACCES
                       ? "; be root, or a member of the socket's group" : "");
    }
    if (fd >= 0) {
        close(fd);
    }
    return error;
}

static void
on_connectivity(struct tag *tag, bool ok)
{
    /* The waiter asks for the state. */
}

/* A call that fails fast carries gRPC's reason why it cannot connect. */
static char *
why_not_ready(struct otd_channel *channel)
{
    static const char prelude[] = "last error: UNKNOWN: ";
    struct otd_rpc_status status;
    struct otd_bytes reply;
    const char *reason;
    char *error;

    otd_channel_unary(channel, "/", NULL, 0, 1000, &reply, &status);
    reason = strstr(status.text, prelude);
    error = otd_channel_format("%s", reason ? reason + sizeof prelude - 1
                               : status.text);
    free(reply.data);
    otd_rpc_status_destroy(&status);
    return error;
}

static char *
wait_ready(struct otd_channel *channel, int timeout_ms)
{
    gpr_timespec deadline = otd_channel_deadline(timeout_ms);

    for (;;) {
        grpc_connectivity_state state
            = grpc_channel_check_connectivity_state(channel->channel, 1);

        if (state == GRPC_CHANNEL_READY) {
            return NULL;
        } else if (state == GRPC_CHANNEL_TRANSIENT_FAILURE
                   || state == GRPC_CHANNEL_SHUTDOWN) {
            return why_not_ready(channel);
        } else if (gpr_time_cmp(gpr_now(GPR_CLOCK_MONOTONIC), deadline) >= 0) {
            return otd_channel_format("no answer within %d ms", timeout_ms);
        }
        channel->connect.done = on_connectivity;
        channel->connect.pending = true;
        grpc_channel_watch_connectivity_state(channel->channel, state,
                                              deadline, channel->queue,
                                              &channel->connect);
        otd_channel_run_until(channel, &channel->connect);
    }
}

/* 'authority' is the name that is meant and 'server_name' the one in the
 * certificate; either may be NULL for what 'target' says. */
static grpc_channel *
create_channel(const char *target, grpc_channel_credentials *creds,
               const char *authority, const char *server_name)
{
    grpc_arg args[6] = {
        { .type = GRPC_ARG_INTEGER, .key = (char *) "grpc.enable_retries",
          .value.integer = 0 },
        { .type = GRPC_ARG_INTEGER, .key = (char *) "grpc.enable_http_proxy",
          .value.integer = 0 },
        { .type = GRPC_ARG_INTEGER,
          .key = (char *) "grpc.max_receive_message_length",
          .value.integer = 256 << 20 },
        /* Two channels of one process are two connections. */
        { .type = GRPC_ARG_INTEGER,
          .key = (char *) "grpc.use_local_subchannel_pool",
          .value.integer = 1 },
    };
    grpc_channel_args channel_args = { 4, args };

    if (authority) {
        args[channel_args.num_args++] = (grpc_arg) {
            .type = GRPC_ARG_STRING, .key = (char *) "grpc.default_authority",
            .value.string = (char *) authority,
        };
    }
    if (server_name) {
        args[channel_args.num_args++] = (grpc_arg) {
            .type = GRPC_ARG_STRING,
            .key = (char *) "grpc.ssl_target_name_override",
            .value.string = (char *) server_name,
        };
    }
    return grpc_channel_create(target, creds, &channel_args);
}

/* Tries one address. */
static char *
connect_to(struct otd_channel *channel, const char *target,
           grpc_channel_credentials *creds, const char *authority,
           const char *server_name, int timeout_ms)
{
    char *error;

    channel->channel = create_channel(target, creds, authority, server_name);
    error = wait_ready(channel, timeout_ms);
    if (error) {
        grpc_channel_destroy(channel->channel);
        channel->channel = NULL;
    }
    return error;
}

/* Splits HOST:PORT; the brackets of an IPv6 address are taken off. */
static char *
split_host_port(const char *s, char **host, char **port)
{
    const char *colon = strrchr(s, ':');
    size_t n = colon ? colon - s : 0;

    *host = *port = NULL;
    if (!n || !colon[1]) {
        return otd_channel_format("HOST:PORT must follow");
    }
    if (n > 2 && s[0] == '[' && s[n - 1] == ']') {
        s++;
        n -= 2;
    }
    *host = otd_channel_alloc(n + 1);
    memcpy(*host, s, n);
    *port = otd_channel_format("%s", colon + 1);
    return NULL;
}

/* Tries the addresses of a host one after the other.  (Not gRPC's resolver: it
 * hides which address failed why.) */
static char *
connect_inet(struct otd_channel *channel, const char *authority,
             grpc_channel_credentials *creds, const char *server_name,
             int timeout_ms)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
    struct addrinfo *list = NULL, *ai;
    char *host, *port, *error;
    int retval;

    error = split_host_port(authority, &host, &port);
    if (error) {
        return error;
    }
    retval = getaddrinfo(host, port, &hints, &list);
    if (retval) {
        error = otd_channel_format("%s", gai_strerror(retval));
    }
    for (ai = list; ai; ai = ai->ai_next) {
        char ip[INET6_ADDRSTRLEN], service[16], *target;

        getnameinfo(ai->ai_addr, ai->ai_addrlen, ip, sizeof ip, service,
                    sizeof service, NI_NUMERICHOST | NI_NUMERICSERV);
        target = otd_channel_format(ai->ai_family == AF_INET6
                                    ? "ipv6:[%s]:%s" : "ipv4:%s:%s",
                                    ip, service);
        free(error);
        /* gRPC wants the call's host to be the name in the certificate. */
        error = connect_to(channel, target, creds,
                           server_name ? server_name : authority,
                           server_name ? server_name : host, timeout_ms);
        free(target);
        if (!error) {
            break;
        }
    }
    if (list) {
        freeaddrinfo(list);
    }
    free(host);
    free(port);
    return error;
}

static char *
channel_connect(struct otd_channel *channel,
                const struct otd_channel_config *config, int timeout_ms)
{
    grpc_channel_credentials *creds = NULL;
    const char *target = config->target;
    char *error;

    if (!strncmp(target, "unix:", 5)) {
        creds = grpc_insecure_credentials_create();
        error = probe_unix(target + 5);
        if (!error) {
            error = connect_to(channel, target, creds, NULL, NULL,
                               timeout_ms);
        }
    } else if (!strncmp(target, "insecure:", 9)) {
        creds = grpc_insecure_credentials_create();
        error = connect_inet(channel, target + 9, creds, NULL, timeout_ms);
    } else if (!strncmp(target, "tls:", 4)) {
        error = tls_credentials(config, &creds);
        if (!error) {
            error = connect_inet(channel, target + 4, creds,
                                 config->server_name, timeout_ms);
        }
    } else {
        error = otd_channel_format("not an address; it is unix:PATH, "
                                   "tls:HOST:PORT or insecure:HOST:PORT");
    }
    if (creds) {
        grpc_channel_credentials_release(creds);
    }
    return error;
}

char *
otd_channel_open(const struct otd_channel_config *config, int timeout_ms,
                 struct otd_channel **channelp)
{
    struct otd_channel *channel = otd_channel_alloc(sizeof *channel);
    char *error;

    grpc_init();
    channel->queue = grpc_completion_queue_create_for_next(NULL);
    error = channel_connect(channel, config, timeout_ms);
    if (error) {
        char *sentence = otd_channel_format("%s: cannot connect: %s",
                                            config->target, error);

        free(error);
        otd_channel_close(channel);
        *channelp = NULL;
        return sentence;
    }
    *channelp = channel;
    return NULL;
}
