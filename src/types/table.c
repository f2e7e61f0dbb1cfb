// SPDX-License-Identifier: BSD-3-Clause
// table.c: a hash table that only grows and that readers need no lock for.
//
// Open addressing, keys of 64 bits that are not 0, never more than three quarters full. A slot is
// written once: val, then key (release); a reader sees the key (acquire) and then val. The lock is
// for writers and is a leaf: memory for a larger table is had before it is taken. A full table is
// copied into the larger one, which is then published (release); readers of the old one miss only
// what came later, and whoever misses asks again under the lock in tableadd. Old tables stay for
// ever: all of them together are smaller than the newest.
//
// Keys need not be unique: eq tells entries of one key apart.
#include "type.h"

enum { MINSHIFT = 58 }; // 64 slots

struct slots {
	uint32_t shift; // 64 - log2 of the number of slots
	size_t count;   // table.lock
	struct {
		uint64_t key;
		const void *val;
	} s[];
};

static size_t
nslots(const struct slots *sl)
{
	return (size_t)1 << (64 - sl->shift);
}

// find returns the value, or NULL and in *at the slot where it would go.
static const void *
find(struct slots *sl, uint64_t key, tableeq *eq, const void *arg, size_t *at)
{
	size_t mask = nslots(sl) - 1;
	for (size_t i = key * 0x9e3779b97f4a7c15 >> sl->shift;; i = (i + 1) & mask) {
		// Acquire: pairs with the release in put.
		uint64_t k = atomic_loadacq(&sl->s[i].key);
		if (k == key && (eq == NULL || eq(sl->s[i].val, arg)))
			return sl->s[i].val;
		if (k == 0) {
			*at = i;
			return NULL;
		}
	}
}

static void
put(struct slots *sl, size_t at, uint64_t key, const void *val)
{
	sl->s[at].val = val;
	sl->count++;
	atomic_storerel(&sl->s[at].key, key); // release: pairs with find
}

static bool
never(const void *val, const void *arg)
{
	(void)val;
	(void)arg;
	return false;
}

// tablefind returns the value of key for which eq(value, arg) is true; eq NULL: any. NULL: none.
const void *
runtime_tablefind(struct table *t, uint64_t key, tableeq *eq, const void *arg)
{
	size_t at;
	struct slots *sl = atomic_loadacq(&t->slots); // pairs with the release in tableadd
	return sl == NULL ? NULL : find(sl, key, eq, arg, &at);
}

// tableadd enters val unless eq finds one there already; it returns the one that is there now.
// eq runs under t->lock.
const void *
runtime_tableadd(struct table *t, uint64_t key, const void *val, tableeq *eq, const void *arg)
{
	struct slots *spare = NULL;
	for (;;) {
		size_t at;
		if (RT0_DEBUG)
			atomic_storerlx(&t->lock.rank, LOCKRANK_LEAF);
		runtime_lock(&t->lock);
		struct slots *sl = t->slots;
		const void *old = sl == NULL ? NULL : find(sl, key, eq, arg, &at);
		if (old != NULL) {
			runtime_unlock(&t->lock);
			return old;
		}
		bool full = sl == NULL || sl->count >= nslots(sl) / 4 * 3;
		if (full && spare != NULL && (sl == NULL || spare->shift < sl->shift)) {
			for (size_t i = 0; sl != NULL && i < nslots(sl); i++) {
				if (sl->s[i].key != 0) {
					find(spare, sl->s[i].key, never, NULL, &at);
					put(spare, at, sl->s[i].key, sl->s[i].val);
				}
			}
			find(spare, key, never, NULL, &at);
			atomic_storerel(&t->slots, spare); // pairs with the acquire in tablefind
			sl = spare;
			full = false;
		}
		if (!full) {
			put(sl, at, key, val);
			runtime_unlock(&t->lock);
			return val;
		}
		uint32_t shift = sl == NULL ? MINSHIFT : sl->shift - 1;
		runtime_unlock(&t->lock);
		// Somebody else may grow it meanwhile: then this one is for nothing, and lost.
		spare = runtime_persistentalloc(
		    sizeof *spare + ((size_t)1 << (64 - shift)) * sizeof spare->s[0], 64, NULL);
		spare->shift = shift;
	}
}
