// A process to look at: a child of the test that runs a function of the test's, and shares a page with
// it.
#ifndef LG_TESTS_UNIT_PREY_H
#define LG_TESTS_UNIT_PREY_H

#include "test.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "target/live.h"

struct prey {
    int pid;
    int pipe[2]; // Read by the child, written by the test.
    struct shared {
        atomic_uint counts[64]; // For each thread of the child, to show that it goes on.
        atomic_uint go, ready;
        void *address;
        char bytes[2048];
    } * shared;
};

static inline void sleep_ms(long ms)
{
    nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000 }, NULL);
}

// The child exits with what `run` returns, and dies with the test.
static inline void prey_start(struct prey *prey, int (*run)(struct prey *prey))
{
    prey->shared =
        mmap(NULL, sizeof(*prey->shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(prey->shared, MAP_FAILED);
    assert_int_equal(pipe2(prey->pipe, O_CLOEXEC), 0);
    prey->pid = fork();
    assert_true(prey->pid >= 0);
    if (prey->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        prctl(PR_SET_NAME, "prey");
        close(prey->pipe[1]);
        _exit(run(prey));
    }
    close(prey->pipe[0]);
}

// Waits until the child has said that it is ready `count` times.
static inline void prey_await(const struct prey *prey, unsigned count)
{
    while (atomic_load(&prey->shared->ready) < count) {
        assert_int_equal(waitpid(prey->pid, NULL, WNOHANG), 0);
        sleep_ms(1);
    }
}

static inline void prey_await_count(const struct prey *prey, int i, unsigned more)
{
    unsigned wanted = atomic_load(&prey->shared->counts[i]) + more;
    for (int ms = 0; (int)(atomic_load(&prey->shared->counts[i]) - wanted) < 0; ms++) {
        if (ms == 60000) // A bound, not a measure.
            fail_msg("thread %d of process %d stands still", i, prey->pid);
        sleep_ms(1);
    }
}

// Its exit status, or minus the signal that ended it.
static inline int prey_end(struct prey *prey)
{
    int status;
    close(prey->pipe[1]);
    assert_int_equal(waitpid(prey->pid, &status, 0), prey->pid);
    munmap(prey->shared, sizeof(*prey->shared));
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static inline void prey_kill(struct prey *prey)
{
    kill(prey->pid, SIGKILL);
    assert_int_equal(prey_end(prey), -SIGKILL);
}

static inline void read_status(const char *path, const char *key, char *ret, size_t size)
{
    char line[256];
    FILE *f = fopen(path, "re");
    ret[0] = '\0';
    size_t len = strlen(key);
    while (f && fgets(line, sizeof(line), f)) {
        if (strncmp(line, key, len) == 0 && line[len] == ':')
            snprintf(ret, size, "%s", line + len + 1 + strspn(line + len + 1, " \t"));
    }
    if (f)
        fclose(f);
}

// The states of its threads, a letter each, and whether one of them is traced.
static inline void prey_states(int pid, char *ret, size_t size, bool *is_traced_ret)
{
    char path[512], value[64];
    snprintf(path, sizeof(path), "/proc/%d/task", pid);
    DIR *dir = opendir(path);
    size_t n = 0;
    *is_traced_ret = false;
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "/proc/%d/task/%s/status", pid, entry->d_name);
        read_status(path, "State", value, sizeof(value));
        if (value[0] && n + 1 < size)
            ret[n++] = value[0];
        read_status(path, "TracerPid", value, sizeof(value));
        *is_traced_ret |= value[0] && atoi(value) != 0;
    }
    ret[n] = '\0';
    if (dir)
        closedir(dir);
}

// How many children its threads have; zombies apart.
static inline void count_children(int parent, int *alive_ret, int *zombies_ret)
{
    char path[512], value[64];
    *alive_ret = *zombies_ret = 0;
    snprintf(path, sizeof(path), "/proc/%d/task", parent);
    DIR *dir = opendir(path);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        int child;
        snprintf(path, sizeof(path), "/proc/%d/task/%s/children", parent, entry->d_name);
        FILE *f = fopen(path, "re");
        while (f && fscanf(f, "%d", &child) == 1) {
            snprintf(path, sizeof(path), "/proc/%d/status", child);
            read_status(path, "State", value, sizeof(value));
            *(value[0] == 'Z' ? zombies_ret : alive_ret) += value[0] != 0;
        }
        if (f)
            fclose(f);
    }
    if (dir)
        closedir(dir);
}

// Nothing of ours is left with it.
static inline void assert_untouched(int pid)
{
    char states[1024];
    bool is_traced;
    int alive, zombies;
    prey_states(pid, states, sizeof(states), &is_traced);
    assert_false(is_traced);
    assert_null(strchr(states, 't'));
    count_children(pid, &alive, &zombies);
    assert_int_equal(alive, 0);
    assert_int_equal(zombies, 0);
}

#endif
