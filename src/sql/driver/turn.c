/*
 * Fairness among amend's writers to one SQLite file: a queue in shared memory.
 * Leaves exclusion to SQLite's own lock: nothing here is needed for safety.
 */
#include "sql/driver/turn.h"

#include <stdatomic.h>
#include <stddef.h>
#include <time.h>

int64_t amend_turn_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

#if defined(__linux__) && ATOMIC_LLONG_LOCK_FREE == 2

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The layout's own number: another layout takes another. All zeroes are a valid, unused page. */
#define MAGIC 0x616d7431u
#define GRANTED UINT64_MAX

enum { PAGE = 4096, SLOTS = 250, FIRST_LOCK = PAGE, TRIES = 10 };

/* A holder that comes back this soon need not queue: a commit faster than that costs no switch of processes. */
static const int64_t QUANTUM = 1000000;
/* How long a waiter sleeps before it looks whether the holder is alive. */
static const int64_t SLICE = 20000000;
int64_t amend_turn_stall = 500000000;

struct slot {
	_Atomic uint64_t ticket; /* 0: not waiting; GRANTED: the turn was handed over */
	_Atomic uint32_t wake;   /* what its owner sleeps on */
	uint32_t unused;
};

struct page {
	_Atomic uint32_t magic;
	_Atomic uint32_t holder; /* its slot + 1; 0: nobody has the turn */
	_Atomic uint32_t used;   /* slots from here on were never used */
	_Atomic uint32_t moves;  /* how often the turn went to somebody */
	_Atomic uint64_t tickets;
	uint64_t unused[5];
	struct slot slots[SLOTS];
};

_Static_assert(sizeof(struct page) <= PAGE, "the state is one page");

struct amend_turn {
	int fd;
	pid_t pid;
	struct page *page;
	uint32_t slot;
	int64_t since;  /* when the turn came here */
	uint32_t moves; /* the page's count at that time */
	char path[];
};

static void futex_wait(_Atomic uint32_t *word, uint32_t seen, int64_t ns)
{
	struct timespec timeout = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)};

	syscall(SYS_futex, word, FUTEX_WAIT, seen, &timeout, NULL, 0);
}

static void wake(struct slot *slot)
{
	atomic_fetch_add(&slot->wake, 1);
	syscall(SYS_futex, &slot->wake, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static struct flock lock_of(short type, off_t first, off_t n)
{
	struct flock lock = {.l_type = type, .l_whence = SEEK_SET};

	lock.l_start = FIRST_LOCK + first;
	lock.l_len = n;
	return lock;
}

/* Whether the kernel still knows an owner of that slot. Not to be asked of one's own. */
static bool alive(const struct amend_turn *turn, uint32_t slot)
{
	struct flock lock = lock_of(F_WRLCK, (off_t)slot, 1);

	return fcntl(turn->fd, F_OFD_GETLK, &lock) != 0 || lock.l_type != F_UNLCK;
}

/*
 * The slot that waits longest, before `limit`; -1 when none does. What a dead
 * waiter left behind is cleared where `check` is set, and ignored then.
 */
static int first_waiting(const struct amend_turn *turn, uint64_t limit, bool check)
{
	struct page *page = turn->page;
	uint32_t used = atomic_load(&page->used);
	uint64_t lowest;
	int found;

	if (used > SLOTS)
		used = SLOTS;
	for (;;) {
		lowest = limit;
		found = -1;
		for (uint32_t i = 0; i < used; i++) {
			uint64_t ticket = atomic_load(&page->slots[i].ticket);

			if (ticket == 0 || ticket >= lowest || i == turn->slot)
				continue;
			lowest = ticket;
			found = (int)i;
		}
		if (found < 0 || !check || alive(turn, (uint32_t)found))
			return found;
		atomic_compare_exchange_strong(&page->slots[found].ticket, &lowest, 0);
	}
}

static bool move(struct amend_turn *turn, uint32_t from)
{
	struct page *page = turn->page;

	if (!atomic_compare_exchange_strong(&page->holder, &from, turn->slot + 1))
		return false;
	turn->moves = atomic_fetch_add(&page->moves, 1) + 1;
	turn->since = amend_turn_clock();
	return true;
}

/* Without queueing: nobody has it and nobody waits, or its last holder is back within the quantum. */
static bool take_at_once(struct amend_turn *turn)
{
	struct page *page = turn->page;
	uint32_t nobody = 0;

	if (atomic_load(&page->holder) != 0)
		return false;
	if (turn->moves != 0 && atomic_load(&page->moves) == turn->moves &&
	    amend_turn_clock() - turn->since < QUANTUM)
		return atomic_compare_exchange_strong(&page->holder, &nobody, turn->slot + 1);
	return first_waiting(turn, GRANTED, false) < 0 && move(turn, 0);
}

struct wait {
	uint64_t ticket;
	uint32_t moves; /* the page's when it last moved */
	int64_t moved;  /* and when that was seen */
};

/* After a slice without news: is there still somebody to wait for? True when the turn is ours. */
static bool look_closer(struct amend_turn *turn, struct wait *wait)
{
	struct page *page = turn->page;
	uint32_t holder = atomic_load(&page->holder), moves = atomic_load(&page->moves);
	int64_t now = amend_turn_clock();
	bool stalled;

	if (holder == turn->slot + 1) { /* whoever handed it over died in between */
		turn->moves = atomic_fetch_add(&page->moves, 1) + 1;
		turn->since = now;
		return true;
	}
	if (moves != wait->moves) {
		wait->moves = moves;
		wait->moved = now;
	}
	stalled = now - wait->moved >= amend_turn_stall;
	if (holder != 0 && !stalled && holder <= SLOTS && alive(turn, holder - 1))
		return false;
	return first_waiting(turn, wait->ticket, true) < 0 && move(turn, holder);
}

/* The last look before leaving the queue: what was granted meanwhile is handed on. */
static void leave_queue(struct amend_turn *turn, uint64_t ticket)
{
	struct page *page = turn->page;
	int next;

	if (!atomic_compare_exchange_strong(&page->slots[turn->slot].ticket, &ticket, 0)) {
		atomic_store(&page->slots[turn->slot].ticket, 0);
		turn->since = 0;
		amend_turn_give(turn);
	} else if (atomic_load(&page->holder) == 0) {
		next = first_waiting(turn, GRANTED, true);
		if (next >= 0)
			wake(&page->slots[next]);
	}
}

bool amend_turn_take(struct amend_turn *turn, int64_t until, bool (*stop)(void *context),
		     void *context)
{
	struct page *page = turn->page;
	struct slot *slot = &page->slots[turn->slot];
	struct wait wait;

	if (turn->pid != getpid())
		return false;
	if (take_at_once(turn))
		return true;
	wait.moved = amend_turn_clock();
	if (until <= wait.moved)
		return false;
	wait.moves = atomic_load(&page->moves);
	wait.ticket = atomic_fetch_add(&page->tickets, 1) + 1;
	atomic_store(&slot->ticket, wait.ticket);
	for (;;) {
		uint32_t seen = atomic_load(&slot->wake);
		int64_t now, slice = SLICE;

		if (atomic_load(&slot->ticket) == GRANTED) {
			turn->moves = atomic_load(&page->moves);
			turn->since = amend_turn_clock();
			break;
		}
		if (atomic_load(&page->holder) == 0 &&
		    first_waiting(turn, wait.ticket, false) < 0 && move(turn, 0))
			break;
		now = amend_turn_clock();
		if (now >= until || stop(context)) {
			leave_queue(turn, wait.ticket);
			return false;
		}
		if (until - now < slice)
			slice = until - now;
		futex_wait(&slot->wake, seen, slice);
		if (atomic_load(&slot->wake) == seen && amend_turn_clock() - now >= SLICE &&
		    look_closer(turn, &wait))
			break;
	}
	atomic_store(&slot->ticket, 0);
	return true;
}

/* To the one that waits longest. False when nobody does; the turn is then still ours. */
static bool hand_over(struct amend_turn *turn)
{
	struct page *page = turn->page;
	uint32_t me = turn->slot + 1;

	for (;;) {
		int next = first_waiting(turn, GRANTED, true);
		uint64_t ticket;

		if (next < 0)
			return false;
		ticket = atomic_load(&page->slots[next].ticket);
		if (ticket == 0 || ticket == GRANTED)
			continue;
		/* The holder first: once granted, the other may have given it on already. */
		if (!atomic_compare_exchange_strong(&page->holder, &me, (uint32_t)next + 1))
			return true; /* it was taken from us */
		atomic_fetch_add(&page->moves, 1);
		if (atomic_compare_exchange_strong(&page->slots[next].ticket, &ticket, GRANTED)) {
			wake(&page->slots[next]);
			return true;
		}
		/* It left the queue meanwhile. */
		me = (uint32_t)next + 1;
		if (!atomic_compare_exchange_strong(&page->holder, &me, turn->slot + 1))
			return true;
		me = turn->slot + 1;
	}
}

void amend_turn_give(struct amend_turn *turn)
{
	struct page *page = turn->page;
	uint32_t me = turn->slot + 1;
	int next;

	if (turn->pid != getpid() || atomic_load(&page->holder) != me)
		return;
	if (amend_turn_clock() - turn->since >= QUANTUM && hand_over(turn))
		return;
	if (!atomic_compare_exchange_strong(&page->holder, &me, 0))
		return;
	/* Looked for after the turn is free: a waiter that queued before saw it held, one that queues later sees it free. */
	next = first_waiting(turn, GRANTED, true);
	if (next >= 0)
		wake(&page->slots[next]);
}

/* The file with the database's owner and mode, so that whoever may write the one may use the other. */
static int open_file(const char *path, const struct stat *database)
{
	const int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
	int fd = open(path, flags);
	struct stat file;

	if (fd < 0 && errno == ENOENT) {
		fd = open(path, flags | O_CREAT | O_EXCL, 0600);
		if (fd >= 0) {
			/* Where this fails, others go without a turn. */
			if (geteuid() == 0 && fchown(fd, database->st_uid, database->st_gid) != 0)
				(void)0;
			(void)fchmod(fd, database->st_mode & 0666);
		}
	}
	if (fd < 0)
		return -1;
	if (fstat(fd, &file) != 0 || !S_ISREG(file.st_mode))
		goto fail;
	/* Allocated, not only extended: a full disk must show here and not as a signal later. */
	if (file.st_size == 0 && (errno = posix_fallocate(fd, 0, PAGE)) != 0)
		goto fail;
	if (file.st_size != 0 && file.st_size != PAGE) {
		errno = EEXIST;
		goto fail;
	}
	return fd;
fail:
	close(fd);
	return -1;
}

static bool same_file(int fd, const char *path)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 && stat(path, &b) == 0 && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino;
}

/* False when every slot is taken, or the last one out is removing the file. */
static bool take_slot(struct amend_turn *turn)
{
	struct page *page = turn->page;
	uint32_t used, me;
	int next;

	for (turn->slot = 0; turn->slot < SLOTS; turn->slot++) {
		struct flock lock = lock_of(F_WRLCK, (off_t)turn->slot, 1);

		if (fcntl(turn->fd, F_OFD_SETLK, &lock) == 0)
			break;
	}
	if (turn->slot == SLOTS)
		return false;
	/* What its last owner left behind. */
	atomic_store(&page->slots[turn->slot].ticket, 0);
	used = atomic_load(&page->used);
	while (used <= turn->slot &&
	       !atomic_compare_exchange_weak(&page->used, &used, turn->slot + 1))
		;
	me = turn->slot + 1;
	if (atomic_compare_exchange_strong(&page->holder, &me, 0)) {
		next = first_waiting(turn, GRANTED, true);
		if (next >= 0)
			wake(&page->slots[next]);
	}
	return true;
}

/* A turn on the file now at `path`. `*again`: that file is on its way out. */
static bool attach(struct amend_turn *turn, const struct stat *database, bool *again,
		   const char **problem)
{
	uint32_t magic = 0;

	*again = false;
	turn->page = MAP_FAILED;
	turn->fd = open_file(turn->path, database);
	if (turn->fd < 0) {
		*problem = errno == EEXIST   ? "a file that is not amend's has its name"
			   : errno == ENOSPC ? "the disk is full"
					     : "the folder or the file cannot be written";
		*again = errno == EEXIST;
		return false;
	}
	turn->page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, turn->fd, 0);
	if (turn->page == MAP_FAILED) {
		*problem = "the file system shares no memory";
	} else if (!atomic_compare_exchange_strong(&turn->page->magic, &magic, MAGIC) &&
		   magic != MAGIC) {
		*problem = "it was made by another version of amend";
	} else if (!take_slot(turn) || !same_file(turn->fd, turn->path)) {
		*problem = "too many connections";
		*again = true;
	} else {
		return true;
	}
	if (turn->page != MAP_FAILED)
		munmap(turn->page, PAGE);
	close(turn->fd);
	return false;
}

struct amend_turn *amend_turn_open(const char *database, const char **problem)
{
	static const char suffix[] = "-turn";
	const struct timespec pause = {0, 1000000};
	struct amend_turn *turn = NULL;
	size_t size = strlen(database);
	struct stat file;
	bool again = true;

	if (size == 0 || stat(database, &file) != 0 || !S_ISREG(file.st_mode)) {
		*problem = "the database is not a file";
		return NULL;
	}
	turn = calloc(1, sizeof(*turn) + size + sizeof(suffix));
	if (!turn) {
		*problem = "out of memory";
		return NULL;
	}
	turn->pid = getpid();
	memcpy(turn->path, database, size);
	memcpy(turn->path + size, suffix, sizeof(suffix));
	for (int i = 0; i < TRIES && again; i++) {
		if (i > 0)
			nanosleep(&pause, NULL);
		if (attach(turn, &file, &again, problem))
			return turn;
	}
	free(turn);
	return NULL;
}

void amend_turn_close(struct amend_turn *turn)
{
	struct flock all = lock_of(F_WRLCK, 0, SLOTS);

	if (!turn)
		return;
	turn->since = 0;
	amend_turn_give(turn);
	/* The last one out removes the file; one that comes in at this moment finds no slot and tries again. */
	if (turn->pid == getpid() && fcntl(turn->fd, F_OFD_SETLK, &all) == 0 &&
	    same_file(turn->fd, turn->path))
		(void)unlink(turn->path);
	munmap(turn->page, PAGE);
	close(turn->fd);
	free(turn);
}

#else

struct amend_turn *amend_turn_open(const char *database, const char **problem)
{
	(void)database;
	*problem = "this platform has none";
	return NULL;
}

void amend_turn_close(struct amend_turn *turn)
{
	(void)turn;
}

bool amend_turn_take(struct amend_turn *turn, int64_t until, bool (*stop)(void *context),
		     void *context)
{
	(void)turn;
	(void)until;
	(void)stop;
	(void)context;
	return false;
}

void amend_turn_give(struct amend_turn *turn)
{
	(void)turn;
}

#endif
