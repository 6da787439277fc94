#include "target/watchdog.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "target/freeze.h"
#include "target/proc.h"

enum {
    PROC = 3, // Descriptors of the watchdog: /proc/PID of its target,
    OVER,     // an eventfd that is written to when we end in good order,
    PARENT,   // and our process, which is readable once it has ended.
    FIRST_SPARE,
    LOOK_MS = 100, // Between looks at the parent, where there is no such descriptor.
};

struct lg_watchdog {
    int pid;
    int over; // The eventfd.
    struct lg_journal *journal;
};

// ---- the watchdog's side ----

static void send_again(const struct lg_journal *journal, int target)
{
    char name[64];
    struct stat st;
    int tid = atomic_load(&journal->tid), sig = atomic_load(&journal->signal);
    snprintf(name, sizeof(name), "task/%d", tid);
    if (sig && fstatat(PROC, name, &st, 0) == 0)
        syscall(SYS_tgkill, target, tid, sig);
}

static void undo(struct lg_journal *journal, int target)
{
    struct lg_freeze freeze = {
        .pid = target, .proc = PROC, .mem = LG_PROC_MEM_NONE, .journal = journal
    };
    send_again(journal, target);
    if (atomic_load(&journal->has_copy))
        lg_freeze_reap_orphans(&freeze);
    if (getppid() == target)
        lg_freeze_be_waited_for(&freeze, getpid());
}

// Leaves nothing open but what it needs: whoever reads our output is to see its end when we end.
static bool keep_only(int proc, int over, int parent)
{
    int kept[] = { proc, over, parent };
    for (int i = 0; i < 3; i++) { // Out of the way of their own places.
        kept[i] = kept[i] < 0 ? -1 : fcntl(kept[i], F_DUPFD, FIRST_SPARE);
        if (kept[i] < 0 && i < 2)
            return false;
    }
    for (int i = 0; i < 3; i++) {
        close(PROC + i);
        if (kept[i] >= 0)
            dup2(kept[i], PROC + i);
    }
    for (int fd = 0; fd < PROC; fd++)
        dup2(PROC, fd); // Nothing can be written to it.
    if (syscall(SYS_close_range, FIRST_SPARE, UINT32_MAX, 0) != 0) {
        for (int fd = FIRST_SPARE; fd < 1024; fd++)
            close(fd);
    }
    return true;
}

static _Noreturn void watch(struct lg_journal *journal, int target, int parent, bool has_parent_fd)
{
    struct pollfd files[] = { { .fd = OVER, .events = POLLIN },
                              { .fd = has_parent_fd ? PARENT : -1, .events = POLLIN } };
    for (bool is_alone = false; !is_alone;) {
        poll(files, 2, has_parent_fd ? -1 : LOOK_MS);
        if (atomic_load(&journal->is_over))
            _exit(0);
        is_alone = has_parent_fd ? files[1].revents != 0 : getppid() != parent;
    }
    undo(journal, target);
    _exit(0);
}

static _Noreturn void become(struct lg_journal *journal, int target, int parent, int proc, int over,
                             int parent_fd)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    prctl(PR_SET_NAME, "linger watchdog");
    setsid(); // What is sent to a terminal's processes is not for it.
    if (chdir("/") != 0 || !keep_only(proc, over, parent_fd))
        _exit(1);
    watch(journal, target, parent, parent_fd >= 0);
}

// ---- our side ----

static struct lg_error *fork_it(struct lg_watchdog *watchdog, int target, int proc)
{
    int parent = getpid();
    watchdog->over = eventfd(0, EFD_CLOEXEC);
    if (watchdog->over < 0)
        return lg_error_os(errno, "watchdog: eventfd");
    _cleanup_close_ int parent_fd = (int)syscall(SYS_pidfd_open, parent, 0);
    watchdog->pid = fork();
    if (watchdog->pid < 0)
        return lg_error_os(errno, "watchdog: fork");
    if (watchdog->pid == 0)
        become(watchdog->journal, target, parent, proc, watchdog->over, parent_fd);
    return NULL;
}

struct lg_error *lg_watchdog_start(int pid, int proc, struct lg_watchdog **ret)
{
    _cleanup_(lg_watchdog_freep) struct lg_watchdog *watchdog = calloc(1, sizeof(*watchdog));
    if (!watchdog)
        return &lg_no_memory;
    watchdog->over = watchdog->pid = -1;
    watchdog->journal = mmap(NULL, sizeof(*watchdog->journal), PROT_READ | PROT_WRITE,
                             MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (watchdog->journal == MAP_FAILED) {
        watchdog->journal = NULL;
        return &lg_no_memory;
    }
    struct lg_error *err = fork_it(watchdog, pid, proc);
    if (!err)
        *ret = lg_steal(watchdog);
    return err;
}

struct lg_journal *lg_watchdog_journal(struct lg_watchdog *watchdog)
{
    return watchdog ? watchdog->journal : NULL;
}

void lg_watchdog_free(struct lg_watchdog *watchdog)
{
    if (!watchdog)
        return;
    if (watchdog->pid > 0) {
        atomic_store(&watchdog->journal->is_over, true);
        eventfd_write(watchdog->over, 1);
        while (waitpid(watchdog->pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    lg_closep(&watchdog->over);
    if (watchdog->journal)
        munmap(watchdog->journal, sizeof(*watchdog->journal));
    free(watchdog);
}
