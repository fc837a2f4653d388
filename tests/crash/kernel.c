/*
 * Plays a Linux kernel that does its worst within its rules (LD_PRELOAD).
 *
 * A write-back error: the data of one sync of a file never reaches the disk. Its pages count as
 * clean from then on, and the error is reported once for each open file, to whichever thread syncs
 * it next; later syncs answer 0. A suspension: the clock jumps ahead during a sync.
 *
 *   ANNALS_KERNEL_MARKS    a file: what happens is announced there as "shim n what path"
 *   ANNALS_KERNEL_PATH     text in the paths of the files whose syncs count
 *   ANNALS_KERNEL_DURABLE  a directory: what is durable of each file lies there, named by its inode
 *   ANNALS_KERNEL_LOSE     lose the data of the n-th sync that has any, of a file not named .tmp
 *   ANNALS_KERNEL_DELAY    each sync takes so many milliseconds before it writes anything back
 *   ANNALS_KERNEL_JUMP     CLOCK_MONOTONIC jumps by a minute at the n-th sync
 *   ANNALS_KERNEL_NO_CLOCK  after the n-th sync its thread cannot read that clock, once
 *
 * A descriptor stands for an open file: nothing here is shared by two of them.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* A sync during which the clock jumps takes so long that everybody who waits looks at it. */
enum { FDS = 1024, JUMP_SECONDS = 60, JUMP_MILLISECONDS = 400 };

/* Bytes that were written and are not on the disk yet. */
struct dirty {
    struct dirty *next;
    off_t offset;
    size_t len;
    char data[];
};

struct file {
    struct file *next;
    ino_t inode;
    struct dirty *first, **last;
    long errors;
};

static char only[PATH_MAX], durable[PATH_MAX];
static int marks_fd = -1;
static long lose_at, jump_at, no_clock_at, delay;
static __thread int has_no_clock;
static atomic_long syncs, windows, ahead;
static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;
static struct file *files;
/* Of each open file, the inode and how many of its errors have been reported. */
static struct { ino_t inode; long reported; } opened[FDS];
static long (*raw)(long, ...);

static long read_number(const char *name)
{
    return getenv(name) ? atol(getenv(name)) : 0;
}

__attribute__((constructor)) static void start(void)
{
    const char *marks = getenv("ANNALS_KERNEL_MARKS");
    const char *path = getenv("ANNALS_KERNEL_PATH"), *dir = getenv("ANNALS_KERNEL_DURABLE");
    raw = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
    snprintf(only, sizeof only, "%s", path ? path : "");
    snprintf(durable, sizeof durable, "%s", dir ? dir : "");
    lose_at = read_number("ANNALS_KERNEL_LOSE");
    jump_at = read_number("ANNALS_KERNEL_JUMP");
    no_clock_at = read_number("ANNALS_KERNEL_NO_CLOCK");
    delay = read_number("ANNALS_KERNEL_DELAY");
    int fd = marks ? open(marks, O_WRONLY | O_APPEND | O_CLOEXEC) : -1;
    if (fd >= 0) marks_fd = fcntl(fd, F_DUPFD_CLOEXEC, 800), close(fd);
}

/* Whether a descriptor's file is watched; fills in its path. */
static int is_ours(int fd, char *path)
{
    char link[64];
    sprintf(link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, PATH_MAX - 1);
    path[len < 0 ? 0 : len] = 0;
    return only[0] && fd >= 0 && fd < FDS && strstr(path, only);
}

static void announce(long number, const char *what, const char *path)
{
    const char *name = strrchr(path, '/');
    if (marks_fd >= 0) dprintf(marks_fd, "shim %ld %s %s\n", number, what, name ? name : path);
}

static void pause_for(long milliseconds)
{
    struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    if (milliseconds) nanosleep(&time, NULL);
}

static struct file *file_of(int fd)
{
    struct stat stat;
    struct file *file = files;
    if (fstat(fd, &stat)) abort();
    while (file && file->inode != stat.st_ino) file = file->next;
    if (!file) {
        if (!(file = calloc(1, sizeof *file))) abort();
        *file = (struct file){.next = files, .inode = stat.st_ino, .last = &file->first};
        files = file;
    }
    if (opened[fd].inode != file->inode) opened[fd].inode = file->inode, opened[fd].reported = 0;
    return file;
}

ssize_t pwrite64(int fd, const void *data, size_t len, off64_t at)
{
    char path[PATH_MAX];
    if (!durable[0] || !is_ours(fd, path)) return raw(SYS_pwrite64, fd, data, len, at);
    pthread_mutex_lock(&order);
    ssize_t done = raw(SYS_pwrite64, fd, data, len, at);
    if (done > 0) {
        struct file *file = file_of(fd);
        struct dirty *dirty = malloc(sizeof *dirty + (size_t)done);
        if (!dirty) abort();
        *dirty = (struct dirty){.offset = at, .len = (size_t)done};
        memcpy(dirty->data, data, dirty->len);
        *file->last = dirty, file->last = &dirty->next;
    }
    pthread_mutex_unlock(&order);
    return done;
}
ssize_t pwrite(int, const void *, size_t, off_t) __attribute__((alias("pwrite64")));

/* Empties a file's list of dirty bytes, onto the disk or into nothing. */
static void write_back(struct file *file, int is_lost)
{
    char name[PATH_MAX + 32];
    snprintf(name, sizeof name, "%s/%lu", durable, (unsigned long)file->inode);
    int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) abort();
    for (struct dirty *dirty = file->first, *next; dirty; dirty = next) {
        next = dirty->next;
        ssize_t len = (ssize_t)dirty->len;
        if (!is_lost && raw(SYS_pwrite64, fd, dirty->data, dirty->len, dirty->offset) != len)
            abort();
        free(dirty);
    }
    close(fd);
    file->first = NULL, file->last = &file->first;
}

static int sync_file(int fd, long call)
{
    char path[PATH_MAX];
    if (!is_ours(fd, path)) return (int)raw(call, fd);
    long number = atomic_fetch_add(&syncs, 1) + 1;
    int jumps = number == jump_at;
    if (number == no_clock_at) announce(number, "clockless", path), has_no_clock = 1;
    if (jumps) announce(jump_at, "suspended", path), atomic_store(&ahead, JUMP_SECONDS);
    pause_for(jumps ? JUMP_MILLISECONDS : delay);
    if (!durable[0]) return (int)raw(call, fd);
    pthread_mutex_lock(&order);
    struct file *file = file_of(fd);
    const char *ending = strrchr(path, '.');
    int counts = file->first && ending && !strcmp(ending, ".journal");
    long window = counts ? atomic_fetch_add(&windows, 1) + 1 : 0;
    int is_lost = window && window == lose_at;
    if (is_lost) announce(window, "lost", path), file->errors++;
    if (file->first) write_back(file, is_lost);
    int is_reported = opened[fd].reported < file->errors;
    opened[fd].reported = file->errors;
    pthread_mutex_unlock(&order);
    return is_reported ? (errno = EIO, -1) : 0;
}

int fsync(int fd) { return sync_file(fd, SYS_fsync); }
int fdatasync(int fd) { return sync_file(fd, SYS_fdatasync); }

int clock_gettime(clockid_t clock, struct timespec *time)
{
    if (has_no_clock && clock == CLOCK_MONOTONIC) return has_no_clock = 0, errno = EINVAL, -1;
    int result = (int)raw(SYS_clock_gettime, clock, time);
    if (!result && clock == CLOCK_MONOTONIC) time->tv_sec += atomic_load(&ahead);
    return result;
}

/* A time at which a wait ends is one of the clock that has jumped. */
long syscall(long number, ...)
{
    va_list list;
    va_start(list, number);
    long a = va_arg(list, long), b = va_arg(list, long), c = va_arg(list, long);
    long d = va_arg(list, long), e = va_arg(list, long), f = va_arg(list, long);
    va_end(list);
    struct timespec until;
    int is_wait = number == SYS_futex && (b & FUTEX_CMD_MASK) == FUTEX_WAIT_BITSET && d;
    if (is_wait && !(b & FUTEX_CLOCK_REALTIME)) {
        until = *(const struct timespec *)d;
        until.tv_sec -= atomic_load(&ahead);
        if (until.tv_sec < 0) until.tv_sec = 0;
        d = (long)&until;
    }
    return raw(number, a, b, c, d, e, f);
}
