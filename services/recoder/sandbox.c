/* Walls around a program that reads what strangers sent: limits of the kernel, then seccomp.
 *
 * The list says what may be called; all else gives EPERM, as libraries expect of a poor machine.
 * What only an intruder would call ends the process. It is the list of what libvips, its decoders
 * and glibc call once they are loaded. */
#include "sandbox.h"

#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

static int limit(int what, long most)
{
    struct rlimit l = { (rlim_t)most, (rlim_t)most };
    return setrlimit(what, &l);
}

int sandbox_limits(long cpu_s, long memory, long output)
{
    int bad = limit(RLIMIT_CPU, cpu_s) || limit(RLIMIT_FSIZE, output) || limit(RLIMIT_CORE, 0);
#ifdef __SANITIZE_ADDRESS__
    (void)memory; /* its shadow alone is terabytes of addresses */
#else
    bad = bad || limit(RLIMIT_AS, memory);
#endif
    return bad ? -1 : 0;
}

static const int allowed[] = {
    SCMP_SYS(read),
    SCMP_SYS(readv),
    SCMP_SYS(pread64),
    SCMP_SYS(write),
    SCMP_SYS(writev),
    SCMP_SYS(lseek),
    SCMP_SYS(fstat),
    SCMP_SYS(newfstatat),
    SCMP_SYS(close),
    SCMP_SYS(dup),
    SCMP_SYS(fcntl),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    SCMP_SYS(brk),
    SCMP_SYS(futex),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(rseq),
    SCMP_SYS(sched_yield),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(getrandom),
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(getrusage),
    SCMP_SYS(sysinfo),
};

static const int deadly[] = {
    SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(fork),   SCMP_SYS(vfork),
    SCMP_SYS(socket), SCMP_SYS(connect),  SCMP_SYS(ptrace), SCMP_SYS(kill),
    SCMP_SYS(mount),  SCMP_SYS(unshare),  SCMP_SYS(setns),  SCMP_SYS(bpf),
};

static int add_rules(scmp_filter_ctx ctx)
{
    int err = 0;
    for (size_t i = 0; i < sizeof allowed / sizeof *allowed && err == 0; i++) {
        err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, allowed[i], 0);
    }
    for (size_t i = 0; i < sizeof deadly / sizeof *deadly && err == 0; i++) {
        err = seccomp_rule_add(ctx, SCMP_ACT_KILL_PROCESS, deadly[i], 0);
    }
    /* Threads, not processes. The flags of clone3 cannot be seen from here: glibc is told that
     * there is none, and takes clone. */
    if (err == 0) {
        err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
                               SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
    }
    /* Memory, but none that can be run. */
    const int maps[] = { SCMP_SYS(mmap), SCMP_SYS(mprotect) };
    for (size_t i = 0; i < 2 && err == 0; i++) {
        err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, maps[i], 1,
                               SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    }
    if (err == 0) {
        err = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    }
    if (err == 0) {
        err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1,
                               SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME));
    }
    return err;
}

int sandbox_close(void)
{
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    int bad = ctx == NULL || prctl(PR_SET_DUMPABLE, 0) != 0 || add_rules(ctx) != 0 ||
              seccomp_load(ctx) != 0; /* sets no_new_privs */
    if (ctx != NULL) {
        seccomp_release(ctx);
    }
    return bad ? -1 : 0;
}
