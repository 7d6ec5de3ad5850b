// The walls around the helper: what it needs goes on, what an intruder would want does not.
// sources: services/recoder/sandbox.c
// libs: -lseccomp -lpthread
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox.h"

enum { GOOD = 42, BAD = 43, NO_WALLS = 44 };

/* Runs WHAT behind the walls in a process of its own; its wait status. */
static int behind(int (*what)(void))
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        _exit(sandbox_close() != 0 ? NO_WALLS : what() ? GOOD : BAD);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void is_good(int (*what)(void))
{
    int status = behind(what);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), GOOD);
}

static void is_deadly(int (*what)(void))
{
    int status = behind(what);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSYS);
}

static int no_file_opens(void)
{
    return open("/etc/passwd", O_RDONLY) < 0 && errno == EPERM &&
           open("/tmp/x", O_CREAT | O_WRONLY, 0600) < 0 && unlink("/tmp/none") < 0 &&
           errno == EPERM;
}

static int memory_goes_on(void)
{
    void *big = malloc(64 << 20);
    char *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int ok = big != NULL && p != MAP_FAILED;
    free(big);
    return ok;
}

static int no_memory_can_be_run(void)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return mprotect(p, 4096, PROT_READ | PROT_EXEC) < 0 && errno == EPERM &&
           mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
               MAP_FAILED;
}

static void *in_thread(void *data)
{
    *(int *)data = 1;
    return data;
}

static int a_thread_runs(void)
{
    pthread_t t;
    int ran = 0;
    return pthread_create(&t, NULL, in_thread, &ran) == 0 && pthread_join(t, NULL) == 0 && ran;
}

static int socket_is_made(void)
{
    return socket(AF_INET, SOCK_STREAM, 0) >= 0;
}

static int program_starts(void)
{
    char *args[] = { "/bin/true", NULL };
    return execv("/bin/true", args) == 0;
}

static int other_is_killed(void)
{
    return kill(getppid(), SIGTERM) == 0;
}

static int process_is_made(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        _exit(0);
    }
    return pid < 0; /* refused, by EPERM */
}

static void walls(void **state)
{
    (void)state;
    is_good(no_file_opens);
    is_good(memory_goes_on);
    is_good(no_memory_can_be_run);
    is_good(a_thread_runs);
    is_good(process_is_made);
    is_deadly(socket_is_made);
    is_deadly(program_starts);
    is_deadly(other_is_killed);
}

static void limits(void **state)
{
    (void)state;
    int status;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (sandbox_limits(1, 1L << 32, 4096) != 0) {
            _exit(NO_WALLS);
        }
        for (volatile unsigned long i = 0;; i++) {
        }
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_true(WTERMSIG(status) == SIGXCPU || WTERMSIG(status) == SIGKILL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(walls),
        cmocka_unit_test(limits),
    };
    return cmocka_run_group_tests_name("sandbox", tests, NULL, NULL);
}
