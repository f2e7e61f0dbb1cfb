// SPDX-License-Identifier: BSD-3-Clause
// mcentral.c: the spans of one span class that can give objects.
//
// A span that some mcache hands out fresh objects from is "cached". On the partial list are the
// spans with free objects, and those that have fresh ones but no mcache. All others are reached
// through their addresses alone. A span none of whose objects is out, which no mcache has, goes
// back to the heap; objects in the magazines of the mcaches count as out.
//
// Nothing is taken under mcentral.lock. The heap is called after it is released.
#include "mheap.h"

static struct mcentral *
lockcentral(unsigned spc)
{
	struct mcentral *c = &mcentral[spc];

	// Set here, not at boot: 137 locks in 9 KiB.
	if (RT0_DEBUG)
		atomic_storerlx(&c->lock.rank, LOCKRANK_CENTRAL);
	runtime_lock(&c->lock);
	return c;
}

static void
listadd(struct mcentral *c, struct mspan *s)
{
	s->prev = NULL;
	s->next = c->partial;
	if (s->next != NULL)
		s->next->prev = s;
	c->partial = s;
	s->onlist = 1;
	atomic_storerlx(&mheap.anypartial, 1);
}

static void
listremove(struct mcentral *c, struct mspan *s)
{
	if (s->next != NULL)
		s->next->prev = s->prev;
	if (s->prev != NULL)
		s->prev->next = s->next;
	else
		c->partial = s->next;
	s->next = s->prev = NULL;
	s->onlist = 0;
}

// isempty says that no object of s is out. Its lock is held.
static bool
isempty(struct mspan *s)
{
	return !s->cached && s->nfree * s->elemsize == atomic_loadrlx(&s->bump) - s->base;
}

// runtime_mspan_check walks the free list of s. mcentral.lock is held. DEBUG >= 2 and tests.
void
runtime_mspan_check(struct mspan *s)
{
	uint32_t n = 0;

	for (uintptr_t *v = s->freelist; v != NULL; v = (uintptr_t *)v[0], n++)
		if ((uintptr_t)v < s->base || (uintptr_t)v >= s->bump ||
		    v[1] != cookieof((uintptr_t)v))
			runtime_throw("mspan_check: bad free object");
	if (n != s->nfree || s->bump > s->limit || s->state != SpanInUse)
		runtime_throw("mspan_check: count is wrong");
}

// runtime_mcentral_take moves the free objects of one span to *list and counts them in *n; both
// are 0 if there are none. It returns the span if fresh objects are to be had of it, which is
// then cached by the caller.
struct mspan *
runtime_mcentral_take(unsigned spc, void **list, uint32_t *n)
{
	*list = NULL;
	*n = 0;
	// A program that has just started frees little: spare it the page with the lists.
	if (!atomic_loadrlx(&mheap.anypartial))
		return NULL;
	struct mcentral *c = lockcentral(spc);
	struct mspan *s = c->partial, *fresh = NULL;
	if (s != NULL) {
#if RT0_DEBUG >= 2
		runtime_mspan_check(s);
#endif
		listremove(c, s);
		*list = s->freelist;
		*n = s->nfree;
		s->freelist = NULL;
		s->nfree = 0;
		if (!s->cached && atomic_loadrlx(&s->bump) < s->limit) {
			s->cached = 1;
			fresh = s;
		}
	}
	runtime_unlock(&c->lock);
	return fresh;
}

// freeall gives the spans on list to the heap.
static void
freeall(struct mspan *list)
{
	while (list != NULL) {
		struct mspan *s = list;
		list = s->next;
		s->next = NULL;
		runtime_mheap_free(s);
	}
}

// runtime_mcentral_put takes free objects back to their spans.
void
runtime_mcentral_put(unsigned spc, void *list)
{
	struct mspan *empty = NULL;
	struct mcentral *c = lockcentral(spc);

	for (uintptr_t *v = list, *next; v != NULL; v = next) {
		if (unlikely(v[1] != cookieof((uintptr_t)v))) {
			runtime_unlock(&c->lock);
			runtime_print("runtime: free object %p was written to\n", (void *)v);
			runtime_throw("write after free");
		}
		next = (uintptr_t *)v[0];
		struct mspan *s = spanOf((uintptr_t)v);
		v[0] = (uintptr_t)s->freelist;
		s->freelist = v;
		s->nfree++;
		if (isempty(s)) {
			if (s->onlist)
				listremove(c, s);
			s->next = empty;
			empty = s;
		} else if (!s->onlist) {
			listadd(c, s);
		}
	}
	runtime_unlock(&c->lock);
	freeall(empty);
}

// runtime_mcentral_uncache takes back the span that a cache handed out fresh objects from.
void
runtime_mcentral_uncache(struct mspan *s)
{
	struct mcentral *c = lockcentral(s->spanclass);
	struct mspan *empty = NULL;

	s->cached = 0;
	if (isempty(s)) {
		if (s->onlist)
			listremove(c, s);
		empty = s;
		s->next = NULL;
	} else if (!s->onlist && (s->nfree != 0 || atomic_loadrlx(&s->bump) < s->limit)) {
		listadd(c, s);
	}
	runtime_unlock(&c->lock);
	freeall(empty);
}
