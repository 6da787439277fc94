#include "dac/wire.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

// Takes off what has been sent.
static void advance(struct iovec *iov, size_t count, size_t done)
{
    for (size_t i = 0; i < count && done > 0; i++) {
        size_t skip = done < iov[i].iov_len ? done : iov[i].iov_len;
        iov[i].iov_base = (char *)iov[i].iov_base + skip;
        iov[i].iov_len -= skip;
        done -= skip;
    }
}

bool lg_dac_send(int fd, enum lg_dac_message kind, const struct lg_dac_piece *pieces, size_t count)
{
    enum { PIECES_MAX = 3 };
    struct lg_dac_head head = { .kind = kind };
    struct iovec iov[1 + PIECES_MAX] = { { &head, sizeof(head) } };
    if (count > PIECES_MAX)
        return false;
    for (size_t i = 0; i < count; i++) {
        iov[i + 1] = (struct iovec){ (void *)(uintptr_t)pieces[i].bytes, pieces[i].len };
        head.len += (uint32_t)pieces[i].len;
    }
    size_t left = sizeof(head) + head.len;
    while (left > 0) {
        struct msghdr message = { .msg_iov = iov, .msg_iovlen = 1 + count };
        ssize_t n = sendmsg(fd, &message, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        left -= (size_t)n;
        advance(iov, 1 + count, (size_t)n);
    }
    return true;
}

bool lg_dac_receive(int fd, void *buf, size_t len)
{
    char *p = buf;
    while (len > 0) {
        ssize_t n = read(fd, p, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        p += n;
        len -= (size_t)n;
    }
    return true;
}
