// SPDX-License-Identifier: BSD-3-Clause
// rand.c: random numbers for the scheduler and the hash, not for secrets.
//
// Each m has a wyrand generator of its own (one add and one 64x64 multiply a number), so drawing
// needs no lock and shares no cache line. It is seeded at its first use from the process's seed
// and the m's id. Threads without a g draw from one generator under compare-and-swap. A signal
// handler may draw at any time: at worst it and the code it interrupted get the same number.
//
// The process's seed comes from the 16 bytes that the kernel passes in AT_RANDOM. Debug builds
// take GODEBUG=seed=N instead: then the same m draws the same numbers in every run, and a crash
// prints the seed.
#include "../runtime.h"

static uint64_t seed BOOTDATA;   // constant after randinit
static uint64_t shared BOOTDATA; // atomic: the state of the generator for threads without a g

#define WYSTEP 0xa0761d6478bd642full // odd, so the state walks through all 2^64 values
#define WYMIX 0xe7037ed1a0b428dbull

// wyhash64 is the output function of wyrand: the 128-bit product, folded.
static inline uint64_t
wyhash64(uint64_t state)
{
	unsigned __int128 p = (unsigned __int128)state * (state ^ WYMIX);
	return (uint64_t)p ^ (uint64_t)(p >> 64);
}

void
runtime_randinit(void)
{
	uint64_t r[2];
	__builtin_memcpy(r, runtime_startupRand, sizeof r);
	// Twice over the clock and the address where we were loaded: a kernel that passes no random
	// bytes leaves those two.
	seed = wyhash64(r[0] ^ wyhash64(r[1] ^ wyhash64(cputicks() ^ (uintptr_t)&seed)));
	if (r[0] == 0 && r[1] == 0)
		seed ^= wyhash64((uint64_t)runtime_nanotime());
	__builtin_memset(runtime_startupRand, 0, sizeof runtime_startupRand);
#if RT0_DEBUG
	runtime_earlydebugvars();
	if (debug.seed != 0)
		seed = wyhash64((uint64_t)debug.seed * WYSTEP);
#endif
	atomic_storerlx(&shared, wyhash64(seed ^ WYMIX)); // still one thread
}

// printseed is for whoever reports a crash: what to run again.
void
runtime_printseed(void)
{
	if (RT0_DEBUG && debug.seed != 0)
		runtime_print("rt0: seed=%d\n", debug.seed);
}

static NOINLINE uint64_t
sharedrand(void)
{
	// Relaxed: the numbers order nothing.
	for (;;) {
		uint64_t s = atomic_loadrlx(&shared);
		if (atomic_casacq(&shared, s, s + WYSTEP))
			return wyhash64(s + WYSTEP);
	}
}

static NOINLINE void
seedm(struct m *mp)
{
	mp->fastrand[0] = wyhash64(seed + (uint64_t)(mp->id + 1) * WYSTEP);
	mp->fastrand[1] = 1; // seeded
}

uint64_t
runtime_rand(void)
{
	struct g *gp = getg();
	if (unlikely(gp == NULL || gp->m == NULL))
		return sharedrand();
	struct m *mp = gp->m;
	if (unlikely(mp->fastrand[1] == 0))
		seedm(mp);
	mp->fastrand[0] += WYSTEP;
	return wyhash64(mp->fastrand[0]);
}

// cheaprandn takes the high half of a product instead of a remainder: no division, and a bias of
// less than n / 2^32.
uint32_t
runtime_cheaprandn(uint32_t n)
{
	return (uint32_t)((uint64_t)(uint32_t)runtime_rand() * n >> 32);
}
