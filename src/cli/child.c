#include "cli/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "diag/diag.h"
#include "util/cancel.h"
#include "util/proc_text.h"
#include "util/vec.h"

enum { STEP_MS = 10, LOOK_EVERY = 50, SAY_AFTER = 30, NOT_FOUND = 127, NOT_RUN = 126, NOT_KNOWN = 255 };
#define PORTS "DOTNET_DiagnosticPorts="

typedef LG_VEC(char *) words_t;

// Ours, with the port in it; `setting` is "NAME=value".
static bool make_environment(char *setting, words_t *ret)
{
    for (char **at = environ; *at; at++) {
        if (strncmp(*at, PORTS, strlen(PORTS)) != 0 && !lg_vec_push(ret, *at))
            return false;
    }
    return lg_vec_push(ret, setting) && lg_vec_push(ret, NULL);
}

// The signals that we wait for in a thread are blocked in all of ours, not in the command.
static int spawn(char *const *words, char *const *environment, pid_t *pid_ret)
{
    posix_spawnattr_t attributes;
    sigset_t mask, normal;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    for (size_t i = 0; i < 3; i++)
        sigdelset(&mask, (int[]){ SIGINT, SIGTERM, SIGHUP }[i]);
    sigemptyset(&normal);
    sigaddset(&normal, SIGPIPE); // Ignored in ours (main.c).
    sigaddset(&normal, SIGXFSZ);
    int errnum = posix_spawnattr_init(&attributes);
    if (errnum)
        return errnum;
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&attributes, &mask);
    posix_spawnattr_setsigdefault(&attributes, &normal);
    errnum = posix_spawnp(pid_ret, words[0], NULL, &attributes, words, environment);
    posix_spawnattr_destroy(&attributes);
    return errnum;
}

struct lg_error *lg_child_start(struct lg_child *child, char *const *words)
{
    _cleanup_free_ char *setting = NULL;
    words_t environment = { 0 };
    pid_t pid = 0;
    child->status = -1;
    child->is_begun = true;
    struct lg_error *err = lg_port_new(&child->port);
    if (err)
        return err;
    if (asprintf(&setting, PORTS "%s", lg_port_setting(child->port)) < 0) {
        setting = NULL;
        return &lg_no_memory;
    }
    signal(SIGCHLD, SIG_DFL); // Ignored, it would leave no status.
    // What it leaves behind, too, may be a runtime that is still to come up.
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    int errnum = make_environment(setting, &environment) ? spawn(words, environment.at, &pid) : ENOMEM;
    lg_vec_free(&environment);
    if (errnum == 0) {
        child->pid = pid;
        child->was_started = true;
        signal(SIGQUIT, SIG_IGN);
        return NULL;
    }
    child->status = errnum == ENOENT ? NOT_FOUND : NOT_RUN;
    return lg_error_os(errnum, "cannot run '%s'", words[0]);
}

// Until it is reaped its number is no other process's.
bool lg_child_is_over(struct lg_child *child)
{
    int pid = child->pid, status;
    siginfo_t info = { 0 };
    if (pid == 0)
        return true;
    if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0)
        return false;
    child->pid = 0;
    if (waitpid(pid, &status, 0) != pid)
        status = NOT_KNOWN << 8;
    child->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    return true;
}

static void wait_a_moment(void)
{
    nanosleep(&(struct timespec){ .tv_nsec = STEP_MS * 1000000L }, NULL);
}

// Whether a process was started with our port in its environment, or may have been.
static bool has_port(const struct lg_child *child, const char *pid)
{
    char name[64];
    size_t len;
    const char *setting = lg_port_setting(child->port);
    snprintf(name, sizeof(name), "/proc/%s/environ", pid);
    _cleanup_free_ char *text = lg_proc_read_all(AT_FDCWD, name, &len);
    if (!text)
        return errno != ENOENT && errno != ESRCH;
    // Empty: of a process that is just executing a program.
    return len == 0 || memmem(text, len, setting, strcspn(setting, ",")) != NULL;
}

// What a runtime starts is not told of the port, so that the servers that a build leaves behind have
// none, nor has what they start.
static bool is_port_left_behind(const struct lg_child *child)
{
    size_t len;
    char *rest = NULL;
    _cleanup_free_ char *pids = lg_proc_read_all(AT_FDCWD, "/proc/thread-self/children", &len);
    if (!pids)
        return true; // A kernel that does not tell.
    for (char *pid = strtok_r(pids, " ", &rest); pid; pid = strtok_r(NULL, " ", &rest)) {
        if (has_port(child, pid))
            return true;
    }
    return false;
}

// Whether it, and all that it has left behind and that may still start a runtime, is gone. As long as it
// is not, and the command is, says so once.
static bool are_all_over(struct lg_child *child)
{
    if (!lg_child_is_over(child))
        return false;
    pid_t pid;
    do
        pid = waitpid(-1, NULL, WNOHANG);
    while (pid > 0);
    if (pid < 0 && errno == ECHILD)
        return true;
    // Twice: a list of children may lack one when another ends meanwhile.
    if (child->steps_left_behind % LOOK_EVERY == 0 && !is_port_left_behind(child)
        && !is_port_left_behind(child))
        return true;
    if (++child->steps_left_behind == SAY_AFTER)
        fprintf(stderr, "linger: run: the command has ended; linger waits for what it left behind, "
                        "until that ends or an interrupt\n");
    return false;
}

// .NET Core 3.1 has a socket, and does not know the questions that came with ports.
static bool is_too_old(const struct lg_child *child)
{
    _cleanup_(lg_diag_freep) struct lg_diag *diag = NULL;
    struct lg_diag_info info = { 0 };
    struct lg_error *err = child->pid ? lg_diag_open(child->pid, &diag) : NULL;
    if (!err && diag)
        err = lg_diag_process_info(diag, &info);
    bool is = diag && err && lg_error_kind(err) == LG_ERR_UNSUPPORTED;
    lg_diag_info_deinit(&info);
    lg_error_free(err);
    return is;
}

struct lg_error *lg_child_wait_for_runtime(struct lg_child *child, int *ret)
{
    for (unsigned i = 1; !(*ret = lg_port_first(child->port)); i++) {
        if (lg_cancel_flag == SIGINT) {
            lg_cancel_flag = 0;
            child->is_given_up = lg_child_is_over(child);
            return lg_error_new(LG_ERR_OS, "interrupted before a .NET runtime had come up");
        }
        if (are_all_over(child))
            return lg_error_new(LG_ERR_UNSUPPORTED,
                                "it ended before a .NET runtime had come up: it is no .NET program, or "
                                "its diagnostics are switched off");
        if (i % LOOK_EVERY == 0 && is_too_old(child))
            return lg_error_new(LG_ERR_UNSUPPORTED, "its runtime is older than .NET 5 and waits for "
                                                    "nobody: 'linger alloc' follows it while it runs");
        wait_a_moment();
    }
    return NULL;
}

// A runtime that starts without its port waits for it for ever.
static void wait_for_what_is_left_behind(struct lg_child *child)
{
    while (!are_all_over(child)) {
        if (child->is_given_up || lg_cancel_flag == SIGINT) {
            fprintf(stderr, "linger: run: what the command left behind is not waited for any longer: a "
                            ".NET runtime that it starts from now on hangs, as its port is gone\n");
            return;
        }
        wait_a_moment();
    }
}

void lg_child_finish(struct lg_child *child, struct lg_error *err)
{
    if (err && lg_error_kind(err) != LG_ERR_CANCELLED)
        fprintf(stderr, "linger: %s\n", lg_error_message(err));
    lg_error_free(err);
    if (child->port)
        lg_port_let_go(child->port);
    while (!lg_child_is_over(child)) {
        lg_cancel_flag = 0; // Ctrl-C is the command's.
        wait_a_moment();
    }
    lg_cancel_flag = 0;
    if (child->port)
        wait_for_what_is_left_behind(child);
    lg_cancel_flag = 0;
}

void lg_child_deinit(struct lg_child *child)
{
    lg_port_free(child->port);
    child->port = NULL;
}

bool lg_child_take_signal(struct lg_child *child, int number)
{
    if (!child->is_begun)
        return false;
    int pid = child->pid;
    if (number != SIGINT && pid)
        kill(pid, number);
    else
        lg_cancel_flag = SIGINT;
    return true;
}
