// SPDX-License-Identifier: BSD-3-Clause
// type.c: which types are the same: one of all equal descriptors is the canonical one.
//
// The linker makes a type unique within a program or shared object. Between them it cannot: when a
// second module comes, all types are entered by hash, in the order of the modules, and each that
// equals one before it is mapped to that. As long as there is one module nothing is looked at.
#include "type.h"

static struct table typeset; // canonical types, by hash; entered under the modules' lock only
static struct table typemap; // other type to canonical one, by address

// Pairs that must be equal for the first pair to be. Those looked at stay: a type may contain
// itself, and since one difference ends it all, "equal until shown otherwise" is sound.
struct pairs {
	struct {
		const struct rtype *a, *b;
	} small[24], *v;
	size_t n, cap;
};

bool
runtime_strequal(const struct string *a, const struct string *b)
{
	if (a == b)
		return true;
	if (a == NULL || b == NULL || a->len != b->len)
		return false;
	return __builtin_memcmp(a->p, b->p, a->len) == 0;
}

const struct rtype *
runtime_canontype(const struct rtype *t)
{
	const struct rtype *c = runtime_tablefind(&typemap, (uintptr_t)t, NULL, NULL);
	return c != NULL ? c : t;
}

// want notes that a and b have to be equal; false: they are not.
static bool
want(struct pairs *q, const struct rtype *a, const struct rtype *b)
{
	if (a == b)
		return true;
	if (a == NULL || b == NULL || a->hash != b->hash)
		return false;
	a = runtime_canontype(a);
	if (a == runtime_canontype(b))
		return true;
	for (size_t i = 0; i < q->n; i++) {
		if (q->v[i].a == a && q->v[i].b == b)
			return true;
	}
	if (q->n == q->cap) {
		void *old = q->v;
		q->cap *= 2;
		q->v = runtime_mallocgc(q->cap * sizeof q->v[0], true, false);
		__builtin_memcpy(q->v, old, q->n * sizeof q->v[0]);
		if (old != q->small)
			runtime_free(old);
	}
	q->v[q->n].a = a;
	q->v[q->n++].b = b;
	return true;
}

static bool
wantall(struct pairs *q, const struct rtype **a, const struct rtype **b, size_t n)
{
	bool ok = true;
	for (size_t i = 0; ok && i < n; i++)
		ok = want(q, a[i], b[i]);
	return ok;
}

static bool
fieldsequal(struct pairs *q, const struct structtype *s, const struct structtype *t)
{
	bool ok = s->nfields == t->nfields;
	for (size_t i = 0; ok && i < s->nfields; i++) {
		const struct structfield *f = &s->fields[i], *g = &t->fields[i];
		ok = f->offsetanon == g->offsetanon && runtime_strequal(f->name, g->name) &&
		    runtime_strequal(f->pkgpath, g->pkgpath) && runtime_strequal(f->tag, g->tag) &&
		    want(q, f->typ, g->typ);
	}
	return ok;
}

static bool
methodsequal(struct pairs *q, const struct interfacetype *s, const struct interfacetype *t)
{
	bool ok = s->nmethods == t->nmethods;
	for (size_t i = 0; ok && i < s->nmethods; i++) {
		const struct imethod *f = &s->methods[i], *g = &t->methods[i];
		ok = runtime_strequal(f->name, g->name) &&
		    runtime_strequal(f->pkgpath, g->pkgpath) && want(q, f->typ, g->typ);
	}
	return ok;
}

// shallow compares a and b but for the types they are made of, which it puts on q.
static bool
shallow(struct pairs *q, const struct rtype *a, const struct rtype *b)
{
	const struct uncommontype *u = a->uncommon, *w = b->uncommon;
	if (a->size != b->size || a->align != b->align || a->kind != b->kind ||
	    a->tflag != b->tflag || !runtime_strequal(a->str, b->str) || (u == NULL) != (w == NULL))
		return false;
	if (u != NULL &&
	    !(runtime_strequal(u->name, w->name) && runtime_strequal(u->pkgpath, w->pkgpath)))
		return false;
	if (a->tflag & tflagOpaque)
		return true;
	const struct elemtype *e = (const void *)a, *f = (const void *)b;
	switch (a->kind & kindMask) {
	case kindArray:
		return ((const struct arraytype *)a)->len == ((const struct arraytype *)b)->len &&
		    want(q, e->elem, f->elem);
	case kindChan:
		return e->n == f->n && want(q, e->elem, f->elem);
	case kindPointer:
	case kindSlice:
		return want(q, e->elem, f->elem);
	case kindMap: {
		const struct maptype *m = (const void *)a, *n = (const void *)b;
		return want(q, m->key, n->key) && want(q, m->elem, n->elem);
	}
	case kindFunc: {
		const struct functype *m = (const void *)a, *n = (const void *)b;
		return m->variadic == n->variadic && m->nin == n->nin && m->nout == n->nout &&
		    wantall(q, m->in, n->in, m->nin) && wantall(q, m->out, n->out, m->nout);
	}
	case kindStruct:
		return fieldsequal(q, (const void *)a, (const void *)b);
	case kindInterface:
		return methodsequal(q, (const void *)a, (const void *)b);
	}
	return true;
}

static bool
sameptr(const void *val, const void *arg)
{
	return val == arg;
}

static uint64_t
setkey(const struct rtype *t)
{
	return (uint64_t)1 << 32 | t->hash;
}

// equal says whether a and b are one type. With record, all that they are made of is mapped too.
static bool
equal(const struct rtype *a, const struct rtype *b, bool record)
{
	struct pairs q;
	q.v = (void *)q.small;
	q.n = 0;
	q.cap = NELEM(q.small);
	bool ok = want(&q, a, b);
	for (size_t i = 0; ok && i < q.n; i++)
		ok = shallow(&q, q.v[i].a, q.v[i].b);
	for (size_t i = 0; ok && record && i < q.n; i++) {
		const struct rtype *c = q.v[i].a, *t = q.v[i].b;
		// Once canonical, always canonical.
		if (runtime_tablefind(&typeset, setkey(c), sameptr, c) != NULL &&
		    runtime_tablefind(&typeset, setkey(t), sameptr, t) == NULL)
			runtime_tableadd(&typemap, (uintptr_t)t, c, NULL, NULL);
	}
	if ((void *)q.v != (void *)q.small)
		runtime_free(q.v);
	return ok;
}

bool
runtime_typesEqual(const struct rtype *a, const struct rtype *b)
{
	return equal(a, b, false);
}

static bool
equalrecord(const void *val, const void *arg)
{
	return equal(val, arg, true);
}

void
runtime_typelinksinit(void)
{
	const struct modulelist *l = runtime_activeModules();
	if (l->n == 1)
		return;
	for (size_t i = 0; i < l->n; i++) {
		for (const struct rtype *const *p = l->v[i]->typelinks; p < l->v[i]->etypelinks;
		     p++) {
			const struct rtype *t = *p;
			if (runtime_canontype(t) == t &&
			    runtime_tablefind(&typeset, setkey(t), equalrecord, t) == NULL)
				runtime_tableadd(&typeset, setkey(t), t, sameptr, t);
		}
	}
}
