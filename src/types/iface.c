// SPDX-License-Identifier: BSD-3-Clause
// iface.c: itabs: which code runs for the methods of an interface that holds a type.
//
// Modules declare some; getitab makes the others when they are asked for, and remembers also that
// a type does not implement an interface. They are kept by (interface, type), both canonical, in a
// table that readers need no lock for, and never go away.
#include "type.h"

static struct table itabs;

static uint64_t
itabkey(const struct interfacetype *inter, const struct rtype *type)
{
	// Types are aligned: the lowest bit is free to keep the key from being 0.
	return ((uintptr_t)inter * 0xbf58476d1ce4e5b9 ^ (uintptr_t)type) | 1;
}

static bool
sameitab(const void *val, const void *arg)
{
	const struct itab *a = val, *b = arg;
	return a->inter == b->inter && a->tab[0] == b->tab[0];
}

// The types must be canonical, and tab complete.
const struct itab *
runtime_itabadd(const struct itab *it)
{
	return runtime_tableadd(&itabs, itabkey(it->inter, it->tab[0]), it, sameitab, it);
}

// itabinit fills tab[1..] and returns NULL, or the name of the first method that type lacks. Both
// lists are sorted by name: one pass over each. tab NULL: it only looks.
static const struct string *
itabinit(const struct interfacetype *inter, const struct rtype *type, void **tab)
{
	const struct uncommontype *u = type->uncommon;
	size_t nt = u == NULL ? 0 : u->nmethods, k = 0;
	for (size_t i = 0; i < inter->nmethods; i++, k++) {
		const struct imethod *im = &inter->methods[i];
		while (k < nt &&
		    !(runtime_strequal(u->methods[k].name, im->name) &&
			runtime_strequal(u->methods[k].pkgpath, im->pkgpath)))
			k++;
		if (k == nt || !runtime_typesEqual(im->typ, u->methods[k].mtyp))
			return im->name;
		if (tab != NULL)
			tab[1 + i] = u->methods[k].tfn;
	}
	return NULL;
}

// append adds s to the message at buf. What stands between tabs is gccgo's package path.
static size_t
append(char *buf, size_t size, size_t n, const char *s, size_t len)
{
	bool quoted = false;
	for (size_t i = 0; i < len && n < size - 1; i++) {
		if (s[i] == '\t')
			quoted = !quoted;
		else if (!quoted)
			buf[n++] = s[i];
	}
	buf[n] = 0;
	return n;
}

static RT0_NORETURN void
panicmissing(
    const struct interfacetype *inter, const struct rtype *type, const struct string *method)
{
	enum { SIZE = 512 };
	static const char head[] = "interface conversion: ", is[] = " is not ";
	static const char missing[] = ": missing method ";
	char *buf = runtime_mallocgc(SIZE, true, false); // the panic outlives this frame
	size_t n = append(buf, SIZE, 0, head, sizeof head - 1);
	n = append(buf, SIZE, n, type->str->p, type->str->len);
	n = append(buf, SIZE, n, is, sizeof is - 1);
	n = append(buf, SIZE, n, inter->typ.str->p, inter->typ.str->len);
	n = append(buf, SIZE, n, missing, sizeof missing - 1);
	append(buf, SIZE, n, method->p, method->len);
	runtime_panicerror(RT0_ERR_TYPE, buf);
}

void **
runtime_getitab(const struct interfacetype *inter, const struct rtype *type, bool canfail)
{
	if (inter->nmethods == 0)
		runtime_throw("internal error - misuse of itab");
	inter = (const struct interfacetype *)runtime_canontype(&inter->typ);
	type = runtime_canontype(type);
	void *tab0 = (void *)type;
	struct itab want = {inter, &tab0};
	const struct itab *it = runtime_tablefind(&itabs, itabkey(inter, type), sameitab, &want);
	if (unlikely(it == NULL)) {
		// Two may be made at the same time. One is entered; the other is lost, which costs
		// some bytes once.
		bool ok = itabinit(inter, type, NULL) == NULL;
		size_t words = ok ? 1 + inter->nmethods : 2;
		struct itab *new = runtime_persistentalloc(
		    sizeof *new + words * sizeof(void *), sizeof(void *), NULL);
		new->inter = inter;
		new->tab = (void **)(new + 1);
		new->tab[0] = tab0;
		if (ok)
			itabinit(inter, type, new->tab);
		it = runtime_itabadd(new);
	}
	if (likely(it->tab[1] != NULL))
		return it->tab;
	if (canfail)
		return NULL;
	panicmissing(inter, type, itabinit(inter, type, NULL));
}

// itabsinit enters what modules declare. A tab of a type that is not canonical is left out: who
// asks for it gets one whose tab[0] is.
void
runtime_itabsinit(void)
{
	const struct modulelist *l = runtime_activeModules();
	for (size_t i = 0; i < l->n; i++) {
		for (const struct itab *const *p = l->v[i]->itablinks; p < l->v[i]->eitablinks;
		     p++) {
			const struct rtype *inter = &(*p)->inter->typ, *type = (*p)->tab[0];
			if (runtime_canontype(inter) == inter && runtime_canontype(type) == type)
				runtime_itabadd(*p);
		}
	}
}
