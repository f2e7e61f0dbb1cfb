// SPDX-License-Identifier: BSD-3-Clause
// type.h: type descriptors, itabs, stack objects and modules: what Go objects and C programs share.
//
// The layouts are gccgo's, word for word: objects that it compiles are linked against this
// runtime. Everything a module declares is constant: readers take no lock, and what is derived
// from it (canonical types, itabs made at run time) is published in tables that only grow.
//
// C code declares with RT0_TYPE, RT0_INTERFACE, RT0_ITAB and RT0_STKOBJS; each puts a pointer into
// a linker section, rt0_types, rt0_itabs or rt0_stkobjs, whose ends the module's record names.
#ifndef RT0_TYPE_H
#define RT0_TYPE_H

#include "../runtime.h"

#pragma GCC visibility push(hidden)

// ---- values ----

struct string {
	const char *p; // not terminated
	size_t len;
};

struct slice {
	void *p;
	size_t len, cap;
};

struct eface {
	const struct rtype *type;
	void *data;
};

// tab[0] is the type, tab[1..] the code of the methods, sorted by name.
struct iface {
	void **tab;
	void *data;
};

// What is captured follows code. The callee finds the struct in r10.
struct funcval {
	void *code;
};

// ---- types ----

// clang-format off
enum kind {
	kindBool = 1, kindInt, kindInt8, kindInt16, kindInt32, kindInt64,
	kindUint, kindUint8, kindUint16, kindUint32, kindUint64, kindUintptr,
	kindFloat32, kindFloat64, kindComplex64, kindComplex128,
	kindArray, kindChan, kindFunc, kindInterface, kindMap, kindPointer,
	kindSlice, kindString, kindStruct, kindUnsafePointer,
	kindDirectIface = 32, // the data word of an interface is the value
	kindGCProg = 64,      // gcdata is a program
	kindNoPointers = 128,
	kindMask = 31,
};
// clang-format on

enum {
	tflagRegularMemory = 8, // equal and hash may treat it as size bytes
	tflagOpaque = 128,      // C's: nothing follows the rtype, whatever the kind says
};

struct rtype {
	uintptr_t size;
	uintptr_t ptrdata; // bytes that can hold pointers
	uint32_t hash;     // equal types have equal hashes
	uint8_t tflag, align, fieldalign, kind;
	const struct funcval *equal; // bool(const void *, const void *); NULL: not comparable
	const uint8_t *gcdata;
	const struct string *str; // "main.T"; gccgo's have the package's path before it, in tabs
	const struct uncommontype *uncommon; // NULL: no name and no methods
	const struct rtype *ptrto;
};
static_assert(sizeof(struct rtype) == 64, "gccgo's type descriptor");
static_assert(offsetof(struct rtype, kind) == 23 && offsetof(struct rtype, ptrto) == 56, "gccgo's");

// pkgpath is NULL where the name is exported.
struct method {
	const struct string *name, *pkgpath;
	const struct rtype *mtyp, *typ; // without and with the receiver
	void *tfn;
};

struct uncommontype {
	const struct string *name, *pkgpath;
	const struct method *methods; // sorted by name
	size_t nmethods, cap;
};

struct imethod {
	const struct string *name, *pkgpath;
	const struct rtype *typ;
};

struct interfacetype {
	struct rtype typ;
	const struct imethod *methods; // sorted by name
	size_t nmethods, cap;
};

struct structfield {
	const struct string *name, *pkgpath;
	const struct rtype *typ;
	const struct string *tag;
	uintptr_t offsetanon; // 2 * offset, + 1 if embedded
};

struct structtype {
	struct rtype typ;
	const struct structfield *fields;
	size_t nfields, cap;
};

struct functype {
	struct rtype typ;
	uint8_t variadic;
	const struct rtype **in;
	size_t nin, incap;
	const struct rtype **out;
	size_t nout, outcap;
};

// Pointers and slices have elem alone; n is a channel's direction or an array's length.
struct elemtype {
	struct rtype typ;
	const struct rtype *elem;
	uintptr_t n;
};

struct arraytype {
	struct rtype typ;
	const struct rtype *elem, *slice;
	uintptr_t len;
};

struct maptype {
	struct rtype typ;
	const struct rtype *key, *elem, *bucket;
	const struct funcval *hasher;
	uint8_t keysize, elemsize;
	uint16_t bucketsize;
	uint32_t flags;
};

// ---- what a module declares beside types ----

struct itab {
	const struct interfacetype *inter;
	void **tab; // as in struct iface; tab[1] NULL: the type does not implement inter
};

struct stkobj {
	int32_t off, size; // bytes, from the frame's highest address down: off is negative
	const struct rtype *type;
};

struct funcobjs {
	const void *entry;
	const struct stkobj *objs; // sorted by off, apart from each other
	size_t n;
};

enum { MODULE_MAGIC = 0x72743031 };

// One for the program or library, one for each shared object that has types of its own.
// Constant but for the last two. Ranges are [text, etext) and so on; tables end where e... says.
struct moduledata {
	uint32_t magic;
	const char *name;
	const char *text, *etext, *data, *edata, *bss, *ebss;
	const struct rtype *const *typelinks, *const *etypelinks;
	const struct itab *const *itablinks, *const *eitablinks;
	const struct funcobjs *const *stkobjs, *const *estkobjs;
	struct moduledata *next; // registered before it, until it is taken in
	uint32_t added;          // atomic: addmodule has seen it
};

struct modulelist {
	size_t n;
	struct moduledata *v[]; // in the order in which they came
};

// ---- how C declares ----

#define RT0_STRING(s) (&(const struct string){s, sizeof(s) - 1})

// A hash that is a constant: of the first 12 bytes and the length.
#define RT0_HASH1(s, i) ((i) < sizeof(s) ? (uint32_t)(uint8_t)(s)[(i) < sizeof(s) ? (i) : 0] : 0u)
#define RT0_HASH4(s, i)                                                                            \
	(RT0_HASH1(s, i) + RT0_HASH1(s, i + 1) * 0x101u + RT0_HASH1(s, i + 2) * 0x10203u +         \
	    RT0_HASH1(s, i + 3) * 0x1030507u)
#define RT0_HASH(s)                                                                                \
	((RT0_HASH4(s, 0) ^ RT0_HASH4(s, 4) * 0x9e3779b1u ^ RT0_HASH4(s, 8) * 0x85ebca6bu) +       \
	    (uint32_t)sizeof(s) * 0xc2b2ae35u)

#define RT0_RTYPE(ctype, kind_, text, ...)                                                         \
	{                                                                                          \
		.size = sizeof(ctype), .hash = RT0_HASH(text), .align = _Alignof(ctype),           \
		.fieldalign = _Alignof(ctype), .kind = (kind_), .str = RT0_STRING(text),           \
		__VA_ARGS__                                                                        \
	}
// A pointer to x in a section. Pointers, since compilers pad between structs.
#define RT0_LINK(section_, type, sym, x)                                                           \
	static type *const rt0_link_##sym __attribute__((used, section(section_))) = (x)

// RT0_TYPE(sym, ctype, kind, "main.T", ...) defines struct rtype sym. Further fields may follow.
#define RT0_TYPE(sym, ctype, kind_, text, ...)                                                     \
	const struct rtype sym = RT0_RTYPE(ctype, kind_, text, .tflag = tflagOpaque, __VA_ARGS__); \
	RT0_LINK("rt0_types", const struct rtype, sym, &sym)
// RT0_INTERFACE(sym, "main.I", {RT0_STRING("Close"), NULL, &functype}, ...): sorted by name.
#define RT0_INTERFACE(sym, text, ...)                                                              \
	static const struct imethod rt0_methods_##sym[] = {__VA_ARGS__};                           \
	const struct interfacetype sym = {                                                         \
	    RT0_RTYPE(struct iface, kindInterface, text, .ptrdata = sizeof(struct iface)),         \
	    rt0_methods_##sym, NELEM(rt0_methods_##sym), NELEM(rt0_methods_##sym)};                \
	RT0_LINK("rt0_types", const struct rtype, sym, &sym.typ)
// RT0_ITAB(sym, inter, type, code, ...) defines void *sym[], a tab, and registers it.
#define RT0_ITAB(sym, inter_, type_, ...)                                                          \
	void *sym[] = {(void *)&type_, __VA_ARGS__};                                               \
	static const struct itab rt0_itab_##sym = {&inter_, sym};                                  \
	RT0_LINK("rt0_itabs", const struct itab, sym, &rt0_itab_##sym)
// RT0_STKOBJS(fn, {off, size, type}, ...) describes the frame of fn.
#define RT0_STKOBJS(fn, ...)                                                                       \
	static const struct stkobj rt0_objs_##fn[] = {__VA_ARGS__};                                \
	static const struct funcobjs rt0_funcobjs_##fn = {                                         \
	    (const void *)fn, rt0_objs_##fn, NELEM(rt0_objs_##fn)};                                \
	RT0_LINK("rt0_stkobjs", const struct funcobjs, fn, &rt0_funcobjs_##fn)

// The linker makes these, for each program and shared object its own.
extern const char __ehdr_start[] WEAK, _etext[] WEAK, _edata[] WEAK, __bss_start[] WEAK,
    _end[] WEAK;
extern const struct rtype *const __start_rt0_types[] WEAK, *const __stop_rt0_types[] WEAK;
extern const struct itab *const __start_rt0_itabs[] WEAK, *const __stop_rt0_itabs[] WEAK;
extern const struct funcobjs *const __start_rt0_stkobjs[] WEAK, *const __stop_rt0_stkobjs[] WEAK;

// RT0_MODULE(var, "name"): the record of the program or shared object that this is linked into.
// Read-only data lies between _etext and .data and counts as data.
#define RT0_MODULE(var, name_)                                                                     \
	static struct moduledata var = {MODULE_MAGIC, name_, __ehdr_start, _etext, _etext, _edata, \
	    __bss_start, _end, __start_rt0_types, __stop_rt0_types, __start_rt0_itabs,             \
	    __stop_rt0_itabs, __start_rt0_stkobjs, __stop_rt0_stkobjs, NULL, 0}

// ---- table.c: a table that readers need no lock for. Zero is empty. ----
struct table {
	struct mutex lock;
	struct slots *slots; // atomic: replaced by a larger one
};
typedef bool tableeq(const void *val, const void *arg);
const void *runtime_tablefind(struct table *t, uint64_t key, tableeq *eq, const void *arg);
const void *runtime_tableadd(
    struct table *t, uint64_t key, const void *val, tableeq *eq, const void *arg);

// ---- module.c ----
// addmodule makes md known; it must never go away. A second call does nothing. Before the boot and
// on threads that are not the runtime's (a constructor) it only registers, and boot or the next
// call does the rest; otherwise types and itabs are known when it returns. Throws on bad data.
void runtime_addmodule(struct moduledata *md);
const struct modulelist *runtime_activeModules(void);       // no lock; a list once seen stays valid
struct moduledata *runtime_findmoduledatap(const void *pc); // whose text pc is in, or NULL
const struct stkobj *runtime_stkobjs(const void *entry, size_t *n); // NULL: none known

// ---- type.c ----
// canontype returns the type that stands for all that are equal to t. No lock.
const struct rtype *runtime_canontype(const struct rtype *t);
bool runtime_typesEqual(const struct rtype *a, const struct rtype *b);
bool runtime_strequal(const struct string *a, const struct string *b); // NULL equals NULL

// ---- iface.c ----
// getitab returns the tab of (inter, type), made if need be. If type lacks a method: NULL with
// canfail, else a panic that names the method.
void **runtime_getitab(const struct interfacetype *inter, const struct rtype *type, bool canfail);
const struct itab *runtime_itabadd(const struct itab *it); // the one that is known from now on

// ---- boot, in this order. Each also takes in what has come since; addmodule holds a lock ----
void runtime_moduledataverify(void);
void runtime_modulesinit(void);
void runtime_typelinksinit(void);
void runtime_itabsinit(void);
void runtime_stkobjinit(void);

#pragma GCC visibility pop
#endif
