/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "grpcsvc/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "grpcsvc/server.h"
#include "util.h"

/* ---- The list. */

static char *
parse_unix(struct otd_listen *listen, const char *rest)
{
    struct sockaddr_un un;

    if (rest[0] != '/') {
        return xasprintf("%s: the path of a unix socket must be absolute, as "
                         "in unix:/run/ovs-tunneld/grpc.sock", listen->text);
    } else if (strlen(rest) >= sizeof un.sun_path) {
        return xasprintf("%s: the path has %"PRIuSIZE" bytes; a unix socket's "
                         "has at most %"PRIuSIZE, listen->text, strlen(rest),
                         sizeof un.sun_path - 1);
    } else if (rest[strlen(rest) - 1] == '/') {
        return xasprintf("%s: this names a directory; add the name of the "
                         "socket", listen->text);
    }
    listen->path = xstrdup(rest);
    listen->target = xasprintf("unix:%s", rest);
    listen->loopback = true;
    return NULL;
}

static bool
parse_port(const char *s, uint16_t *port)
{
    unsigned int n = 0;

    if (!*s || strlen(s) > 5 || s[strspn(s, "0123456789")]) {
        return false;
    }
    n = atoi(s);
    *port = n;
    return n <= UINT16_MAX;
}

/* 'rest' is ADDRESS:PORT. */
static char *
parse_inet(struct otd_listen *listen, const char *rest)
{
    const char *colon = strrchr(rest, ':');
    struct in6_addr ip6;
    struct in_addr ip4;
    bool bracketed;
    size_t len;

    if (!colon || !parse_port(colon + 1, &listen->port)) {
        return xasprintf("%s: a port of 0 to 65535 must follow the address, "
                         "as in tls:192.0.2.1:3443", listen->text);
    }
    len = colon - rest;
    bracketed = len >= 2 && rest[0] == '[' && rest[len - 1] == ']';
    listen->host = (bracketed ? xmemdup0(rest + 1, len - 2)
                    : xmemdup0(rest, len));

    if (!bracketed && !strcmp(listen->host, "localhost")) {
        free(listen->host);
        listen->host = xstrdup("127.0.0.1");
    }
    if (bracketed && inet_pton(AF_INET6, listen->host, &ip6) == 1) {
        listen->loopback = IN6_IS_ADDR_LOOPBACK(&ip6);
        listen->target = xasprintf("[%s]:%"PRIu16, listen->host,
                                   listen->port);
    } else if (!bracketed && inet_pton(AF_INET, listen->host, &ip4) == 1) {
        listen->loopback = ntohl(ip4.s_addr) >> 24 == 127;
        listen->target = xasprintf("%s:%"PRIu16, listen->host, listen->port);
    } else {
        return xasprintf("%s: \"%s\" is not an IP address; give an IPv4 "
                         "address, an IPv6 address in brackets, or localhost",
                         listen->text, listen->host);
    }
    return NULL;
}

static bool
is_set(const char *s)
{
    return s && s[0];
}

static char *
check_rules(const struct otd_listen *listen,
            const struct otd_server_config *config)
{
    if (listen->type == OTD_LISTEN_INSECURE) {
        if (!listen->loopback) {
            return xasprintf("%s: clear text is refused beyond loopback, "
                             "because whoever connects controls the host's "
                             "traffic; use tls: with client certificates",
                             listen->text);
        } else if (!config->allow_clear_loopback) {
            return xasprintf("%s: clear text lets every local user in; use "
                             "unix:, or allow it with "
                             "--allow-clear-loopback", listen->text);
        }
    } else if (listen->type == OTD_LISTEN_TLS) {
        if (!is_set(config->private_key) || !is_set(config->certificate)) {
            return xasprintf("%s: TLS needs --private-key and --certificate",
                             listen->text);
        } else if (!listen->loopback && !is_set(config->ca_cert)) {
            return xasprintf("%s: beyond loopback clients must show a "
                             "certificate; give --ca-cert", listen->text);
        } else if (!listen->loopback && !is_set(config->allowed_subjects)) {
            return xasprintf("%s: beyond loopback not every certificate of "
                             "the CA may do; give --allowed-subjects",
                             listen->text);
        } else if (!is_set(config->ca_cert)
                   && !config->allow_tls_no_client_cert) {
            return xasprintf("%s: without --ca-cert every local user is let "
                             "in; give it, or allow this with "
                             "--allow-tls-without-client-certificate",
                             listen->text);
        }
    }
    return NULL;
}

static char *
parse_one(const char *text, const struct otd_server_config *config,
          struct otd_listen *listen)
{
    const char *rest;
    char *error;

    memset(listen, 0, sizeof *listen);
    listen->text = xstrdup(text);
    if (!strncmp(text, "unix:", 5)) {
        listen->type = OTD_LISTEN_UNIX;
        error = parse_unix(listen, text + 5);
    } else if ((rest = text + 4, !strncmp(text, "tls:", 4))
               || (rest = text + 9, !strncmp(text, "insecure:", 9))) {
        listen->type = (text[0] == 't' ? OTD_LISTEN_TLS
                        : OTD_LISTEN_INSECURE);
        error = parse_inet(listen, rest);
    } else {
        error = xasprintf("%s: not an address to listen on; it is unix:PATH, "
                          "tls:ADDRESS:PORT or insecure:ADDRESS:PORT", text);
    }
    return error ? error : check_rules(listen, config);
}

char *
otd_listen_parse(const struct otd_server_config *config,
                 struct otd_listen **listensp, size_t *np)
{
    char *copy = xstrdup(config->listen ? config->listen : "");
    struct otd_listen *listens = NULL;
    char *word, *save = NULL;
    size_t n = 0, alloc = 0;
    char *error = NULL;

    for (word = strtok_r(copy, " \t\n", &save); word && !error;
         word = strtok_r(NULL, " \t\n", &save)) {
        size_t i;

        if (n >= alloc) {
            listens = x2nrealloc(listens, &alloc, sizeof *listens);
        }
        error = parse_one(word, config, &listens[n++]);
        for (i = 0; i + 1 < n && !error; i++) {
            if (!strcmp(listens[i].target, listens[n - 1].target)
                && (listens[i].path || listens[i].port)) {
                error = xasprintf("%s: given twice (also as %s)",
                                  listens[n - 1].text, listens[i].text);
            }
        }
    }
    free(copy);
    if (!error && !n) {
        error = xstrdup("no address to listen on; give at least one, as in "
                        "unix:/run/ovs-tunneld/grpc.sock");
    }
    if (error) {
        otd_listen_free(listens, n);
        listens = NULL;
        n = 0;
    }
    *listensp = listens;
    *np = n;
    return error;
}

void
otd_listen_free(struct otd_listen *listens, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++) {
        free(listens[i].text);
        free(listens[i].target);
        free(listens[i].path);
        free(listens[i].host);
    }
    free(listens);
}

char *
otd_server_config_check(const struct otd_server_config *config)
{
    struct otd_listen *listens;
    size_t n;
    char *error = otd_listen_parse(config, &listens, &n);

    otd_listen_free(listens, n);
    return error;
}

/* ---- Unix sockets. */

/* Returns the group's id, or -1. */
static gid_t
lookup_group(const char *name)
{
    struct group *group = is_set(name) ? getgrnam(name) : NULL;

    return group ? group->gr_gid : (gid_t) -1;
}

/* The directory itself must be a directory and not a link to one: who owns a
 * link decides where the socket ends up. */
static char *
check_dir(const char *dir, int fd, gid_t gid)
{
    mode_t mode = gid == (gid_t) -1 ? 0700 : 0750;
    struct stat st;

    if (fstat(fd, &st)) {
        return xasprintf("%s: %s", dir, ovs_strerror(errno));
    } else if (st.st_uid != geteuid() && st.st_uid != 0) {
        return xasprintf("%s: refused as the directory of the socket, because "
                         "it belongs to user %u; it must be root's or that "
                         "of the daemon's user", dir,
                         (unsigned int) st.st_uid);
    } else if (st.st_mode & 027) {
        return xasprintf("%s: refused as the directory of the socket, because "
                         "its mode %04o lets others in, and whoever connects "
                         "controls the host's traffic; chmod it to 0750, or "
                         "choose a directory of its own", dir,
                         (unsigned int) st.st_mode & 07777);
    }
    if (st.st_uid == geteuid()
        && ((gid != (gid_t) -1 && st.st_gid != gid
             && fchown(fd, -1, gid))
            || ((st.st_mode & 07777) != mode && fchmod(fd, mode)))) {
        return xasprintf("%s: cannot set group and mode: %s", dir,
                         ovs_strerror(errno));
    }
    return NULL;
}

static char *
prepare_dir(const char *dir, gid_t gid)
{
    char *error;
    int fd;

    /* Closed at first; opened to the group below, when it has the right
     * one. */
    if (mkdir(dir, 0700) && errno != EEXIST) {
        return xasprintf("%s: cannot create the directory of the socket: %s",
                         dir, ovs_strerror(errno));
    }
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return xasprintf("%s: refused as the directory of the socket: %s",
                         dir, (errno == ELOOP || errno == ENOTDIR
                               ? "it is a symbolic link or not a directory"
                               : ovs_strerror(errno)));
    }
    error = check_dir(dir, fd, gid);
    close(fd);
    return error;
}

/* Returns 0 if somebody accepts connections there, else a positive errno. */
static int
try_connect(const char *path)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int error = 0;

    if (fd < 0) {
        return errno;
    }
    ovs_strlcpy(un.sun_path, path, sizeof un.sun_path);
    if (connect(fd, (struct sockaddr *) &un, sizeof un)) {
        /* A full backlog is a sign of life, too. */
        error = errno == EAGAIN || errno == EINPROGRESS ? 0 : errno;
    }
    close(fd);
    return error;
}

static char *
remove_stale(const char *path)
{
    struct stat st;
    int error;

    if (lstat(path, &st)) {
        return errno == ENOENT ? NULL
               : xasprintf("%s: %s", path, ovs_strerror(errno));
    } else if (!S_ISSOCK(st.st_mode)) {
        return xasprintf("%s: exists and is not a socket; remove it, or "
                         "choose another path", path);
    }
    error = try_connect(path);
    if (!error) {
        return xasprintf("%s: another process is listening there; stop it, or "
                         "choose another path", path);
    } else if (error != ECONNREFUSED) {
        return xasprintf("%s: exists, and cannot be told to be dead: %s", path,
                         ovs_strerror(error));
    } else if (unlink(path)) {
        return xasprintf("%s: cannot remove the socket of a dead process: %s",
                         path, ovs_strerror(errno));
    }
    return NULL;
}

char *
otd_listen_unix_prepare(const char *path, const char *group, char **warning)
{
    gid_t gid = lookup_group(group);
    char *dir = dir_name(path);
    char *error;

    *warning = NULL;
    if (is_set(group) && gid == (gid_t) -1) {
        *warning = xasprintf("%s: there is no group \"%s\", so that only the "
                             "daemon's user can connect; create it with "
                             "\"groupadd --system %s\" and restart", path,
                             group, group);
    }
    error = prepare_dir(dir, gid);
    free(dir);
    return error ? error : remove_stale(path);
}

char *
otd_listen_unix_finish(const char *path, const char *group)
{
    gid_t gid = lookup_group(group);

    /* Nobody else can have put a link there: the directory is ours. */
    if ((gid != (gid_t) -1 && lchown(path, -1, gid))
        || chmod(path, gid != (gid_t) -1 ? 0660 : 0600)) {
        return xasprintf("%s: cannot set group and mode of the socket: %s",
                         path, ovs_strerror(errno));
    }
    return NULL;
}

/* ---- What went wrong. */

/* In this file 'listen' is usually a variable. */
static int
listen_fd(int fd)
{
    return listen(fd, 1);
}

/* Binds the address for an instant, as gRPC does.  Returns a positive errno,
 * or 0 if nothing is wrong (any more). */
static int
try_bind(const struct otd_listen *listen)
{
    struct sockaddr_storage ss;
    struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *) &ss;
    struct sockaddr_in *sin = (struct sockaddr_in *) &ss;
    struct sockaddr_un *sun = (struct sockaddr_un *) &ss;
    int one = 1, error = 0;
    int fd;

    memset(&ss, 0, sizeof ss);
    if (listen->path) {
        sun->sun_family = AF_UNIX;
        ovs_strlcpy(sun->sun_path, listen->path, sizeof sun->sun_path);
    } else if (inet_pton(AF_INET, listen->host, &sin->sin_addr) == 1) {
        sin->sin_family = AF_INET;
        sin->sin_port = htons(listen->port);
    } else {
        sin6->sin6_family = AF_INET6;
        sin6->sin6_port = htons(listen->port);
        ignore(inet_pton(AF_INET6, listen->host, &sin6->sin6_addr));
    }

    fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return errno;
    }
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *) &ss,
             listen->path ? sizeof *sun
             : ss.ss_family == AF_INET ? sizeof *sin : sizeof *sin6)
        || (listen->path ? unlink(listen->path) : listen_fd(fd))) {
        error = errno;
    }
    close(fd);
    return error;
}

char *
otd_listen_diagnose(const struct otd_listen *listen)
{
    int error = try_bind(listen);
    const char *remedy
        = (listen->path ? ""
           : error == EADDRINUSE ? "; stop the process that has it (\"ss "
           "-lntp\" shows it), or choose another port"
           : error == EADDRNOTAVAIL ? "; the address is on no interface of "
           "this host"
           : error == EACCES ? "; a port below 1024 needs "
           "CAP_NET_BIND_SERVICE"
           : "");

    return xasprintf("%s: cannot listen: %s%s", listen->text,
                     error ? ovs_strerror(error) : "gRPC refused the address",
                     remedy);
}
