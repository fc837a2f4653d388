/*
 * Stands between a process under test and its files (LD_PRELOAD).
 *
 * Every libc call that changes something below ANNALS_SHIM_DIR passes through here and is made as a
 * raw system call. On the way it can be counted, recorded with its data, answered with an error, or
 * be the last thing that the process does:
 *
 *   ANNALS_SHIM_DIR    the directory that is watched, as a canonical path
 *   ANNALS_SHIM_MARKS  a file outside it: what is written there is a mark in the order of the calls
 *   ANNALS_SHIM_LOG    record every call into this file (see struct entry)
 *   ANNALS_SHIM_COUNT  at exit, write the number of calls into this file
 *   ANNALS_SHIM_KINDS  which calls count: w(rite) s(ync) z(size) n(ame) r(ead), default "wszn"
 *   ANNALS_SHIM_PATH   count only calls on paths that contain this text
 *   ANNALS_SHIM_KILL   SIGKILL at the n-th call; ANNALS_SHIM_PREFIX: once n thousandths are written
 *   ANNALS_SHIM_FAIL   fail the n-th call with ANNALS_SHIM_ERRNO (0: write one half only, once);
 *                      ANNALS_SHIM_STICKY=1: and every later one
 *   ANNALS_SHIM_BAD    a file whose byte ANNALS_SHIM_BAD_AT can never be read
 *
 * While recording, one lock is held across each call and its entry, so that the log has one global
 * order. A call that was killed or failed is announced in the marks file as "shim n what path".
 * Raw system calls and mapped memory are not seen; the reader of the log compares the files with
 * the log's last state, so that neither can go unnoticed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* One entry of the log; after it come path, other path and data. In the machine's byte order. */
struct entry {
    uint32_t kind, flags;
    uint64_t file, offset, length, size;
    uint32_t path_len, other_len;
    uint64_t data_len;
};

enum { CREATE = 1, WRITE, RESIZE, ALLOCATE, SYNC, RENAME, LINK, UNLINK, MKDIR, RMDIR, MARK,
       FAILED };
enum { IS_ZERO = 1, IS_DIR = 2 };
enum verdict { GO, REFUSED, HALF, LAST };

static char dir[PATH_MAX], marks[PATH_MAX], count_file[PATH_MAX], only[PATH_MAX], bad[PATH_MAX];
static char kinds[16] = "wszn";
static size_t dir_len;
static int log_fd = -1, marks_fd = -1, fail_errno, sticky;
static long kill_at, fail_at, prefix, bad_at;
static atomic_long calls;
static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;

static void read_text(const char *name, char *text, size_t size)
{
    const char *value = getenv(name);
    if (value) snprintf(text, size, "%s", value);
}

static long read_number(const char *name)
{
    return getenv(name) ? atol(getenv(name)) : 0;
}

/* High descriptors, so that the numbers that the process under test sees stay the same. */
static int open_high(const char *path)
{
    int fd = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    int high = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 800);
    syscall(SYS_close, fd);
    return high;
}

__attribute__((constructor)) static void start(void)
{
    char log[PATH_MAX] = "";
    read_text("ANNALS_SHIM_DIR", dir, sizeof dir);
    read_text("ANNALS_SHIM_MARKS", marks, sizeof marks);
    read_text("ANNALS_SHIM_COUNT", count_file, sizeof count_file);
    read_text("ANNALS_SHIM_KINDS", kinds, sizeof kinds);
    read_text("ANNALS_SHIM_PATH", only, sizeof only);
    read_text("ANNALS_SHIM_LOG", log, sizeof log);
    read_text("ANNALS_SHIM_BAD", bad, sizeof bad);
    bad_at = read_number("ANNALS_SHIM_BAD_AT");
    kill_at = read_number("ANNALS_SHIM_KILL");
    prefix = read_number("ANNALS_SHIM_PREFIX");
    fail_at = read_number("ANNALS_SHIM_FAIL");
    fail_errno = (int)read_number("ANNALS_SHIM_ERRNO");
    sticky = (int)read_number("ANNALS_SHIM_STICKY");
    dir_len = strlen(dir);
    if (marks[0]) marks_fd = open_high(marks);
    if (log[0] && (log_fd = open_high(log)) < 0) abort();
}

__attribute__((destructor)) static void stop(void)
{
    int fd = count_file[0] ? open_high(count_file) : -1;
    if (fd >= 0) dprintf(fd, "%ld\n", atomic_load(&calls));
}

static void lock(void) { if (log_fd >= 0) pthread_mutex_lock(&order); }
static void unlock(void) { if (log_fd >= 0) pthread_mutex_unlock(&order); }

static int is_ours(const char *path)
{
    return dir_len && !strncmp(path, dir, dir_len) && (path[dir_len] == '/' || !path[dir_len]);
}

static void link_target(const char *link, char *path)
{
    ssize_t len = syscall(SYS_readlinkat, AT_FDCWD, link, path, (size_t)PATH_MAX - 1);
    path[len < 0 ? 0 : len] = 0;
}

/* The path of an open file, "" if it has none. */
static void path_of(int fd, char *path)
{
    char link[64];
    sprintf(link, "/proc/self/fd/%d", fd);
    link_target(link, path);
}

/* The absolute path of a name; the harness uses no symbolic links and no "..". */
static void resolve(int at, const char *name, char *path)
{
    path[0] = 0;
    if (name[0] != '/') {
        at == AT_FDCWD ? link_target("/proc/self/cwd", path) : path_of(at, path);
        strncat(path, "/", PATH_MAX - 1 - strlen(path));
    }
    strncat(path, name, PATH_MAX - 1 - strlen(path));
    for (size_t len = strlen(path); len > 1 && path[len - 1] == '/'; len--) path[len - 1] = 0;
}

static void die(void) { for (;;) syscall(SYS_kill, getpid(), SIGKILL); }

/* Counts a call and says what becomes of it. A refused call has its errno set. */
static enum verdict gate(char kind, const char *what, const char *path)
{
    if (!strchr(kinds, kind) || (only[0] && !strstr(path, only))) return GO;
    long number = atomic_fetch_add(&calls, 1) + 1;
    int is_kill = kill_at && number == kill_at;
    int is_fail = fail_at && (number == fail_at || (sticky && number > fail_at));
    if ((is_kill || (is_fail && number == fail_at)) && marks_fd >= 0)
        dprintf(marks_fd, "shim %ld %s %s\n", number, what, path + dir_len);
    if (is_kill && (kind != 'w' || !prefix)) die();
    if (is_kill) return LAST;
    if (!is_fail) return GO;
    if (!fail_errno) return kind == 'w' ? HALF : GO;
    return errno = fail_errno, REFUSED;
}

static void put(const void *bytes, size_t len)
{
    for (ssize_t step, done = 0; done < (ssize_t)len; done += step) {
        step = syscall(SYS_write, log_fd, (const char *)bytes + done, len - (size_t)done);
        if (step <= 0) abort();
    }
}

static int is_zero(const char *data, size_t len)
{
    return !len || (!data[0] && !memcmp(data, data + 1, len - 1));
}

/* Appends an entry to the log; errno stays as it was. The paths are cut to their part below dir. */
static void record(struct entry entry, const char *path, const char *other, const void *data)
{
    int error = errno;
    if (log_fd < 0) return;
    path = is_ours(path) ? path + dir_len : "";
    other = is_ours(other) ? other + dir_len : "";
    if (entry.kind == WRITE && is_zero(data, entry.length)) entry.flags |= IS_ZERO, data = NULL;
    entry.path_len = (uint32_t)strlen(path);
    entry.other_len = (uint32_t)strlen(other);
    entry.data_len = data ? entry.length : 0;
    put(&entry, sizeof entry);
    put(path, entry.path_len);
    put(other, entry.other_len);
    put(data, entry.data_len);
    errno = error;
}

static struct entry entry_of(int kind, int fd)
{
    struct stat stat;
    struct entry entry = {.kind = (uint32_t)kind};
    if (!fstat(fd, &stat)) {
        entry.file = stat.st_ino;
        entry.size = (uint64_t)stat.st_size;
        if (S_ISDIR(stat.st_mode)) entry.flags = IS_DIR;
    }
    return entry;
}

/* Records the `done` bytes that a call has just written, which end at `end` of the file. */
static void record_write(int fd, const char *path, const char *data, size_t done, off_t end)
{
    struct entry entry = entry_of(WRITE, fd);
    entry.length = done, entry.offset = (uint64_t)end - done;
    record(entry, path, "", data);
    if (fcntl(fd, F_GETFL) & O_DSYNC) record(entry_of(SYNC, fd), path, "", NULL);
}

static ssize_t raw_write(int fd, const char *data, size_t len, off_t offset)
{
    if (offset < 0) return syscall(SYS_write, fd, data, len);
    return syscall(SYS_pwrite64, fd, data, len, offset);
}

/* A kill cuts a write between pages; between sectors is harder, and as a power cut does it. */
static size_t last_part(int fd, size_t len, off_t offset)
{
    off_t at = offset < 0 ? lseek(fd, 0, SEEK_CUR) : offset;
    off_t end = (at + (off_t)len * prefix / 1000) / 512 * 512;
    return end > at ? (size_t)(end - at) : 0;
}

/* All writes come here; `offset` is -1 for those at the file's own place. */
static ssize_t write_bytes(int fd, const char *data, size_t len, off_t offset)
{
    char path[PATH_MAX];
    path_of(fd, path);
    if (marks[0] && !strcmp(path, marks)) {
        lock();
        ssize_t done = raw_write(fd, data, len, offset);
        record((struct entry){.kind = MARK, .length = len}, "", "", data);
        unlock();
        return done;
    }
    if (!is_ours(path)) return raw_write(fd, data, len, offset);
    lock();
    ssize_t done = -1;
    switch (gate('w', "write", path)) {
    case GO: done = raw_write(fd, data, len, offset); break;
    case HALF: done = raw_write(fd, data, len > 1 ? len / 2 : len, offset); break;
    case LAST: raw_write(fd, data, last_part(fd, len, offset), offset); die();
    case REFUSED: break;
    }
    if (done > 0 && log_fd >= 0)
        record_write(fd, path, data, (size_t)done, offset < 0 ? lseek(fd, 0, SEEK_CUR)
                                                             : offset + done);
    unlock();
    return done;
}

static ssize_t write_vector(int fd, const struct iovec *iov, int count, off_t offset)
{
    size_t len = 0, at = 0;
    for (int i = 0; i < count; i++) len += iov[i].iov_len;
    char *flat = malloc(len + 1);
    if (!flat) abort();
    for (int i = 0; i < count; at += iov[i++].iov_len)
        memcpy(flat + at, iov[i].iov_base, iov[i].iov_len);
    ssize_t done = write_bytes(fd, flat, len, offset);
    int error = errno;
    free(flat);
    errno = error;
    return done;
}

ssize_t write(int fd, const void *data, size_t len) { return write_bytes(fd, data, len, -1); }
ssize_t pwrite(int fd, const void *data, size_t len, off_t at)
{
    return write_bytes(fd, data, len, at);
}
ssize_t pwrite64(int, const void *, size_t, off64_t) __attribute__((alias("pwrite")));
ssize_t writev(int fd, const struct iovec *iov, int n) { return write_vector(fd, iov, n, -1); }
ssize_t pwritev(int fd, const struct iovec *iov, int n, off_t at)
{
    return write_vector(fd, iov, n, at);
}
ssize_t pwritev64(int, const struct iovec *, int, off64_t) __attribute__((alias("pwritev")));

/* After a copy within the kernel: reads back what arrived, for the log. */
static void record_copy(int fd, const char *path, size_t done, off_t end)
{
    char *data = malloc(done + 1);
    int back = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    if (!data || back < 0) abort();
    if (syscall(SYS_pread64, back, data, done, end - (off_t)done) != (ssize_t)done) abort();
    record_write(fd, path, data, done, end);
    syscall(SYS_close, back);
    free(data);
}

struct copy {
    int in, out;
    off64_t *in_at, *out_at; /* out_at is NULL for sendfile, which has no flags either */
    unsigned flags;
    long call;
};

static ssize_t raw_copy(struct copy c, size_t len)
{
    if (c.call == SYS_sendfile) return syscall(c.call, c.out, c.in, c.in_at, len);
    return syscall(c.call, c.in, c.in_at, c.out, c.out_at, len, c.flags);
}

static ssize_t copy_bytes(struct copy c, size_t len)
{
    char path[PATH_MAX];
    path_of(c.out, path);
    if (!is_ours(path)) return raw_copy(c, len);
    lock();
    enum verdict verdict = gate('w', "copy", path);
    if (verdict == HALF || verdict == LAST) len = len > 1 ? len / 2 : len;
    ssize_t done = verdict == REFUSED ? -1 : raw_copy(c, len);
    if (verdict == LAST) die();
    if (done > 0 && log_fd >= 0)
        record_copy(c.out, path, (size_t)done, c.out_at ? *c.out_at : lseek(c.out, 0, SEEK_CUR));
    unlock();
    return done;
}

ssize_t copy_file_range(int in, off64_t *in_at, int out, off64_t *out_at, size_t len, unsigned f)
{
    return copy_bytes((struct copy){in, out, in_at, out_at, f, SYS_copy_file_range}, len);
}

ssize_t sendfile(int out, int in, off_t *at, size_t len)
{
    return copy_bytes((struct copy){in, out, at, NULL, 0, SYS_sendfile}, len);
}
ssize_t sendfile64(int, int, off64_t *, size_t) __attribute__((alias("sendfile")));

/* A call on an open file that writes no data, recorded as `kind` unless that is 0. */
static int change(int fd, char group, const char *what, int kind, long call, long a, long b, long c)
{
    char path[PATH_MAX];
    path_of(fd, path);
    if (!is_ours(path)) return syscall(call, fd, a, b, c);
    lock();
    int result = gate(group, what, path) == REFUSED ? -1 : syscall(call, fd, a, b, c);
    struct entry entry = entry_of(kind == SYNC && result ? FAILED : kind, fd);
    if (kind == ALLOCATE) {
        /* The mode travels in `flags`, above their own bits. */
        entry.flags |= (uint32_t)a << 8;
        entry.offset = (uint64_t)b, entry.length = (uint64_t)c;
    }
    if (kind == SYNC || (kind && !result)) record(entry, path, "", NULL);
    unlock();
    return result;
}

int ftruncate(int fd, off_t len)
{
    return change(fd, 'z', "truncate", RESIZE, SYS_ftruncate, len, 0, 0);
}
int ftruncate64(int, off64_t) __attribute__((alias("ftruncate")));

int fallocate(int fd, int mode, off_t offset, off_t len)
{
    return change(fd, 'z', "allocate", ALLOCATE, SYS_fallocate, mode, offset, len);
}
int fallocate64(int, int, off64_t, off64_t) __attribute__((alias("fallocate")));

int posix_fallocate(int fd, off_t offset, off_t len)
{
    int error = errno, result = fallocate(fd, 0, offset, len) ? errno : 0;
    errno = error;
    return result;
}
int posix_fallocate64(int, off64_t, off64_t) __attribute__((alias("posix_fallocate")));

int fsync(int fd) { return change(fd, 's', "fsync", SYNC, SYS_fsync, 0, 0, 0); }
int fdatasync(int fd) { return change(fd, 's', "fdatasync", SYNC, SYS_fdatasync, 0, 0, 0); }

/* Promises nothing about a power cut (see its manual page), so it is counted but not recorded. */
int sync_file_range(int fd, off64_t offset, off64_t len, unsigned flags)
{
    return change(fd, 's', "sync_file_range", 0, SYS_sync_file_range, offset, len, flags);
}

static int open_at(int at, const char *name, int flags, mode_t mode)
{
    char path[PATH_MAX];
    struct stat stat;
    resolve(at, name, path);
    if (!is_ours(path)) return syscall(SYS_openat, at, name, flags, mode);
    int is_write = (flags & (O_CREAT | O_TRUNC)) != 0;
    lock();
    int existed = !fstatat(AT_FDCWD, path, &stat, AT_SYMLINK_NOFOLLOW);
    int refused = gate(is_write ? 'n' : 'r', "open", path) == REFUSED;
    int fd = refused ? -1 : syscall(SYS_openat, at, name, flags, mode);
    if (fd >= 0 && !existed) record(entry_of(CREATE, fd), path, "", NULL);
    if (fd >= 0 && existed && (flags & O_TRUNC)) record(entry_of(RESIZE, fd), path, "", NULL);
    unlock();
    return fd;
}

int openat(int at, const char *name, int flags, ...)
{
    va_list list;
    va_start(list, flags);
    mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(list, mode_t) : 0;
    va_end(list);
    return open_at(at, name, flags, mode);
}
int openat64(int, const char *, int, ...) __attribute__((alias("openat")));

int open(const char *name, int flags, ...)
{
    va_list list;
    va_start(list, flags);
    mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(list, mode_t) : 0;
    va_end(list);
    return open_at(AT_FDCWD, name, flags, mode);
}
int open64(const char *, int, ...) __attribute__((alias("open")));

int creat(const char *name, mode_t mode)
{
    return open_at(AT_FDCWD, name, O_CREAT | O_WRONLY | O_TRUNC, mode);
}
int creat64(const char *, mode_t) __attribute__((alias("creat")));

/* A call with two names, of which the watched one decides. */
static int two_names(int kind, int at, const char *name, int to, const char *other, unsigned flags)
{
    char path[PATH_MAX], target[PATH_MAX];
    long call = kind == RENAME ? SYS_renameat2 : SYS_linkat;
    resolve(at, name, path);
    resolve(to, other, target);
    if (!is_ours(path) && !is_ours(target)) return syscall(call, at, name, to, other, flags);
    lock();
    int refused = gate('n', kind == RENAME ? "rename" : "link", path) == REFUSED;
    int result = refused ? -1 : syscall(call, at, name, to, other, flags);
    struct entry entry = {.kind = (uint32_t)kind, .flags = kind == RENAME ? flags << 8 : 0};
    if (!result) record(entry, path, target, NULL);
    unlock();
    return result;
}

int renameat2(int at, const char *a, int to, const char *b, unsigned flags)
{
    return two_names(RENAME, at, a, to, b, flags);
}
int renameat(int at, const char *a, int to, const char *b) { return renameat2(at, a, to, b, 0); }
int rename(const char *a, const char *b) { return renameat(AT_FDCWD, a, AT_FDCWD, b); }
int linkat(int at, const char *a, int to, const char *b, int flags)
{
    return two_names(LINK, at, a, to, b, (unsigned)flags);
}
int link(const char *a, const char *b) { return linkat(AT_FDCWD, a, AT_FDCWD, b, 0); }

/* A call with one name: `flags` is the mode of a new directory, or those of unlinkat. */
static int one_name(int kind, int at, const char *name, unsigned flags)
{
    static const char *const names[] = {[UNLINK] = "unlink", [MKDIR] = "mkdir", [RMDIR] = "rmdir"};
    char path[PATH_MAX];
    struct stat stat;
    long call = kind == MKDIR ? SYS_mkdirat : SYS_unlinkat;
    resolve(at, name, path);
    if (!is_ours(path)) return syscall(call, at, name, flags);
    lock();
    int result = gate('n', names[kind], path) == REFUSED ? -1 : syscall(call, at, name, flags);
    struct entry entry = {.kind = (uint32_t)kind};
    if (!result && kind == MKDIR && !fstatat(AT_FDCWD, path, &stat, 0)) entry.file = stat.st_ino;
    if (!result) record(entry, path, "", NULL);
    unlock();
    return result;
}

int unlinkat(int at, const char *name, int flags)
{
    return one_name(flags & AT_REMOVEDIR ? RMDIR : UNLINK, at, name, (unsigned)flags);
}
int unlink(const char *name) { return one_name(UNLINK, AT_FDCWD, name, 0); }
int rmdir(const char *name) { return one_name(RMDIR, AT_FDCWD, name, AT_REMOVEDIR); }
int mkdirat(int at, const char *name, mode_t mode) { return one_name(MKDIR, at, name, mode); }
int mkdir(const char *name, mode_t mode) { return one_name(MKDIR, AT_FDCWD, name, mode); }

/* Reads count only where ANNALS_SHIM_KINDS asks for them. */
static ssize_t read_bytes(int fd, void *data, size_t len, off_t offset)
{
    char path[PATH_MAX];
    if (strchr(kinds, 'r') || bad[0]) {
        path_of(fd, path);
        long at = offset < 0 && bad[0] ? lseek(fd, 0, SEEK_CUR) : offset;
        int is_bad = bad[0] && !strcmp(path, bad) && at <= bad_at && bad_at < at + (long)len;
        if (is_bad) return errno = EIO, -1;
        if (is_ours(path) && gate('r', "read", path) == REFUSED) return -1;
    }
    if (offset < 0) return syscall(SYS_read, fd, data, len);
    return syscall(SYS_pread64, fd, data, len, offset);
}

ssize_t read(int fd, void *data, size_t len) { return read_bytes(fd, data, len, -1); }
ssize_t pread(int fd, void *data, size_t len, off_t at) { return read_bytes(fd, data, len, at); }
ssize_t pread64(int, void *, size_t, off64_t) __attribute__((alias("pread")));
