// SPDX-License-Identifier: BSD-3-Clause
// test_types.c: modules, canonical types, itabs, stack objects, and what is thrown at bad ones.
#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "../../src/types/type.h"
#include "../harness/child.h"

// ---- what this file declares; it is part of the first module ----

RT0_TYPE(functype, void *, kindFunc, "func()");
RT0_INTERFACE(closer, "main.Closer", {RT0_STRING("Close"), NULL, &functype});
RT0_INTERFACE(readcloser, "io.ReadCloser", {RT0_STRING("Close"), NULL, &functype},
    {RT0_STRING("Read"), NULL, &functype});

static void
fclose_(void)
{
}

static void
fopen_(void)
{
}

static void
fread_(void)
{
}

static const struct method filemethods[] = {
    {RT0_STRING("Close"), NULL, &functype, &functype, (void *)fclose_},
    {RT0_STRING("Open"), NULL, &functype, &functype, (void *)fopen_},
    {RT0_STRING("Read"), NULL, &functype, &functype, (void *)fread_},
};
static const struct uncommontype fileuncommon = {RT0_STRING("File"), NULL, filemethods, 3, 3};
RT0_TYPE(file, int, kindInt, "main.File", .uncommon = &fileuncommon);
RT0_TYPE(doorless, int, kindInt, "\tmain\tmain.Doorless");
RT0_ITAB(file_closer, closer, file, (void *)fclose_);
RT0_STKOBJS(fread_, {-32, 16, &file}, {-16, 8, &file});

TEST(types_first_module_is_the_program)
{
	static int zero, one = 1;
	const struct modulelist *l = runtime_activeModules();
	CHECK_EQ(l->n, 1);
	const struct moduledata *md = l->v[0];
	CHECK(runtime_findmoduledatap((void *)fread_) == md);
	CHECK(runtime_findmoduledatap(&one) == NULL);
	CHECK((char *)&one >= md->data && (char *)&one < md->edata);
	CHECK((char *)&zero >= md->bss && (char *)&zero < md->ebss);
	bool found = false;
	for (const struct rtype *const *p = md->typelinks; p < md->etypelinks; p++)
		found |= *p == &file;
	CHECK(found);
	CHECK(file.hash != doorless.hash);
	CHECK(file.hash != closer.typ.hash);
}

TEST(types_declared_itab_and_stack_objects_are_found)
{
	size_t n;
	CHECK(runtime_getitab(&closer, &file, false) == file_closer);
	const struct stkobj *o = runtime_stkobjs((void *)fread_, &n);
	CHECK_EQ(n, 2);
	CHECK_EQ(o[1].off, -16);
	CHECK(runtime_stkobjs((void *)fopen_, &n) == NULL);
	CHECK_EQ(n, 0);
}

TEST(types_itab_is_made_once)
{
	void **tab = runtime_getitab(&readcloser, &file, false);
	CHECK(tab[0] == &file);
	CHECK(tab[1] == (void *)fclose_);
	CHECK(tab[2] == (void *)fread_);
	CHECK(runtime_getitab(&readcloser, &file, true) == tab);
	for (int i = 0; i < 3; i++)
		CHECK(runtime_getitab(&readcloser, &doorless, true) == NULL);
}

// ---- what must die ----

// dies runs fn in a process of its own, which must end with 2 and, first of all, these lines.
static void
dies(void (*fn)(void), const char *want)
{
	char text[4096];
	int status = child(fn, text, sizeof text);
	if (status != 2 || strncmp(text, want, strlen(want)) != 0)
		test_fail("status %d, stderr:\n%s\nwant 2 and:\n%s\n", status, text, want);
}

static void
convert(void)
{
	runtime_getitab(&readcloser, &doorless, false);
}

TEST(types_missing_method_is_named)
{
	dies(convert,
	    "panic: interface conversion: main.Doorless is not io.ReadCloser: missing method "
	    "Close\n");
}

// fake returns a module without tables whose text starts at this address, where nothing is.
static struct moduledata *
fake(const char *name, uintptr_t at)
{
	struct moduledata *md = calloc(1, sizeof *md);
	md->magic = MODULE_MAGIC;
	md->name = name;
	md->text = (char *)at;
	md->etext = md->data = md->text + 0x1000;
	md->edata = md->bss = md->data + 0x1000;
	md->ebss = md->bss + 0x1000;
	return md;
}

static void
badmagic(void)
{
	struct moduledata *md = fake("x", 0x10000);
	md->magic++;
	runtime_addmodule(md);
}

static void
backwards(void)
{
	struct moduledata *md = fake("x", 0x10000);
	md->ebss = md->bss - 1;
	runtime_addmodule(md);
}

static void
overself(void)
{
	struct moduledata *md = fake("x", 0x10000);
	md->data--;
	runtime_addmodule(md);
}

static void
overfirst(void)
{
	struct moduledata *md = fake("x", 0x10000);
	md->bss = runtime_activeModules()->v[0]->edata - 1;
	md->ebss = md->bss + 1;
	runtime_addmodule(md);
}

static void
overother(void)
{
	runtime_addmodule(fake("y", 0x10000));
	runtime_addmodule(fake("x", 0x12fff));
}

static const struct rtype *badlink[1];

static void
addlink(const struct rtype *t)
{
	struct moduledata *md = fake("x", 0x10000);
	badlink[0] = t;
	md->typelinks = badlink;
	md->etypelinks = badlink + 1;
	runtime_addmodule(md);
}

static void
unsorted(void)
{
	static struct method m[2];
	static struct uncommontype u = {NULL, NULL, m, 2, 2};
	static struct rtype t;
	m[0] = filemethods[2];
	m[1] = filemethods[0];
	t = file;
	t.uncommon = &u;
	addlink(&t);
}

static void
kindless(void)
{
	static struct rtype t;
	t = file;
	t.kind = 27;
	addlink(&t);
}

static void
hole(void)
{
	static void *tab[3] = {(void *)&file, (void *)fclose_, NULL};
	static const struct itab it = {&readcloser, tab}, *const links[] = {&it};
	struct moduledata *md = fake("x", 0x10000);
	md->itablinks = links;
	md->eitablinks = links + 1;
	runtime_addmodule(md);
}

static void
stkobjs(uintptr_t entry)
{
	static const struct stkobj objs[] = {{-24, 16, &file}, {-16, 8, &file}};
	static struct funcobjs f = {NULL, objs, 2};
	static const struct funcobjs *const links[] = {&f};
	struct moduledata *md = fake("x", 0x10000);
	f.entry = (void *)entry;
	md->stkobjs = links;
	md->estkobjs = links + 1;
	runtime_addmodule(md);
}

static void
objsoverlap(void)
{
	stkobjs(0x10000);
}

static void
objsoutside(void)
{
	stkobjs(0x11000);
}

TEST(types_bad_modules_are_refused)
{
	dies(backwards,
	    "runtime: module x: text, data or bss ends before it starts\n"
	    "fatal error: invalid module data\n");
	dies(overself, "runtime: module x: text, data and bss overlap\n");
	dies(overfirst, "runtime: module x: lies over module: main\n");
	dies(overother, "runtime: module x: lies over module: y\n");
	dies(unsorted, "runtime: module x: methods are not sorted: main.File\n");
	dies(kindless, "runtime: module x: type of no kind: main.File\n");
	dies(hole, "runtime: module x: itab with a hole: io.ReadCloser\n");
	dies(objsoverlap, "runtime: module x: stack objects are not sorted, or overlap\n");
	dies(objsoutside,
	    "runtime: module x: stack objects of a function that is not in the text\n");
	dies(badmagic, "runtime: module at 0x");
}

TEST(types_module_added_twice_is_added_once)
{
	struct moduledata *md = fake("x", 0x10000);
	runtime_addmodule(md);
	runtime_addmodule(md);
	CHECK_EQ(runtime_activeModules()->n, 2);
	CHECK(runtime_findmoduledatap((void *)0x10fff) == md);
	CHECK(runtime_findmoduledatap((void *)0x11000) == NULL);
}

static void *
addthread(void *md)
{
	runtime_addmodule(md);
	return NULL;
}

TEST(types_module_of_a_foreign_thread_waits_for_the_next)
{
	pthread_t th;
	CHECK_EQ(pthread_create(&th, NULL, addthread, fake("x", 0x10000)), 0);
	CHECK_EQ(pthread_join(th, NULL), 0);
	CHECK_EQ(runtime_activeModules()->n, 1);
	runtime_addmodule(fake("y", 0x20000));
	const struct modulelist *l = runtime_activeModules();
	CHECK_EQ(l->n, 3);
	CHECK_STREQ(l->v[1]->name, "x");
	CHECK_STREQ(l->v[2]->name, "y");
}

// ---- one type in two modules ----

// struct Node { next *Node; kids []Node; m map[main.File]func(*Node, ...Node) I }, I has Next()
// *Node
struct graph {
	struct structtype node;
	struct elemtype ptr, kids;
	struct maptype m;
	struct functype fn, nextfn;
	struct interfacetype iface;
	struct structfield fields[3];
	const struct rtype *in[2], *out[1], *nextout[1];
	struct imethod method;
	const struct rtype *links[7];
};

static void
describe(struct rtype *t, const struct string *name, uint8_t kind)
{
	*t = (struct rtype){.size = 8, .hash = 77, .align = 8, .fieldalign = 8, .kind = kind};
	t->str = malloc(sizeof *t->str); // another module has its own strings
	*(struct string *)t->str =
	    (struct string){memcpy(malloc(name->len), name->p, name->len), name->len};
}

static struct graph *
graph(void)
{
	struct graph *g = calloc(1, sizeof *g);
	describe(&g->node.typ, RT0_STRING("main.Node"), kindStruct);
	describe(&g->ptr.typ, RT0_STRING("*main.Node"), kindPointer);
	describe(&g->kids.typ, RT0_STRING("[]main.Node"), kindSlice);
	describe(
	    &g->m.typ, RT0_STRING("map[main.File]func(*main.Node, ...main.Node) main.I"), kindMap);
	describe(&g->fn.typ, RT0_STRING("func(*main.Node, ...main.Node) main.I"), kindFunc);
	describe(&g->nextfn.typ, RT0_STRING("func() *main.Node"), kindFunc);
	describe(&g->iface.typ, RT0_STRING("main.I"), kindInterface);
	g->fields[0] = (struct structfield){RT0_STRING("next"), NULL, &g->ptr.typ, NULL, 0};
	g->fields[1] = (struct structfield){RT0_STRING("kids"), NULL, &g->kids.typ, NULL, 16};
	g->fields[2] = (struct structfield){RT0_STRING("m"), NULL, &g->m.typ, NULL, 64};
	g->node.fields = g->fields;
	g->node.nfields = 3;
	g->ptr.elem = g->kids.elem = &g->node.typ;
	g->m.key = &file;
	g->m.elem = &g->fn.typ;
	g->in[0] = &g->ptr.typ;
	g->in[1] = &g->kids.typ;
	g->out[0] = &g->iface.typ;
	g->fn.in = g->in;
	g->fn.nin = 2;
	g->fn.out = g->out;
	g->fn.nout = 1;
	g->fn.variadic = 1;
	g->nextout[0] = &g->ptr.typ;
	g->nextfn.out = g->nextout;
	g->nextfn.nout = 1;
	g->method = (struct imethod){RT0_STRING("Next"), NULL, &g->nextfn.typ};
	g->iface.methods = &g->method;
	g->iface.nmethods = 1;
	const struct rtype *links[] = {&g->node.typ, &g->ptr.typ, &g->kids.typ, &g->m.typ,
	    &g->fn.typ, &g->nextfn.typ, &g->iface.typ};
	memcpy(g->links, links, sizeof links);
	return g;
}

static void
addgraph(struct graph *g, const char *name, uintptr_t at)
{
	struct moduledata *md = fake(name, at);
	md->typelinks = g->links;
	md->etypelinks = g->links + NELEM(g->links);
	runtime_addmodule(md);
}

TEST(types_equal_types_of_two_modules_become_one)
{
	struct graph *a = graph(), *b = graph(), *c = graph();
	addgraph(a, "a", 0x10000);
	CHECK(runtime_canontype(&b->node.typ) == &b->node.typ);
	CHECK(runtime_typesEqual(&a->node.typ, &b->node.typ));
	addgraph(b, "b", 0x20000);
	addgraph(c, "c", 0x30000);
	for (size_t i = 0; i < NELEM(a->links); i++) {
		CHECK(runtime_canontype(a->links[i]) == a->links[i]);
		CHECK(runtime_canontype(b->links[i]) == a->links[i]);
		CHECK(runtime_canontype(c->links[i]) == a->links[i]);
	}
	// An itab asked for by the later module's types is the earlier one's.
	struct method next = {a->method.name, NULL, &a->nextfn.typ, &a->nextfn.typ, (void *)fopen_};
	struct uncommontype u = {RT0_STRING("Impl"), NULL, &next, 1, 1};
	struct rtype impl = file;
	impl.uncommon = &u;
	void **tab = runtime_getitab(&b->iface, &impl, false);
	CHECK(tab == runtime_getitab(&a->iface, &impl, false));
	CHECK(tab[1] == (void *)fopen_);
}

TEST(types_a_difference_deep_inside_separates)
{
	struct graph *a = graph(), *b = graph(), *c = graph();
	b->fn.variadic = 0;
	c->nextfn.typ.hash++;
	addgraph(a, "a", 0x10000);
	addgraph(b, "b", 0x20000);
	addgraph(c, "c", 0x30000);
	for (size_t i = 0; i < NELEM(b->links); i++) {
		CHECK(runtime_canontype(b->links[i]) == b->links[i]);
		CHECK(runtime_canontype(c->links[i]) == c->links[i]);
	}
}

enum { DEEP = 600 };

TEST(types_long_chain_is_compared_to_its_end)
{
	static struct elemtype a[DEEP], b[DEEP];
	for (int i = 0; i < DEEP; i++) {
		describe(&a[i].typ, RT0_STRING("p"), kindPointer);
		describe(&b[i].typ, RT0_STRING("p"), kindPointer);
		a[i].elem = &a[(i + 1) % DEEP].typ;
		b[i].elem = &b[(i + 1) % DEEP].typ;
	}
	CHECK(runtime_typesEqual(&a[0].typ, &b[0].typ));
	b[DEEP - 1].typ.align = 4;
	CHECK(!runtime_typesEqual(&a[0].typ, &b[0].typ));
}

// ---- many, and at the same time ----

enum { NTYPES = 1500, NEACH = 5, NASK = 2 * NEACH };

static struct rtype many[NTYPES];
static void **tabs[NASK][NTYPES];
static uint32_t ready;
static rt0_waitgroup wg;

static void
askall(size_t me)
{
	for (size_t i = 0; i < NTYPES; i++) {
		size_t k = (i + me * 7) % NTYPES;
		tabs[me][k] = runtime_getitab(k % 3 == 0 ? &closer : &readcloser, &many[k], true);
	}
}

static void *
thread(void *me)
{
	atomic_xadd(&ready, 1);
	while (atomic_load(&ready) < NASK)
		sched_yield();
	askall((size_t)me);
	return NULL;
}

static void
goroutine(void *me)
{
	atomic_xadd(&ready, 1);
	while (atomic_load(&ready) < NASK)
		rt0_gosched();
	askall((size_t)me);
	rt0_waitgroup_done(&wg);
}

// Half of them are threads without a goroutine. The table grows from 64 slots to 2048 meanwhile.
TEST_T(types_getitab_of_many_at_once_agrees, 30000)
{
	pthread_t th[NEACH];
	for (size_t i = 0; i < NTYPES; i++) {
		many[i] = file;
		if (i % 5 == 0)
			many[i].uncommon = NULL;
	}
	for (size_t i = 0; i < NEACH; i++)
		CHECK_EQ(pthread_create(&th[i], NULL, thread, (void *)i), 0);
	rt0_waitgroup_add(&wg, NEACH);
	for (size_t i = NEACH; i < NASK; i++)
		rt0_go(goroutine, (void *)i);
	rt0_waitgroup_wait(&wg);
	for (size_t i = 0; i < NEACH; i++)
		CHECK_EQ(pthread_join(th[i], NULL), 0);
	for (size_t k = 0; k < NTYPES; k++) {
		void **tab = tabs[0][k];
		for (size_t i = 1; i < NASK; i++)
			CHECK(tabs[i][k] == tab);
		CHECK_EQ(tab == NULL, k % 5 == 0);
		CHECK(tab == NULL || (tab[0] == &many[k] && tab[1] == (void *)fclose_));
	}
}
