/*
 * What fails in a program that this is loaded into (LD_PRELOAD), and when: its n-th write, I/O or allocation.
 * Leaves choosing n, and what must be true afterwards, to the tests.
 *
 *	RIG_FAULT   kill N     SIGKILL in front of the N-th write, truncation, sync, unlink or send
 *	            torn N     likewise, half of the N-th is written first
 *	            full N     the N-th write or truncation finds no room
 *	            io N       the N-th of these, or of reads, fails; a connection is lost by it
 *	            memory N   the N-th allocation fails that the program itself asks for, or libamend
 *	            N+ is the N-th and all after it, N/ every N-th; 0 is none
 *	RIG_SAYS    a file to which "fired", when it was, and "count N" at the end are added
 *
 * Descriptors 0, 1 and 2 do not count: what is said to people is no part of what is stored. stdio is not seen.
 */
#undef _FILE_OFFSET_BITS /* both names are here, of what has two */

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum what { NOTHING, KILL, TORN, FULL, IO, MEMORY };

static enum what what;
static long at;
static char how; /* '\0', '+', '/' */
static atomic_long count, fired;
static int says = -1;
static uintptr_t own_begin, own_end; /* the program's code, or libamend's */

/* The function of that name that this one stands in front of. ISO C has no way from data to functions but this. */
#define REAL(name, type, ...)             \
	static type (*real)(__VA_ARGS__); \
	if (!real)                        \
	*(void **)(&real) = dlsym(RTLD_NEXT, name)

static void say(const char *line, size_t size)
{
	REAL("write", ssize_t, int, const void *, size_t);
	if (says >= 0 && real(says, line, size) < 0)
		_exit(99);
}

static int find_own(struct dl_phdr_info *object, size_t size, void *context)
{
	(void)size;
	(void)context;
	if (*object->dlpi_name && !strstr(object->dlpi_name, "/libamend."))
		return 0;
	for (int i = 0; i < object->dlpi_phnum; i++) {
		const ElfW(Phdr) *part = &object->dlpi_phdr[i];

		if (part->p_type == PT_LOAD && part->p_flags & PF_X) {
			own_begin = object->dlpi_addr + part->p_vaddr;
			own_end = own_begin + part->p_memsz;
		}
	}
	return 0;
}

__attribute__((constructor)) static void begin(void)
{
	static const char *const names[] = {
		[KILL] = "kill", [TORN] = "torn", [FULL] = "full", [IO] = "io", [MEMORY] = "memory",
	};
	const char *wanted = getenv("RIG_FAULT"), *file = getenv("RIG_SAYS");
	char name[16];

	if (file)
		says = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (!wanted || sscanf(wanted, "%15s %ld%c", name, &at, &how) < 2)
		return;
	for (enum what i = KILL; i <= MEMORY; i++) {
		if (strcmp(names[i], name) == 0)
			what = i;
	}
	dl_iterate_phdr(find_own, NULL);
	count = 0;
}

__attribute__((destructor)) static void end(void)
{
	char line[64];
	int n = snprintf(line, sizeof(line), "count %ld\n", atomic_load(&count));

	what = NOTHING;
	say(line, (size_t)n);
}

/* Whether this one fails. */
static bool strikes(void)
{
	long n = ++count;
	bool struck = at > 0 && (how == '+' ? n >= at : how == '/' ? n % at == 0 : n == at);

	if (struck && fired++ == 0)
		say("fired\n", 6);
	return struck;
}

/* A device fails, and may do so once; a connection that has failed is gone. */
static bool breaks(int fd)
{
	if (fd <= 2 || fd == says || what != IO || !strikes())
		return false;
	errno = shutdown(fd, SHUT_RDWR) == 0 ? ECONNRESET : EIO;
	return true;
}

/* In front of something that leaves the program. True: it fails, errno is set. */
static bool out(int fd, bool makes_larger)
{
	if (fd <= 2 || fd == says)
		return false;
	if (what == KILL && strikes())
		raise(SIGKILL);
	if (what == FULL && makes_larger && strikes()) {
		errno = ENOSPC;
		return true;
	}
	return breaks(fd);
}

/* TORN: how much of it is written before the end. */
static bool tears(int fd)
{
	return fd > 2 && fd != says && what == TORN && strikes();
}

ssize_t write(int fd, const void *data, size_t size)
{
	REAL("write", ssize_t, int, const void *, size_t);
	if (out(fd, true))
		return -1;
	if (tears(fd)) {
		(void)!real(fd, data, size / 2);
		raise(SIGKILL);
	}
	return real(fd, data, size);
}

static ssize_t do_pwrite(ssize_t (*real)(int, const void *, size_t, off_t), int fd,
			 const void *data, size_t size, off_t offset)
{
	if (out(fd, true))
		return -1;
	if (tears(fd)) {
		(void)!real(fd, data, size / 2, offset);
		raise(SIGKILL);
	}
	return real(fd, data, size, offset);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
	REAL("pwrite", ssize_t, int, const void *, size_t, off_t);
	return do_pwrite(real, fd, data, size, offset);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off_t offset)
{
	REAL("pwrite64", ssize_t, int, const void *, size_t, off_t);
	return do_pwrite(real, fd, data, size, offset);
}

ssize_t writev(int fd, const struct iovec *pieces, int n)
{
	REAL("writev", ssize_t, int, const struct iovec *, int);
	return out(fd, true) ? -1 : real(fd, pieces, n);
}

ssize_t send(int fd, const void *data, size_t size, int flags)
{
	REAL("send", ssize_t, int, const void *, size_t, int);
	if (out(fd, false))
		return -1;
	if (tears(fd)) {
		(void)!real(fd, data, size / 2, flags);
		raise(SIGKILL);
	}
	return real(fd, data, size, flags);
}

ssize_t sendto(int fd, const void *data, size_t size, int flags, __CONST_SOCKADDR_ARG to,
	       socklen_t to_size)
{
	REAL("sendto", ssize_t, int, const void *, size_t, int, __CONST_SOCKADDR_ARG, socklen_t);
	return out(fd, false) ? -1 : real(fd, data, size, flags, to, to_size);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	REAL("sendmsg", ssize_t, int, const struct msghdr *, int);
	return out(fd, false) ? -1 : real(fd, message, flags);
}

int fsync(int fd)
{
	REAL("fsync", int, int);
	return out(fd, false) ? -1 : real(fd);
}

int fdatasync(int fd)
{
	REAL("fdatasync", int, int);
	return out(fd, false) ? -1 : real(fd);
}

int ftruncate(int fd, off_t size)
{
	REAL("ftruncate", int, int, off_t);
	return out(fd, true) ? -1 : real(fd, size);
}

int ftruncate64(int fd, off_t size)
{
	REAL("ftruncate64", int, int, off_t);
	return out(fd, true) ? -1 : real(fd, size);
}

int unlink(const char *path)
{
	REAL("unlink", int, const char *);
	return out(1000000, false) ? -1 : real(path);
}

ssize_t read(int fd, void *data, size_t size)
{
	REAL("read", ssize_t, int, void *, size_t);
	return breaks(fd) ? -1 : real(fd, data, size);
}

ssize_t pread(int fd, void *data, size_t size, off_t offset)
{
	REAL("pread", ssize_t, int, void *, size_t, off_t);
	return breaks(fd) ? -1 : real(fd, data, size, offset);
}

ssize_t pread64(int fd, void *data, size_t size, off_t offset)
{
	REAL("pread64", ssize_t, int, void *, size_t, off_t);
	return breaks(fd) ? -1 : real(fd, data, size, offset);
}

ssize_t recv(int fd, void *data, size_t size, int flags)
{
	REAL("recv", ssize_t, int, void *, size_t, int);
	return breaks(fd) ? -1 : real(fd, data, size, flags);
}

/*
 * --- memory: glibc's own names, for dlsym allocates ---
 *
 * Not that of other libraries: json-c 0.16 ends by a signal where a key cannot be copied, libpq 15 and libmariadb 3.3
 * wait for ever for what they have thrown away.
 */

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t align, size_t size);

static bool starves(uintptr_t caller)
{
	if (what != MEMORY || caller < own_begin || caller >= own_end || !strikes())
		return false;
	errno = ENOMEM;
	return true;
}

void *malloc(size_t size)
{
	return starves((uintptr_t)__builtin_return_address(0)) ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	return starves((uintptr_t)__builtin_return_address(0)) ? NULL : __libc_calloc(n, size);
}

void *realloc(void *old, size_t size)
{
	return starves((uintptr_t)__builtin_return_address(0)) ? NULL : __libc_realloc(old, size);
}

void *aligned_alloc(size_t align, size_t size)
{
	return starves((uintptr_t)__builtin_return_address(0)) ? NULL : __libc_memalign(align, size);
}

int posix_memalign(void **out_, size_t align, size_t size)
{
	void *made = starves((uintptr_t)__builtin_return_address(0)) ? NULL
								     : __libc_memalign(align, size);

	if (!made)
		return ENOMEM;
	*out_ = made;
	return 0;
}
