// SPDX-License-Identifier: BSD-3-Clause
// mem_linux.c: memory from the kernel. Every byte of the runtime's own passes here.
//
// Reserved is PROT_NONE: it costs address space only, also where the kernel does not overcommit
// (vm.overcommit_memory=2 charges what is writable). Ready is read-write; the kernel charges it
// at sysMap, which is why that can fail. Pages appear at the first touch.
// Guards are page table markers where the kernel has them (6.13): no mapping of their own, so the
// limit on mappings (vm.max_map_count) does not limit stacks.
#include "../../runtime.h"
#include "linux.h"

enum {
	PROT_RW = PROT_READ | PROT_WRITE,
	MADV_DONTNEED = 4,
	MADV_NOHUGEPAGE = 15,
	MADV_GUARD_INSTALL = 102,
	PIDFD_SELF = -10001, // this process, without a descriptor (6.15)
	BATCHMAX = 512,      // ranges a call; the kernel takes 1024
};

// Atomic, relaxed: set by whoever first hears that the kernel lacks it.
static uint8_t noguard, nobatch;
static int32_t pidfd = PIDFD_SELF; // atomic

static void *
mmap(void *p, size_t n, int prot, int flags)
{
	long r = runtime_sys(SYS_mmap, (long)p, (long)n, prot, flags, -1, 0);

	return r < 0 && r > -(long)PAGESIZE ? NULL : (void *)r;
}

static void
account(uint64_t *stat, size_t n)
{
	if (stat != NULL)
		atomic_xadd(stat, (uint64_t)n);
}

#if RT0_ASAN
void __asan_get_shadow_mapping(size_t *scale, size_t *offset) __attribute__((visibility("default")));

// sanfresh: whole pages of shadow are given back, and read as zeros, which is whole. The sanitizer's own way writes
// them all, an eighth of what was mapped: a gigabyte reserved for stacks would cost 128 MiB.
void
runtime_sanfresh(void *p, size_t n)
{
	size_t scale, offset, page = PAGESIZE;
	__asan_get_shadow_mapping(&scale, &offset);
	page <<= scale;
	uintptr_t lo = (uintptr_t)p, hi = lo + n, first = alignup(lo, page), end = hi / page * page;

	if (first >= end || runtime_syscall6(SYS_madvise, (long)((first >> scale) + offset), (long)((end - first) >> scale), MADV_DONTNEED, 0, 0, 0) != 0)
		first = end = hi;
	__asan_unpoison_memory_region(p, first - lo);
	__asan_unpoison_memory_region((void *)end, hi - end);
}
#endif

void *
runtime_sysAlloc(size_t n, uint64_t *stat)
{
	void *p = mmap(NULL, n, PROT_RW, MAP_ANON | MAP_PRIVATE);

	if (p != NULL) {
		runtime_sanfresh(p, n);
		account(stat, n);
	}
	return p;
}

void *
runtime_sysReserve(void *hint, size_t n)
{
	return mmap(hint, n, PROT_NONE, MAP_ANON | MAP_PRIVATE | MAP_NORESERVE);
}

bool
runtime_sysMap(void *p, size_t n, uint64_t *stat)
{
	// mprotect, not a new mapping: half the time, and the kernel joins it with its neighbour.
	if (runtime_sys(SYS_mprotect, (long)p, (long)n, PROT_RW, 0, 0, 0) != 0)
		return false;
	runtime_sanfresh(p, n);
	account(stat, n);
	return true;
}

void
runtime_sysUsed(void *p, size_t n)
{
	// The kernel fills released pages when they are touched.
	(void)p;
	(void)n;
}

void
runtime_sysUnused(void *p, size_t n)
{
	// Locked memory cannot be dropped. Readers are promised zeros all the same.
	if (runtime_sys(SYS_madvise, (long)p, (long)n, MADV_DONTNEED, 0, 0, 0) != 0)
		runtime_memclr(p, n);
}

void
runtime_sysFree(void *p, size_t n, uint64_t *stat)
{
	account(stat, -n);
	// Unmapping the middle of a mapping makes two, and there may be no room for another. Then
	// at least the pages go.
	if (runtime_sys(SYS_munmap, (long)p, (long)n, 0, 0, 0, 0) != 0)
		runtime_sys(SYS_madvise, (long)p, (long)n, MADV_DONTNEED, 0, 0, 0);
}

void
runtime_sysFault(void *p, size_t n)
{
	// A new mapping, so that the pages and the charge for them go too.
	if (mmap(p, n, PROT_NONE, MAP_ANON | MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE) == NULL)
		runtime_throw("runtime: cannot unmap pages");
}

void
runtime_sysNoHugePage(void *p, size_t n)
{
	// EINVAL: a kernel without huge pages, which is as good.
	runtime_sys(SYS_madvise, (long)p, (long)n, MADV_NOHUGEPAGE, 0, 0, 0);
}

static bool
guards(void)
{
	return debug.guardoff == 0 && !atomic_loadrlx(&noguard);
}

bool
runtime_sysGuard(void *p, size_t n)
{
	if (!guards())
		return false;
	long r;
	do // interrupted or raced with page faults: what is done is done, once more from the start
		r = runtime_sys(SYS_madvise, (long)p, (long)n, MADV_GUARD_INSTALL, 0, 0, 0);
	while (r == -EINTR || r == -EAGAIN);
	if (r == -EINVAL || r == -ENOSYS)
		atomic_storerlx(&noguard, 1);
	return r == 0;
}

// selffd is what process_madvise calls this process; negative errno when there is no way to say.
// The descriptor of older kernels is opened once and kept.
static long
selffd(bool again)
{
	int32_t fd = atomic_loadrlx(&pidfd);
	if (fd >= 0 || !again)
		return fd;
	long pid = runtime_sys(SYS_getpid, 0, 0, 0, 0, 0, 0);
	long r = runtime_sys(SYS_pidfd_open, pid, 0, 0, 0, 0, 0);
	if (r < 0)
		return r;
	if (!atomic_cas(&pidfd, PIDFD_SELF, (int32_t)r)) {
		runtime_close((int)r);
		r = atomic_loadrlx(&pidfd);
	}
	return r;
}

// advise gives one advice for many ranges in few calls. It returns how many ranges were done from
// the start; the rest is the caller's to do one by one.
static int
advise(struct iovec_any *v, int n, int advice)
{
	bool again = false; // PIDFD_SELF was refused: try a descriptor
	int done = 0;

	while (done < n && !atomic_loadrlx(&nobatch)) {
		int k = n - done < BATCHMAX ? n - done : BATCHMAX;
		long fd = selffd(again);
		long r = again && fd < 0
		    ? fd
		    : runtime_sys(SYS_process_madvise, fd, (long)&v[done], k, advice, 0, 0);
		if (r == -EBADF && !again && fd == PIDFD_SELF) {
			again = true;
			continue;
		}
		if (r == -EINTR || r == -EAGAIN)
			continue;
		if (r <= 0) {
			// Not for this process, not for this advice, or a descriptor that somebody
			// closed: none of these gets better.
			if (r != -ENOMEM)
				atomic_storerlx(&nobatch, 1);
			break;
		}
		// The kernel says how many bytes it did, from the start; it stops between ranges,
		// or inside one, which is then done again.
		size_t bytes = (size_t)r;
		while (done < n && bytes >= v[done].len)
			bytes -= v[done++].len;
		if (bytes != 0)
			break;
	}
	return done;
}

bool
runtime_sysGuardBatch(struct iovec_any *v, int n)
{
	if (!guards())
		return false;
	for (int i = n > 1 ? advise(v, n, MADV_GUARD_INSTALL) : 0; i < n; i++)
		if (!runtime_sysGuard(v[i].base, v[i].len))
			return false;
	return true;
}

void
runtime_sysUnusedBatch(struct iovec_any *v, int n)
{
	for (int i = n > 1 ? advise(v, n, MADV_DONTNEED) : 0; i < n; i++)
		runtime_sysUnused(v[i].base, v[i].len);
}
