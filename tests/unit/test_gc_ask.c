// A collection that is asked for, of a runtime whose events are made up.
#include "unit/stream.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "diag/diag_priv.h"
#include "diag/gc.h"

enum { SUSPEND = 1, START, END, RESTART }; // ids of kinds
enum { MS = 1000000, THREAD = 1, LIMIT_MS = 60000 };

static struct server {
    char folder[20], path[40];
    int listener;
    pthread_t thread;
    struct stream stream;
    bool late; // The events come when the end of the session is asked for.
} server;

static int make_server(void **state)
{
    memset(&server, 0, sizeof(server));
    strcpy(server.folder, "/tmp/ask-XXXXXX");
    assert_non_null(mkdtemp(server.folder));
    snprintf(server.path, sizeof(server.path), "%s/socket", server.folder);
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    strcpy(address.sun_path, server.path);
    server.listener = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(server.listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(server.listener, 8), 0);
    return 0;
}

static int end_server(void **state)
{
    lg_vec_free(&server.stream.bytes);
    close(server.listener);
    return unlink(server.path) || rmdir(server.folder);
}

static void send_all(int fd, const void *bytes, size_t size)
{
    if (write(fd, bytes, size) != (ssize_t)size)
        abort();
}

static int answer(uint8_t command)
{
    static const uint8_t reply[28] = "DOTNET_IPC_V1\0\34\0\377\0\0\0\7";
    uint8_t bytes[512];
    int fd = accept(server.listener, NULL, NULL);
    if (recv(fd, bytes, LG_IPC_HEADER, MSG_WAITALL) != LG_IPC_HEADER || bytes[17] != command)
        abort();
    size_t rest = (size_t)(bytes[14] | bytes[15] << 8) - LG_IPC_HEADER;
    if (rest > sizeof(bytes) || recv(fd, bytes, rest, MSG_WAITALL) != (ssize_t)rest)
        abort();
    send_all(fd, reply, sizeof(reply));
    return fd;
}

static void *serve(void *data)
{
    enum { COLLECT = 6 };
    const struct stream *s = &server.stream;
    int session = answer(COLLECT);
    if (!server.late)
        send_all(session, s->bytes.at, s->bytes.len);
    int stop = answer(LG_IPC_STOP);
    if (server.late)
        send_all(session, s->bytes.at, s->bytes.len);
    close(session);
    close(stop);
    return NULL;
}

static void begin_stream(void)
{
    static const uint32_t events[] = { [SUSPEND] = 9, [START] = 1, [END] = 2, [RESTART] = 3 };
    struct stream *s = &server.stream;
    put_header(s);
    for (uint32_t i = SUSPEND; i <= RESTART; i++)
        put_kind(s, i, "Microsoft-Windows-DotNETRuntime", events[i]);
    last_sequence = last_time = 0;
    begin_events(s, "EventBlock");
}

// The `sequence`th event, so many ms after the first.
static void tell(uint32_t kind, uint32_t number, uint32_t sequence)
{
    const uint32_t start[] = { number, 2, 1, 0, 0, 0, 0 }, other[] = { number, 2, 0 };
    const void *payload = kind == START ? start : other;
    put_event_of(&server.stream, kind, THREAD, sequence, sequence * (uint64_t)MS, true, payload,
                 kind == START ? sizeof(start) : sizeof(other));
}

static struct lg_error *ask(struct lg_gc_asked *ret)
{
    struct lg_diag *diag;
    assert_int_equal(pthread_create(&server.thread, NULL, serve, NULL), 0);
    assert_ok(lg_diag_open_path(server.path, &diag));
    struct lg_error *err = lg_gc_ask(diag, LIMIT_MS, ret);
    assert_int_equal(pthread_join(server.thread, NULL), 0);
    lg_diag_free(diag);
    return err;
}

static void end_stream(void)
{
    end_block(&server.stream);
    put_end(&server.stream);
}

// Whether the events come before the end of the session is asked for, or with it (.NET 11).
static void what_was_seen_is_told(void **state)
{
    server.late = *state != NULL;
    begin_stream();
    tell(SUSPEND, 1, 1);
    tell(START, 7, 2);
    tell(END, 7, 3);
    tell(RESTART, 0, 4);
    end_stream();
    struct lg_gc_asked asked;
    assert_ok(ask(&asked));
    assert_int_equal(asked.count, 1);
    assert_true(asked.pause_ms == 3);
    assert_true(asked.before == UINT64_MAX && asked.after == UINT64_MAX); // There was no history.
}

static void an_end_that_is_lost_is_not_waited_for(void **state)
{
    begin_stream();
    tell(SUSPEND, 1, 1);
    tell(START, 7, 2);
    end_block(&server.stream);
    if (*state) // Else another session took it away, which leaves no trace.
        put_sequence_point(&server.stream, 5 * MS, THREAD, 4);
    put_end(&server.stream);
    struct lg_gc_asked asked;
    assert_ok(ask(&asked));
    assert_int_equal(asked.count, 1);
    assert_true(asked.pause_ms < 0 && asked.before == UINT64_MAX && asked.after == UINT64_MAX);
}

static void the_threads_may_not_be_seen_to_go_on(void **state)
{
    begin_stream();
    tell(SUSPEND, 1, 1);
    tell(START, 7, 2);
    tell(END, 7, 3);
    end_stream();
    struct lg_gc_asked asked;
    assert_ok(ask(&asked));
    assert_int_equal(asked.count, 1);
    assert_true(asked.pause_ms < 0);
}

// Before .NET 10 there are two: a pause of one is not that of both.
static void the_second_does_not_stand_for_the_first(void **state)
{
    begin_stream();
    tell(START, 7, 1);
    tell(SUSPEND, 1, 4);
    tell(START, 8, 5);
    tell(END, 8, 6);
    tell(RESTART, 0, 7);
    end_stream();
    struct lg_gc_asked asked;
    assert_ok(ask(&asked));
    assert_int_equal(asked.count, 2);
    assert_true(asked.pause_ms < 0 && asked.before == UINT64_MAX);
}

static void none_is_an_error(void **state)
{
    begin_stream();
    tell(SUSPEND, 1, 1);
    end_stream();
    struct lg_gc_asked asked;
    assert_error(ask(&asked), LG_ERR_OS,
                 "the runtime told of no collection; it may be starting, or ending, or its events were "
                 "lost (a session of another tool that ends can take them away)");
}

int main(void)
{
    static int yes;
#define SERVED(f, with) cmocka_unit_test_prestate_setup_teardown(f, make_server, end_server, with)
    const struct CMUnitTest tests[] = {
        SERVED(what_was_seen_is_told, NULL),
        SERVED(what_was_seen_is_told, &yes),
        SERVED(an_end_that_is_lost_is_not_waited_for, NULL),
        SERVED(an_end_that_is_lost_is_not_waited_for, &yes),
        SERVED(the_threads_may_not_be_seen_to_go_on, NULL),
        SERVED(the_second_does_not_stand_for_the_first, NULL),
        SERVED(none_is_an_error, NULL),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
