/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Test programs print TAP, like those of Linux's kselftest.h: a version, for each check a line "ok N NAME",
 * "not ok N NAME # FILE:LINE: WHY" or "ok N NAME # SKIP WHY", and a plan. tests/src/tap.rs reads it. The exit
 * status is 0, 1 if a check failed, or 4 if all were skipped. When a check begins, a line "# NAME" says so.
 */
#ifndef MY_RNG_TESTS_TAP_H
#define MY_RNG_TESTS_TAP_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

enum tap_outcome { TAP_NONE, TAP_PASSED, TAP_FAILED, TAP_SKIPPED };

/* The exit status of a process that has run a check to its end. An exit() in the middle must not pass. */
enum { TAP_COMPLETE = 100 };

struct tap_test {
    const char *name;
    void (*run)(void);
    const char *file;
    int line;
};

/* Weak, because all files of a program share it. */
__attribute__((weak)) struct {
    /* Called before and after each check of tap_check(), in its process. */
    void (*before)(void), (*after)(void);
    struct tap_test tests[64];
    int test_count;
    /* The current check, shared with all processes, also those that were forked before it. */
    struct {
        const char *name;
        int number;
        atomic_int outcome;
        char context[256];
    } *current;
    bool is_running;
    int number, failed, skipped;
} tap;

/* Prints the outcome of the current check, unless it has one. */
static inline void tap_report(enum tap_outcome outcome, const char *why)
{
    int none = TAP_NONE;

    /* A second thread that fails must not exit before the first has printed. */
    flockfile(stdout);
    if (tap.is_running && atomic_compare_exchange_strong(&tap.current->outcome, &none, outcome)) {
        printf("%sok %d %s%s%s\n", outcome == TAP_FAILED ? "not " : "", tap.current->number, tap.current->name,
               outcome == TAP_PASSED ? "" : outcome == TAP_SKIPPED ? " # SKIP " : " # ", why);
        fflush(stdout);
    }
    funlockfile(stdout);
}

/* Says what is being checked, for the message if it fails. */
__attribute__((format(printf, 1, 2))) static inline void tap_context(const char *format, ...)
{
    va_list arguments;

    strcpy(tap.current->context, "; ");
    va_start(arguments, format);
    vsnprintf(tap.current->context + 2, sizeof(tap.current->context) - 2, format, arguments);
    va_end(arguments);
}

/* Fails the current check and ends this process. Outside of checks, the message goes to stderr. */
__attribute__((noreturn, format(printf, 3, 4))) static inline void tap_fail(const char *file, int line,
                                                                            const char *format, ...)
{
    char what[768], why[1280];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(what, sizeof(what), format, arguments);
    va_end(arguments);
    file = strrchr(file, '/') == NULL ? file : strrchr(file, '/') + 1;
    if (tap.is_running) {
        snprintf(why, sizeof(why), "%s:%d: %s%s", file, line, what, tap.current->context);
        tap_report(TAP_FAILED, why);
    } else {
        fprintf(stderr, "%s:%d: %s\n", file, line, what);
    }
    _exit(EXIT_FAILURE);
}

/* The place of a call, for helpers that are macros around a function that takes it. */
#define HERE __FILE__, __LINE__

#define ASSERT_MSG(condition, ...) ((condition) ? (void)0 : tap_fail(HERE, __VA_ARGS__))

#define ASSERT(condition) ASSERT_MSG(condition, "not true: %s (errno is %s)", #condition, strerrorname_np(errno))

/* Shows both values, or errno if the first is -1. */
#define ASSERT_EQ(value, expected)                                                                           \
    tap_equal(HERE, #value, (long long)(value), #expected, (long long)(expected))

static inline void tap_equal(const char *file, int line, const char *text, long long value,
                             const char *expected_text, long long expected)
{
    if (value == -1 && expected != -1) {
        tap_fail(file, line, "%s: %s, not %s = %lld", text, strerrorname_np(errno), expected_text, expected);
    } else if (value != expected) {
        tap_fail(file, line, "%s is %lld (0x%llx), not %s = %lld (0x%llx)", text, value, value, expected_text,
                 expected, expected);
    }
}

/* The call must return -1 or MAP_FAILED, with this errno. */
#define ASSERT_ERROR(call, error) tap_error(HERE, #call, (long long)(call), error)

static inline void tap_error(const char *file, int line, const char *text, long long result, int error)
{
    if (result != -1 || errno != error) {
        tap_fail(file, line, "%s: %s, not %s", text, result == -1 ? strerrorname_np(errno) : "success",
                 strerrorname_np(error));
    }
}

/* Ends the current check, which has passed if it has not failed. */
static inline void tap_end(void)
{
    if (tap.is_running) {
        tap_report(TAP_PASSED, "");
        tap.failed += tap.current->outcome == TAP_FAILED;
        tap.skipped += tap.current->outcome == TAP_SKIPPED;
        tap.is_running = false;
    }
}

/* Begins a check in this process; it ends when the next one begins. For checks that build on each other. */
static inline void tap_step(const char *name)
{
    if (tap.current == NULL) {
        setlinebuf(stdout);
        tap.current = mmap(NULL, sizeof(*tap.current), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        ASSERT(tap.current != MAP_FAILED);
        puts("TAP version 13");
    }
    tap_end();
    memset(tap.current, 0, sizeof(*tap.current));
    tap.current->name = name;
    tap.current->number = ++tap.number;
    tap.is_running = true;
    printf("# %s\n", name);
}

/* The current check cannot be done here. */
static inline void tap_skip(const char *why)
{
    tap_report(TAP_SKIPPED, why);
}

/* Runs a check in its own process, so that the next one runs even if this one crashes. */
static inline void tap_check(const char *name, void (*run)(void))
{
    char why[64];
    int status;
    pid_t child;

    tap_step(name);
    child = fork();
    if (child == 0) {
        setpgid(0, 0);
        if (tap.before != NULL) {
            tap.before();
        }
        run();
        if (tap.after != NULL) {
            tap.after();
        }
        fflush(stdout);
        _exit(TAP_COMPLETE);
    }
    ASSERT(child > 0 && waitpid(child, &status, 0) == child);
    /* Ends what it has left running. */
    kill(-child, SIGKILL);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != TAP_COMPLETE) {
        snprintf(why, sizeof(why), "ended with %s %d", WIFSIGNALED(status) ? "signal" : "exit status",
                 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
        tap_report(TAP_FAILED, why);
    }
    tap_end();
}

/* TEST("what holds") { ... } is run by tap_run(). */
#define TEST(name) TAP_TEST(name, __LINE__)
#define TAP_TEST(name, line) TAP_TEST_AT(name, line)
#define TAP_TEST_AT(name, line)                                                                              \
    static void tap_test_##line(void);                                                                       \
    __attribute__((constructor)) static void tap_add_##line(void)                                            \
    {                                                                                                        \
        tap_add((struct tap_test){name, tap_test_##line, __FILE__, line});                                   \
    }                                                                                                        \
    static void tap_test_##line(void)

static inline void tap_add(struct tap_test test)
{
    ASSERT((size_t)tap.test_count < ARRAY_SIZE(tap.tests));
    tap.tests[tap.test_count++] = test;
}

static inline int tap_compare(const void *left, const void *right)
{
    const struct tap_test *a = left, *b = right;
    int order = strcmp(a->file, b->file);

    return order != 0 ? order : a->line - b->line;
}

/* Ends the report with the plan, so that a run which was cut off has none. Returns the exit status. */
static inline int tap_finish(void)
{
    tap_end();
    printf("1..%d\n", tap.number);
    return tap.failed > 0 ? EXIT_FAILURE : tap.skipped == tap.number ? 4 : EXIT_SUCCESS;
}

/* Runs all tests by tap_check(), in the order of their files and lines, and ends the report. */
static inline int tap_run(void)
{
    qsort(tap.tests, tap.test_count, sizeof(tap.tests[0]), tap_compare);
    for (int i = 0; i < tap.test_count; i++) {
        tap_check(tap.tests[i].name, tap.tests[i].run);
    }
    return tap_finish();
}

#endif
