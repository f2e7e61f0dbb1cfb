// SPDX-License-Identifier: BSD-3-Clause
// alg.c: hashing of memory, for maps and tables: AES rounds where the CPU has them, else multiply.
//
// Both are keyed by random numbers drawn at start, so that nobody outside can make keys collide on
// purpose, and both depend on nothing but the bytes, the seed and the length. alginit chooses; it
// runs after cpuinit and randinit and before the first table.
//
// Neither reads outside [p, p+len): short inputs are put together from overlapping halves, and the
// tail of a long one is its last block, which may overlap the block before it.
#include "../runtime.h"

typedef long long v2di __attribute__((vector_size(16), may_alias));

static uint64_t hashkey[4] __attribute__((aligned(16))); // constant after alginit
static v2di aeskey[4];                                   // constant after alginit
static bool useaes;                                      // constant after alginit

static inline uint64_t
read8(const uint8_t *p)
{
	uint64_t v;
	__builtin_memcpy(&v, p, 8);
	return v;
}

static inline uint64_t
read4(const uint8_t *p)
{
	uint32_t v;
	__builtin_memcpy(&v, p, 4);
	return v;
}

// readshort spreads n <= 16 bytes over *a and *b so that different inputs of one length differ.
static inline void
readshort(const uint8_t *p, size_t n, uint64_t *a, uint64_t *b)
{
	if (n >= 8) {
		*a = read8(p);
		*b = read8(p + n - 8);
	} else if (n >= 4) {
		*a = read4(p);
		*b = read4(p + n - 4);
	} else if (n > 0) {
		*a = (uint64_t)p[0] << 16 | (uint64_t)p[n >> 1] << 8 | p[n - 1];
		*b = 0;
	} else {
		*a = *b = 0;
	}
}

// ---- multiply: the wyhash family ----

static inline uint64_t
mix(uint64_t a, uint64_t b)
{
	unsigned __int128 p = (unsigned __int128)a * b;
	return (uint64_t)p ^ (uint64_t)(p >> 64);
}

uint64_t
runtime_memhashfallback(const void *ptr, uint64_t seed, size_t n)
{
	const uint8_t *p = ptr;
	uint64_t s = seed ^ hashkey[0], a, b;
	if (n <= 16) {
		readshort(p, n, &a, &b);
	} else {
		size_t left = n;
		if (left > 48) {
			// Three chains that do not wait for one another.
			uint64_t s1 = s, s2 = s;
			for (; left > 48; left -= 48, p += 48) {
				s = mix(read8(p) ^ hashkey[1], read8(p + 8) ^ s);
				s1 = mix(read8(p + 16) ^ hashkey[2], read8(p + 24) ^ s1);
				s2 = mix(read8(p + 32) ^ hashkey[3], read8(p + 40) ^ s2);
			}
			s ^= s1 ^ s2;
		}
		for (; left > 16; left -= 16, p += 16)
			s = mix(read8(p) ^ hashkey[1], read8(p + 8) ^ s);
		a = read8(p + left - 16);
		b = read8(p + left - 8);
	}
	return mix(hashkey[2] ^ n, mix(a ^ hashkey[1], b ^ s));
}

// ---- AES ----

#define AES __attribute__((target("aes,sse2")))

AES static inline v2di
load16(const uint8_t *p)
{
	v2di v;
	__builtin_memcpy(&v, p, 16);
	return v;
}

AES static inline v2di
aesenc(v2di state, v2di key)
{
	return (v2di)__builtin_ia32_aesenc128(state, key);
}

AES static inline v2di
lane(v2di block, v2di s, v2di k1, v2di k2)
{
	return aesenc(aesenc(block ^ s, k1), k2);
}

AES static uint64_t
memhashaes(const void *ptr, uint64_t seed, size_t n)
{
	const uint8_t *p = ptr;
	// One round spreads the seed before data meets it, or equal differences could cancel.
	v2di s = aesenc((v2di){(long long)seed, (long long)n} ^ aeskey[0], aeskey[1]);
	v2di x;
	if (n <= 16) {
		uint64_t a, b;
		readshort(p, n, &a, &b);
		x = (v2di){(long long)a, (long long)b} ^ s;
	} else if (n <= 64) {
		// One or two blocks from each end, which overlap. Two rounds each before they meet:
		// what differs in one block then reaches all bytes, and cannot be made to cancel in
		// another.
		x = lane(load16(p), s, aeskey[1], s) ^
		    lane(load16(p + n - 16), s, aeskey[2], aeskey[3]);
		if (n > 32) {
			x ^= lane(load16(p + 16), s, aeskey[3], aeskey[1]);
			x ^= lane(load16(p + n - 32), s, aeskey[0], aeskey[2]);
		}
	} else {
		// Four lanes, since a round takes four cycles and one can start each cycle. A lane
		// takes a block as a round key, and two rounds lie between a block and the next.
		v2di x0 = s, x1 = s ^ aeskey[1], x2 = s ^ aeskey[2], x3 = s ^ aeskey[3];
		size_t left = n;
		for (; left > 64; left -= 64, p += 64) {
			x0 = aesenc(x0, load16(p));
			x1 = aesenc(x1, load16(p + 16));
			x2 = aesenc(x2, load16(p + 32));
			x3 = aesenc(x3, load16(p + 48));
			x0 = aesenc(x0, s);
			x1 = aesenc(x1, s);
			x2 = aesenc(x2, s);
			x3 = aesenc(x3, s);
		}
		p += left - 64;
		x0 = aesenc(aesenc(x0, load16(p)), s);
		x1 = aesenc(aesenc(x1, load16(p + 16)), s);
		x2 = aesenc(aesenc(x2, load16(p + 32)), s);
		x3 = aesenc(aesenc(x3, load16(p + 48)), s);
		x = aesenc(aesenc(aesenc(x0, x1), x2), x3);
	}
	x = aesenc(x, s);
	x = aesenc(x, aeskey[2]);
	x = aesenc(x, aeskey[3]);
	return (uint64_t)x[0];
}

// ---- which one ----

static uint32_t algstate; // atomic: 0 not yet, 1 being made, 2 ready

void
runtime_alginit(void)
{
	for (int i = 0; i < 4; i++) {
		hashkey[i] =
		    runtime_rand() | 1; // odd: never zero, which would swallow what it meets
		aeskey[i] = (v2di){(long long)runtime_rand(), (long long)runtime_rand()};
	}
	runtime_cpuinit();
	useaes = runtime_cpu.aes;
	atomic_storerel(&algstate, 2);
}

// algready runs alginit before the first hash: a program that hashes nothing pays nothing.
static NOINLINE void
algready(void)
{
	if (atomic_cas(&algstate, 0, 1))
		runtime_alginit();
	while (atomic_loadacq(&algstate) != 2)
		procyield(10); // another thread is at it
}

uint64_t
runtime_memhash(const void *p, uint64_t seed, size_t n)
{
	if (unlikely(atomic_loadacq(&algstate) != 2))
		algready();
	return useaes ? memhashaes(p, seed, n) : runtime_memhashfallback(p, seed, n);
}

// strhash hashes a C string, its bytes without the zero.
uint64_t
runtime_strhash(const char *s, uint64_t seed)
{
	return runtime_memhash(s, seed, runtime_strlen(s));
}
