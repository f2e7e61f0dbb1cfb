// SPDX-License-Identifier: BSD-3-Clause
// test_rand.c: random numbers, and the two hash functions of memory.
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "../../src/runtime.h"
#include "../harness/test.h"

TEST(rand_bits_are_balanced)
{
	enum { N = 100000 };
	int ones[64] = {0};
	for (int i = 0; i < N; i++) {
		uint64_t v = runtime_rand();
		for (int b = 0; b < 64; b++)
			ones[b] += v >> b & 1;
	}
	// Six standard deviations of a fair coin.
	for (int b = 0; b < 64; b++)
		CHECK(abs(ones[b] - N / 2) < 6 * 158);
}

TEST(rand_cheaprandn_stays_below_n_and_reaches_all)
{
	int count[10] = {0};
	for (int i = 0; i < 100000; i++) {
		uint32_t v = runtime_cheaprandn(10);
		CHECK(v < 10);
		count[v]++;
	}
	for (int i = 0; i < 10; i++)
		CHECK(abs(count[i] - 10000) < 600);
	CHECK_EQ(runtime_cheaprandn(1), 0);
	CHECK_EQ(runtime_cheaprandn(0), 0);
	for (int i = 0; i < 1000; i++)
		CHECK(runtime_cheaprandn(UINT32_MAX) < UINT32_MAX);
}

enum { NTHREAD = 4, NDRAW = 20000 };
static uint64_t drawn[NTHREAD][NDRAW];

static void *
draw(void *arg)
{
	uint64_t *to = arg;
	for (int i = 0; i < NDRAW; i++)
		to[i] = runtime_rand();
	return NULL;
}

static int
compare(const void *a, const void *b)
{
	uint64_t x, y;
	memcpy(&x, a, 8);
	memcpy(&y, b, 8);
	return x < y ? -1 : x > y;
}

// Threads that the runtime does not know share one generator: no number may come twice.
TEST(rand_threads_without_g_never_draw_the_same)
{
	pthread_t t[NTHREAD];
	for (int i = 0; i < NTHREAD; i++)
		CHECK_EQ(pthread_create(&t[i], NULL, draw, drawn[i]), 0);
	for (int i = 0; i < NTHREAD; i++)
		pthread_join(t[i], NULL);
	uint64_t *all = drawn[0];
	qsort(all, NTHREAD * NDRAW, sizeof *all, compare);
	for (int i = 1; i < NTHREAD * NDRAW; i++)
		CHECK(all[i] != all[i - 1]);
}

typedef uint64_t hashfn(const void *p, uint64_t seed, size_t n);
static hashfn *const hashes[] = {runtime_memhash, runtime_memhashfallback};

TEST(hash_equal_bytes_hash_equal_at_any_address)
{
	static uint8_t a[400], b[400];
	for (size_t i = 0; i < sizeof a; i++)
		a[i] = (uint8_t)runtime_rand();
	for (size_t h = 0; h < NELEM(hashes); h++)
		for (size_t n = 0; n <= 300; n++)
			for (size_t off = 0; off < 17; off++) {
				memset(b, 0x55, sizeof b);
				memcpy(b + off, a, n);
				CHECK_EQ(hashes[h](b + off, 7, n), hashes[h](a, 7, n));
			}
}

TEST(hash_depends_on_seed_and_length)
{
	static const uint8_t zero[300];
	for (size_t h = 0; h < NELEM(hashes); h++)
		for (size_t n = 0; n < 299; n++) {
			CHECK(hashes[h](zero, 1, n) != hashes[h](zero, 2, n));
			CHECK(hashes[h](zero, 1, n) != hashes[h](zero, 1, n + 1));
		}
}

// Each bit of the input, and of the seed, changes each bit of the output in about half of the
// cases.
TEST_T(hash_avalanche, 60000)
{
	static const size_t sizes[] = {
	    1, 2, 3, 4, 7, 8, 12, 16, 17, 24, 32, 33, 48, 49, 64, 65, 100, 129};
	enum { ROUNDS = 400 };
	for (size_t h = 0; h < NELEM(hashes); h++)
		for (size_t s = 0; s < NELEM(sizes); s++) {
			size_t n = sizes[s];
			uint8_t key[160];
			for (size_t bit = 0; bit < 8 * n + 64; bit += bit < 8 * n ? 1 + n / 8 : 5) {
				int flips[64] = {0};
				for (int r = 0; r < ROUNDS; r++) {
					for (size_t i = 0; i < n; i++)
						key[i] = (uint8_t)runtime_rand();
					uint64_t seed = runtime_rand(),
						 was = hashes[h](key, seed, n), is;
					if (bit < 8 * n)
						key[bit / 8] ^= (uint8_t)(1 << bit % 8);
					else
						seed ^= 1ull << (bit - 8 * n);
					is = hashes[h](key, seed, n);
					for (int b = 0; b < 64; b++)
						flips[b] += (was ^ is) >> b & 1;
				}
				// Seven standard deviations.
				for (int b = 0; b < 64; b++) {
					if (abs(flips[b] - ROUNDS / 2) > 70)
						test_fail("hash %zu, %zu bytes: input bit %zu "
							  "flips output bit %d in %d of "
							  "%d cases\n",
						    h, n, bit, b, flips[b], ROUNDS);
				}
			}
		}
}

// Inputs that differ in little and in few places: counters, one or two set bits.
TEST(hash_sparse_keys_do_not_collide)
{
	enum { NKEY = 64 * 64 };
	static uint64_t got[NKEY];
	for (size_t h = 0; h < NELEM(hashes); h++)
		for (size_t n = 8; n <= 136; n += 8) {
			uint64_t key[17];
			int k = 0;
			for (size_t i = 0; i < 64; i++)
				for (size_t j = 0; j < i; j++) {
					memset(key, 0, sizeof key);
					key[i * n / 8 / 64] |= 1ull << i;
					key[(j * 7 + i) % (n / 8)] ^= 1ull << j << 1 >> 1;
					key[0] += (uint64_t)k << 32;
					got[k++] = hashes[h](key, 0, n);
				}
			qsort(got, (size_t)k, sizeof *got, compare);
			for (int i = 1; i < k; i++)
				CHECK(got[i] != got[i - 1]);
		}
}

// The bytes end at, or begin behind, a page that cannot be read.
TEST(hash_reads_nothing_outside)
{
	uint8_t *p = mmap(NULL, 3 * PAGESIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(p != MAP_FAILED);
	CHECK_EQ(mprotect(p + PAGESIZE, PAGESIZE, PROT_READ | PROT_WRITE), 0);
	uint64_t sum = 0;
	for (size_t h = 0; h < NELEM(hashes); h++)
		for (size_t n = 0; n <= 600; n++) {
			sum += hashes[h](p + 2 * PAGESIZE - n, 1, n);
			sum += hashes[h](p + PAGESIZE, 1, n);
		}
	CHECK(sum != 0);
	CHECK_EQ(runtime_strhash("abc", 5), runtime_memhash("abcd", 5, 3));
}
