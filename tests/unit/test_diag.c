// The diagnostics client against a server that says what it is told to.
#include "test.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "diag/diag_priv.h"

// One connection after the other: reads a command, notes it, answers with the next script line.
struct answer {
    const void *bytes; // NULL: none, and the connection stays open until the server ends.
    size_t len;
    bool keep; // Does not hang up after it.
};

static struct server {
    char folder[200], path[300];
    int listener;
    pthread_t thread;
    const struct answer *answers;
    size_t count;
    uint8_t commands[16][512]; // What was asked, header and all.
    size_t sizes[16];
    int open[16];
} server;

static size_t read_command(int fd, uint8_t *buf)
{
    if (recv(fd, buf, LG_IPC_HEADER, MSG_WAITALL) != LG_IPC_HEADER)
        return 0;
    size_t size = (size_t)(buf[14] | buf[15] << 8), rest = size - LG_IPC_HEADER;
    if (size > 512 || (rest > 0 && recv(fd, buf + LG_IPC_HEADER, rest, MSG_WAITALL) != (ssize_t)rest))
        return 0;
    return size;
}

static void *serve(void *data)
{
    for (size_t i = 0; i < server.count; i++) {
        int fd = accept(server.listener, NULL, NULL);
        server.sizes[i] = read_command(fd, server.commands[i]);
        const struct answer *answer = &server.answers[i];
        if (answer->bytes && write(fd, answer->bytes, answer->len) != (ssize_t)answer->len)
            abort();
        server.open[i] = fd;
        if (answer->bytes && !answer->keep) {
            close(fd);
            server.open[i] = -1;
        }
    }
    return NULL;
}

// A folder whose path alone is longer than a sun_path can be.
static int make_server(void **state)
{
    memset(&server, 0, sizeof(server));
    strcpy(server.folder, "/tmp/diag-XXXXXX");
    assert_non_null(mkdtemp(server.folder));
    strcat(server.folder, "/0123456789012345678901234567890123456789012345678901234567890123456789"
                          "01234567890123456789012345678901234567890123456789");
    assert_int_equal(mkdir(server.folder, 0700), 0);
    snprintf(server.path, sizeof(server.path), "%s/socket", server.folder);
    server.listener = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "socket" };
    char before[200];
    assert_non_null(getcwd(before, sizeof(before)));
    assert_int_equal(chdir(server.folder), 0);
    assert_int_equal(bind(server.listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(chdir(before), 0);
    assert_int_equal(listen(server.listener, 8), 0);
    return 0;
}

static int end_server(void **state)
{
    char command[300];
    close(server.listener);
    server.folder[16] = '\0'; // "/tmp/diag-XXXXXX"
    snprintf(command, sizeof(command), "rm -rf '%s'", server.folder);
    return system(command);
}

static struct lg_diag *begin(const struct answer *answers, size_t count)
{
    struct lg_diag *diag;
    server.answers = answers;
    server.count = count;
    assert_int_equal(pthread_create(&server.thread, NULL, serve, NULL), 0);
    assert_ok(lg_diag_open_path(server.path, &diag));
    return diag;
}

static void end(struct lg_diag *diag)
{
    assert_int_equal(pthread_join(server.thread, NULL), 0);
    for (size_t i = 0; i < server.count; i++) {
        if (server.open[i] >= 0)
            close(server.open[i]);
    }
    lg_diag_free(diag);
}

#define BYTES(...) (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ })
#define MAGIC 'D', 'O', 'T', 'N', 'E', 'T', '_', 'I', 'P', 'C', '_', 'V', '1', 0
#define REFUSE(a, b, c, d) \
    { \
        BYTES(MAGIC, 24, 0, 0xff, 0xff, 0, 0, a, b, c, d) \
    }
#define UNKNOWN_COMMAND REFUSE(0x85, 0x13, 0x13, 0x80)
#define SESSION \
    { \
        BYTES(MAGIC, 28, 0, 0xff, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 'N', 'e', 't'), .keep = true \
    }

static const struct lg_diag_provider provider = { .name = "P", .keywords = 1, .level = LG_DIAG_INFO };
static const struct lg_diag_request request = { .providers = &provider, .provider_count = 1 };

static struct lg_error *collect(const struct answer *answers, size_t count, int reply_ms)
{
    struct lg_diag *diag = begin(answers, count);
    struct lg_diag_request patient = request;
    struct lg_diag_session session;
    patient.reply_ms = reply_ms;
    struct lg_error *err = lg_diag_collect(diag, &patient, &session);
    assert_int_equal(session.fd, -1);
    lg_diag_close(&session);
    end(diag);
    return err;
}

static void the_oldest_form_is_tried_last(void **state)
{
    const struct answer answers[] = { UNKNOWN_COMMAND, UNKNOWN_COMMAND, UNKNOWN_COMMAND, SESSION };
    struct lg_diag *diag = begin(answers, 4);
    struct lg_diag_session session;
    assert_ok(lg_diag_collect(diag, &request, &session));
    assert_int_equal(session.version, 2);
    assert_int_equal(session.id, 7);
    assert_false(session.filtered);

    char buf[8];
    size_t len;
    assert_ok(lg_diag_read(&session, buf, sizeof(buf), 60000, &len));
    assert_int_equal(len, 3);
    assert_memory_equal(buf, "Net", 3);
    assert_ok(lg_diag_read(&session, buf, sizeof(buf), 0, &len)); // Nothing more, and no end yet.
    assert_int_equal(len, 0);
    assert_false(session.ended);
    end(diag);
    assert_ok(lg_diag_read(&session, buf, sizeof(buf), 60000, &len));
    assert_int_equal(len, 0);
    assert_true(session.ended);
    lg_diag_close(&session);

    // 5, 4, 3, 2: each command is one more than its name.
    for (int i = 0; i < 4; i++) {
        assert_memory_equal(server.commands[i], "DOTNET_IPC_V1", 14);
        assert_int_equal(server.commands[i][16], 2);
        assert_int_equal(server.commands[i][17], 6 - i);
    }
    static const uint8_t oldest[] = {
        64, 0, 0, 0, 1,   0, 0, 0, 0,          // buffer, nettrace, no rundown
        1,  0, 0, 0,                           // one provider
        1,  0, 0, 0, 0,   0, 0, 0, 4, 0, 0, 0, // keywords, level
        2,  0, 0, 0, 'P', 0, 0, 0, 0, 0, 0, 0, // its name; no arguments
    };
    assert_int_equal(server.sizes[3], LG_IPC_HEADER + sizeof(oldest));
    assert_memory_equal(server.commands[3] + LG_IPC_HEADER, oldest, sizeof(oldest));
}

static void the_newest_form_says_which_events_and_that_it_blocks(void **state)
{
    const struct answer answers[] = { SESSION };
    static const uint32_t events[] = { 1, 0x102 };
    const struct lg_diag_provider some = { .name = "P", .level = 5, .events = events, .event_count = 2 };
    const struct lg_diag_request all = { &some,          1,
                                         .buffer_mb = 2, .rundown = 0x100,
                                         .stacks = true, .block = true };
    struct lg_diag *diag = begin(answers, 1);
    struct lg_diag_session session;
    assert_ok(lg_diag_collect(diag, &all, &session));
    assert_int_equal(session.version, 6);
    assert_true(session.filtered && session.blocks);
    lg_diag_close(&session);
    end(diag);
    static const uint8_t payload[] = {
        0, 0, 0, 0, 2,   0, 0, 0, 1, 0, 0, 0,             // a stream, buffer, nettrace
        0, 1, 0, 0, 0,   0, 0, 0, 1,                      // rundown, stacks
        1, 0, 0, 0, 0,   0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, // one provider: keywords, level
        2, 0, 0, 0, 'P', 0, 0, 0, 0, 0, 0, 0,             // its name; no arguments
        1, 2, 0, 0, 0,   1, 0, 0, 0, 2, 1, 0, 0,          // these two events
        1, 0, 0, 0,                                       // block
    };
    assert_int_equal(server.sizes[0], LG_IPC_HEADER + sizeof(payload));
    assert_memory_equal(server.commands[0] + LG_IPC_HEADER, payload, sizeof(payload));
}

static void refusals_are_words(void **state)
{
    const struct answer bad[] = { REFUSE(0x84, 0x13, 0x13, 0x80) };
    assert_error(collect(bad, 1, 0), LG_ERR_UNSUPPORTED,
                 "starting a session: the runtime refuses: it does not understand what the command was "
                 "given (0x80131384)");
    const struct answer odd[] = { REFUSE(1, 2, 3, 4) };
    assert_error(collect(odd, 1, 0), LG_ERR_OS,
                 "starting a session: the runtime refuses, with an error that is not known: 0x04030201");
    const struct answer never[] = { UNKNOWN_COMMAND, UNKNOWN_COMMAND, UNKNOWN_COMMAND, UNKNOWN_COMMAND };
    assert_error(
        collect(never, 4, 0), LG_ERR_UNSUPPORTED,
        "starting a session: the runtime refuses: it does not know this command; it is too old, or "
        "too new (0x80131385)");
}

static void answers_that_make_no_sense_are_errors(void **state)
{
    const struct {
        struct answer answer;
        const char *message;
    } cases[] = {
        { { BYTES('H', 'T', 'T', 'P', '/', '1', '.', '1', ' ', '4', '0', '0', ' ', 'B', 'a', 'd', ' ',
                  'R', 'e', 'q') },
          "starting a session: the answer is none of a .NET runtime: it does not begin with "
          "DOTNET_IPC_V1" },
        { { BYTES(MAGIC, 19, 0, 0xff, 0, 0, 0) },
          "starting a session: the answer calls itself 19 bytes long; its header has 20" },
        { { BYTES(MAGIC, 20, 0, 0xff, 0xff, 0, 0) },
          "starting a session: the answer is an error without a code" },
        { { BYTES(MAGIC, 20, 0, 2, 3, 0, 0) },
          "starting a session: the answer is neither a result nor an error (0x0203)" },
        { { BYTES(MAGIC, 22, 0, 0xff, 0, 0, 0, 1, 2) },
          "starting a session: the runtime started a session and told no number of it" },
        { { BYTES(MAGIC, 30, 0, 0xff, 0, 0, 0, 1, 2) },
          "starting a session: the runtime hung up before its answer was complete; it may have ended" },
        { { BYTES(MAGIC) },
          "starting a session: the runtime hung up before its answer was complete; it may have ended" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct lg_error *err = collect(&cases[i].answer, 1, 0);
        assert_non_null(err);
        assert_string_equal(lg_error_message(err), cases[i].message);
        lg_error_free(err);
    }
}

static void nobody_is_waited_for_without_end(void **state)
{
    const struct answer silent[] = { { NULL } };
    assert_error(
        collect(silent, 1, 30), LG_ERR_OS,
        "starting a session: no answer on the diagnostics socket within 0.03 s: it may be busy with "
        "another tool's command");
}

static void a_queue_that_is_full_is_not_waited_for_without_end(void **state)
{
    struct lg_diag *diag;
    int waiting[16];
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    assert_ok(lg_diag_open_path(server.path, &diag));
    snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/socket", diag->dir);
    for (int i = 0; i < 16; i++) {
        waiting[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        if (connect(waiting[i], (struct sockaddr *)&address, sizeof(address)) < 0)
            assert_true(i > 8);
    }
    struct lg_diag_session session;
    struct lg_diag_request patient = request;
    patient.reply_ms = 30;
    assert_error(
        lg_diag_collect(diag, &patient, &session), LG_ERR_OS,
        "starting a session: no answer on the diagnostics socket within 0.03 s: it may be busy with "
        "another tool's command");
    for (int i = 0; i < 16; i++)
        close(waiting[i]);
    lg_diag_free(diag);
}

static void stopping_waits_for_nothing(void **state)
{
    static const uint8_t stopped[] = { MAGIC, 28, 0, 0xff, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0 };
    const struct answer answers[] = { SESSION, { stopped, sizeof(stopped) } };
    struct lg_diag *diag = begin(answers, 2);
    struct lg_diag_session session;
    assert_ok(lg_diag_collect(diag, &request, &session));
    assert_ok(lg_diag_stop(diag, &session));
    assert_ok(lg_diag_stop(diag, &session)); // Once is enough.
    assert_ok(lg_diag_stopped(diag, &session));
    assert_int_equal(session.stop_fd, -1);
    lg_diag_close(&session);
    end(diag);
    assert_int_equal(server.commands[1][17], 1);
    static const uint8_t id[8] = { 7 };
    assert_memory_equal(server.commands[1] + LG_IPC_HEADER, id, sizeof(id));
}

#define INFO 3, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16
#define TEXT(c) 2, 0, 0, 0, c, 0, 0, 0

static void older_runtimes_tell_less(void **state)
{
    static const uint8_t second[] = { MAGIC, 84,        0,         0xff,      0,         0,        0,
                                      INFO,  TEXT('c'), TEXT('l'), TEXT('x'), TEXT('e'), TEXT('7') };
    const struct answer answers[] = { UNKNOWN_COMMAND, { second, sizeof(second) } };
    struct lg_diag *diag = begin(answers, 2);
    struct lg_diag_info info;
    assert_int_equal(sizeof(second), 84);
    assert_ok(lg_diag_process_info(diag, &info));
    end(diag);
    assert_int_equal(info.pid, 3);
    for (int i = 0; i < 16; i++)
        assert_int_equal(info.cookie[i], i + 1);
    assert_string_equal(info.command, "c");
    assert_string_equal(info.version, "7");
    assert_null(info.rid);
    lg_diag_info_deinit(&info);
}

static void what_a_process_tells_may_be_cut_anywhere(void **state)
{
    static const uint8_t payload[] = { 1,         0,         0,         0,         INFO,     TEXT('c'),
                                       TEXT('l'), TEXT('x'), TEXT('e'), TEXT('7'), TEXT('r') };
    struct lg_diag_info info;
    assert_ok(lg_info_parse(payload, sizeof(payload), LG_IPC_INFO3, &info));
    assert_string_equal(info.rid, "r");
    lg_diag_info_deinit(&info);
    for (size_t len = 0; len < sizeof(payload); len++) {
        struct lg_error *err = lg_info_parse(payload, len, LG_IPC_INFO3, &info);
        assert_non_null(err);
        assert_int_equal(lg_error_kind(err), LG_ERR_CORRUPT);
        lg_error_free(err);
    }
}

static void a_command_has_64_kib(void **state)
{
    struct lg_payload payload = { 0 };
    for (int i = 0; i < UINT16_MAX - LG_IPC_HEADER; i++)
        lg_payload_u8(&payload, 0);
    assert_false(payload.failed);
    lg_payload_u8(&payload, 0);
    assert_true(payload.failed);
    int fd;
    struct lg_diag nobody = { .dir = -1 };
    assert_error(lg_ipc_send(&nobody, LG_IPC_EVENTPIPE, 1, &payload, 1, &fd), LG_ERR_USAGE,
                 "too much for one command: 64 KiB are possible");
    lg_payload_deinit(&payload);
}

static void what_is_no_socket_is_said(void **state)
{
    struct lg_diag *diag;
    assert_error(lg_diag_open_path("/etc/passwd", &diag), LG_ERR_NOT_FOUND,
                 "there is no socket '/etc/passwd'");
    char message[300];
    snprintf(message, sizeof(message), "process %d: it runs no .NET", getpid());
    assert_error(lg_diag_open(getpid(), &diag), LG_ERR_UNSUPPORTED, message);
    assert_error(lg_diag_open(1 << 30, &diag), LG_ERR_NOT_FOUND, "there is no process 1073741824");
}

static void a_socket_without_a_listener_is_said(void **state)
{
    struct lg_diag *diag;
    struct lg_diag_info info;
    assert_ok(lg_diag_open_path(server.path, &diag));
    close(server.listener);
    server.listener = -1;
    struct lg_error *err = lg_diag_process_info(diag, &info);
    assert_non_null(err);
    assert_non_null(
        strstr(lg_error_message(err), "nobody listens on its diagnostics socket (socket in "));
    lg_error_free(err);
    lg_diag_free(diag);
}

int main(void)
{
#define SERVED(f) cmocka_unit_test_setup_teardown(f, make_server, end_server)
    const struct CMUnitTest tests[] = {
        SERVED(the_oldest_form_is_tried_last),
        SERVED(the_newest_form_says_which_events_and_that_it_blocks),
        SERVED(refusals_are_words),
        SERVED(answers_that_make_no_sense_are_errors),
        SERVED(nobody_is_waited_for_without_end),
        SERVED(a_queue_that_is_full_is_not_waited_for_without_end),
        SERVED(stopping_waits_for_nothing),
        SERVED(older_runtimes_tell_less),
        SERVED(a_socket_without_a_listener_is_said),
        cmocka_unit_test(what_a_process_tells_may_be_cut_anywhere),
        cmocka_unit_test(a_command_has_64_kib),
        cmocka_unit_test(what_is_no_socket_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
