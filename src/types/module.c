// SPDX-License-Identifier: BSD-3-Clause
// module.c: the modules: the program or library itself, and shared objects that were loaded later.
//
// addmodule pushes onto a list, as constructors may. Boot, or addmodule itself on a thread of the
// runtime, takes the list, checks it, and publishes a new array of all modules; then types, itabs
// and stack objects are entered. As long as there is one module and its tables are empty, this
// reads a few words and writes none. Modules never go away.
#include "type.h"

RT0_MODULE(firstmodule, "main");

static struct modulelist first = {1, {&firstmodule}};

// In .data, beside the two above: boot reads all three, and no page is touched for one word.
static struct {
	const struct modulelist *active; // atomic: replaced, never changed
	struct moduledata *registered;   // atomic: newest first; taken whole
	struct moduledata *pending;      // lock: verified, not yet in active
	struct mutex lock;               // from taking registered to the last table
} modules = {&first, NULL, NULL, {0, LOCKRANK_MODULES}};

static struct table stkobjs;

const struct modulelist *
runtime_activeModules(void)
{
	return atomic_loadacq(&modules.active); // pairs with the release in modulesinit
}

struct moduledata *
runtime_findmoduledatap(const void *pc)
{
	const struct modulelist *l = runtime_activeModules();
	for (size_t i = 0; i < l->n; i++) {
		if ((const char *)pc >= l->v[i]->text && (const char *)pc < l->v[i]->etext)
			return l->v[i];
	}
	return NULL;
}

// ---- moduledataverify ----

// bad ends the process; name and nlen say of what, which need not end with a zero.
static RT0_NORETURN void
bad(const struct moduledata *md, const char *what, const struct string *of)
{
	char name[128] = "";
	size_t n = of == NULL ? 0 : of->len < sizeof name - 3 ? of->len : sizeof name - 3;
	if (n > 0) {
		name[0] = ':';
		name[1] = ' ';
		__builtin_memcpy(name + 2, of->p, n);
		name[n + 2] = 0;
	}
	runtime_print("runtime: module %s: %s%s\n", md->name, what, name);
	runtime_throw("invalid module data");
}

static int
strcompare(const struct string *a, const struct string *b)
{
	int c = __builtin_memcmp(a->p, b->p, a->len < b->len ? a->len : b->len);
	return c != 0 ? c : (a->len > b->len) - (a->len < b->len);
}

// Methods may have one name if their packages differ.
static void
verifytype(const struct moduledata *md, const struct rtype *t)
{
	uint32_t kind = t->kind & kindMask;
	if (t->str == NULL)
		bad(md, "type without a name", NULL);
	if (kind < kindBool || kind > kindUnsafePointer)
		bad(md, "type of no kind", t->str);
	if (t->align == 0 || (t->align & (t->align - 1)) != 0 || t->ptrdata > t->size)
		bad(md, "type with a bad align or ptrdata", t->str);
	const struct uncommontype *u = t->uncommon;
	for (size_t i = 1; u != NULL && i < u->nmethods; i++) {
		if (strcompare(u->methods[i - 1].name, u->methods[i].name) > 0)
			bad(md, "methods are not sorted", t->str);
	}
	if (kind != kindInterface || t->tflag & tflagOpaque)
		return;
	const struct interfacetype *in = (const void *)t;
	for (size_t i = 1; i < in->nmethods; i++) {
		if (strcompare(in->methods[i - 1].name, in->methods[i].name) > 0)
			bad(md, "methods are not sorted", t->str);
	}
}

static void
verifytables(const struct moduledata *md)
{
	if (md->typelinks > md->etypelinks || md->itablinks > md->eitablinks ||
	    md->stkobjs > md->estkobjs)
		bad(md, "a table ends before it starts", NULL);
	for (const struct rtype *const *p = md->typelinks; p < md->etypelinks; p++)
		verifytype(md, *p);
	for (const struct itab *const *p = md->itablinks; p < md->eitablinks; p++) {
		const struct interfacetype *in = (*p)->inter;
		if ((in->typ.kind & kindMask) != kindInterface || in->nmethods == 0)
			bad(md, "itab of what is no interface", in->typ.str);
		for (size_t i = 0; i <= in->nmethods; i++) {
			if ((*p)->tab[i] == NULL)
				bad(md, "itab with a hole", in->typ.str);
		}
	}
	for (const struct funcobjs *const *p = md->stkobjs; p < md->estkobjs; p++) {
		const char *entry = (*p)->entry;
		if (md->etext != NULL && (entry < md->text || entry >= md->etext))
			bad(md, "stack objects of a function that is not in the text", NULL);
		for (size_t i = 1; i < (*p)->n; i++) {
			const struct stkobj *o = &(*p)->objs[i];
			if (o[-1].off + (int64_t)o[-1].size > o->off)
				bad(md, "stack objects are not sorted, or overlap", NULL);
		}
	}
}

// A bound is NULL where the linker did not provide it: then nothing is known of that range.
static bool
backwards(const char *lo, const char *hi)
{
	return hi != NULL && lo > hi;
}

static bool
overlap(const char *lo, const char *hi, const char *lo2, const char *hi2)
{
	return lo != NULL && lo2 != NULL && lo < hi2 && lo2 < hi && lo < hi && lo2 < hi2;
}

static void
verify1(const struct moduledata *md)
{
	if (md->magic != MODULE_MAGIC) {
		runtime_print("runtime: module at %p: magic is %#x, not %#x\n", (const void *)md,
		    md->magic, (unsigned)MODULE_MAGIC);
		runtime_throw("invalid module data");
	}
	if (backwards(md->text, md->etext) || backwards(md->data, md->edata) ||
	    backwards(md->bss, md->ebss))
		bad(md, "text, data or bss ends before it starts", NULL);
	if (overlap(md->text, md->etext, md->data, md->edata) ||
	    overlap(md->text, md->etext, md->bss, md->ebss) ||
	    overlap(md->data, md->edata, md->bss, md->ebss))
		bad(md, "text, data and bss overlap", NULL);
	verifytables(md);
}

// verify2 sees to it that no address belongs to two modules.
static void
verify2(const struct moduledata *a, const struct moduledata *b)
{
	const char *const r[3][2] = {{a->text, a->etext}, {a->data, a->edata}, {a->bss, a->ebss}};
	for (int i = 0; i < 3; i++) {
		if (overlap(r[i][0], r[i][1], b->text, b->etext) ||
		    overlap(r[i][0], r[i][1], b->data, b->edata) ||
		    overlap(r[i][0], r[i][1], b->bss, b->ebss))
			bad(a, "lies over module",
			    &(struct string){b->name, runtime_strlen(b->name)});
	}
}

// moduledataverify checks what has registered since the last time, at boot the first module too.
void
runtime_moduledataverify(void)
{
	const struct modulelist *l = modules.active;
	if (l == &first)
		verify1(&firstmodule);
	// Relaxed: who registers from now on is next time's.
	if (atomic_loadrlx(&modules.registered) == NULL)
		return;
	// Acquire: pairs with the release in addmodule.
	struct moduledata *md = atomic_xchgacq(&modules.registered, NULL);
	while (md != NULL) {
		struct moduledata *older = md->next;
		verify1(md);
		for (size_t i = 0; i < l->n; i++)
			verify2(md, l->v[i]);
		for (struct moduledata *p = modules.pending; p != NULL; p = p->next)
			verify2(p, md);
		md->next = modules.pending;
		modules.pending = md;
		md = older;
	}
}

// ---- the list ----

void
runtime_modulesinit(void)
{
	if (modules.pending == NULL)
		return;
	const struct modulelist *old = modules.active;
	size_t n = old->n;
	for (struct moduledata *md = modules.pending; md != NULL; md = md->next)
		n++;
	struct modulelist *l = runtime_persistentalloc(sizeof *l + n * sizeof l->v[0], 0, NULL);
	for (; l->n < old->n; l->n++)
		l->v[l->n] = old->v[l->n];
	for (; modules.pending != NULL; modules.pending = modules.pending->next)
		l->v[l->n++] = modules.pending;
	atomic_storerel(&modules.active, l); // pairs with the acquire in activeModules
}

void
runtime_addmodule(struct moduledata *md)
{
	if (atomic_xchg(&md->added, 1) != 0)
		return;
	// Release: pairs with the acquire in moduledataverify.
	do
		md->next = atomic_loadrlx(&modules.registered);
	while (!atomic_casrel(&modules.registered, md->next, md));
	if (getg() == NULL)
		return;
	runtime_lock(&modules.lock);
	runtime_moduledataverify();
	runtime_modulesinit();
	runtime_typelinksinit();
	runtime_itabsinit();
	runtime_stkobjinit();
	runtime_unlock(&modules.lock);
}

// ---- stack objects: for a collector that looks into frames. Kept by the function's entry. ----

void
runtime_stkobjinit(void)
{
	const struct modulelist *l = runtime_activeModules();
	for (size_t i = 0; i < l->n; i++) {
		const struct moduledata *md = l->v[i];
		for (const struct funcobjs *const *p = md->stkobjs; p < md->estkobjs; p++)
			runtime_tableadd(&stkobjs, (uintptr_t)(*p)->entry, *p, NULL, NULL);
	}
}

const struct stkobj *
runtime_stkobjs(const void *entry, size_t *n)
{
	const struct funcobjs *f = runtime_tablefind(&stkobjs, (uintptr_t)entry, NULL, NULL);
	*n = f == NULL ? 0 : f->n;
	return f == NULL ? NULL : f->objs;
}
