/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "daemon/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int
otd_notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    if (!path || !path[0]) {
        return 0;
    }

    /* '@' stands for the NUL that begins an abstract address. */
    struct sockaddr_un sun = { .sun_family = AF_UNIX };
    size_t n = strlen(path);
    if ((path[0] != '/' && path[0] != '@') || n >= sizeof sun.sun_path) {
        return EINVAL;
    }
    memcpy(sun.sun_path, path, n);
    if (path[0] == '@') {
        sun.sun_path[0] = '\0';
    }

    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return errno;
    }
    size_t len = strlen(state);
    ssize_t sent = sendto(fd, state, len, MSG_NOSIGNAL | MSG_DONTWAIT,
                          (const struct sockaddr *) &sun,
                          offsetof(struct sockaddr_un, sun_path) + n);
    int error = sent < 0 ? errno : (size_t) sent == len ? 0 : EMSGSIZE;
    close(fd);
    return error;
}
