// SPDX-License-Identifier: BSD-3-Clause
// boot.c: from rt0_go (asm_amd64.s) to main.main: args, check, schedinit, runtime_main.
//
// The order is the contract's: each step may rely on those above it, and a test reads it back from the boot
// trace (GODEBUG=boottrace=1).
#include "../runtime.h"
#include "../os/linux/linux.h"
#include "../types/type.h"

struct schedt sched BOOTDATA = {.maxmcount = 10000};
struct g runtime_g0 BOOTDATA;
struct m runtime_m0 BOOTDATA;
__thread struct g *runtime_tls_g __attribute__((tls_model("initial-exec")));
__thread struct m *runtime_tls_m __attribute__((tls_model("initial-exec")));
int32_t runtime_argc BOOTDATA;
char **runtime_argv BOOTDATA;
const struct hostedops *runtime_hosted BOOTDATA;
void (*runtime_main_main)(void) BOOTDATA; // the program; set before rt0_go
struct cpufeatures runtime_cpu;
uint64_t runtime_ticks0 BOOTDATA; // time stamp counter at boot
uintptr_t runtime_bootsp BOOTDATA; // rt0_go's own, for its return


// check proves what the rest of the code takes for granted about the compiler and the machine.
void
runtime_check(void)
{
	runtime_bootmark("check");
	static_assert(sizeof(uintptr_t) == 8 && sizeof(void *) == 8 && sizeof(int) == 4 && sizeof(long) == 8, "LP64");
	static_assert(sizeof(float) == 4 && sizeof(double) == 8 && sizeof(bool) == 1, "types");
	struct x1 {
		uint8_t x;
	};
	struct y1 {
		struct x1 x1;
		uint8_t y;
	};
	static_assert(sizeof(struct x1) == 1 && sizeof(struct y1) == 2 && offsetof(struct y1, y) == 1, "struct alignment");
	uint32_t u = 1;
	if (!atomic_cas(&u, 1u, 2u) || u != 2)
		runtime_throw("cas1");
	if (atomic_cas(&u, 5u, 6u) || u != 2)
		runtime_throw("cas2");
	u = 0xffffffff;
	if (!atomic_cas(&u, 0xffffffffu, 0xfffffffeu) || u != 0xfffffffe)
		runtime_throw("cas3");
	uint64_t w = 1ul << 40;
	if (atomic_xadd(&w, 1ul << 40) != 2ul << 40 || atomic_xchg(&w, 7ul) != 2ul << 40 || atomic_loadacq(&w) != 7)
		runtime_throw("atomic64");
	uint8_t b[4] = {1, 1, 1, 1};
	atomic_or(&b[1], (uint8_t)0xf0);
	if (b[0] != 1 || b[1] != 0xf1 || b[2] != 1)
		runtime_throw("atomicor8");
	atomic_and(&b[1], (uint8_t)0x1);
	if (b[1] != 1 || b[2] != 1)
		runtime_throw("atomicand8");
	volatile double nan, inf;
	__builtin_memcpy((void *)&nan, &(uint64_t){0x7ff8000000000001}, 8);
	__builtin_memcpy((void *)&inf, &(uint64_t){0x7ff0000000000000}, 8);
	if (nan == nan || !(nan != nan) || nan < inf || nan > inf)
		runtime_throw("float64nan");
	if (!(inf == inf) || !(inf > 1e308) || !(-inf < -1e308))
		runtime_throw("float64inf");
	if ((uintptr_t)__builtin_frame_address(0) % 16 != 0)
		runtime_throw("stack alignment");
}

void
runtime_args(int32_t argc, char **argv)
{
	runtime_bootmark("args");
	runtime_argc = argc;
	runtime_argv = argv;
	runtime_sysargs(argc, argv);
}

uint8_t runtime_isIntel, runtime_lfenceBeforeRdtsc; // only Intel promises that LFENCE orders RDTSC
uint32_t runtime_processorVersionInfo;

// cpuinit reads CPUID, when somebody first needs to know. Idempotent: two threads may do it at once.
void
runtime_cpuinit(void)
{
	uint32_t max, a, b, c, d, xa = 0, xd;
	__asm__("cpuid" : "=a"(max), "=b"(b), "=c"(c), "=d"(d) : "a"(0), "c"(0));
	bool intel = b == 0x756e6547 && d == 0x49656e69 && c == 0x6c65746e; // GenuineIntel
	runtime_isIntel = runtime_lfenceBeforeRdtsc = intel;
	if (max == 0)
		return;
	__asm__("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "a"(1), "c"(0));
	runtime_processorVersionInfo = a;
	if (c & 1u << 27) // OSXSAVE
		__asm__("xgetbv" : "=a"(xa), "=d"(xd) : "c"(0));
	bool ymm = (xa & 6) == 6; // the kernel saves them
	runtime_cpu = (struct cpufeatures){
	    .sse3 = c & 1, .pclmulqdq = c >> 1 & 1, .ssse3 = c >> 9 & 1, .fma = ymm && (c >> 12 & 1), .sse41 = c >> 19 & 1,
	    .sse42 = c >> 20 & 1, .popcnt = c >> 23 & 1, .aes = c >> 25 & 1, .avx = ymm && (c >> 28 & 1),
	};
}

// schedinit runs on g0, alone. Locks that it takes are for those who check that they are held.
void
runtime_schedinit(void)
{
	runtime_bootmark("schedinit/lockinit");
	runtime_lockinit(&sched.lock, LOCKRANK_SCHED);
	runtime_lockinit(&sched.sysmonlock, LOCKRANK_SYSMON);
	runtime_lockinit(&sched.extralock, LOCKRANK_EXTRAM);
	runtime_lockinit(&sched.newmlock, LOCKRANK_LEAF);
	runtime_g0.issystem = true;
	sched.iscgo = runtime_hosted != NULL;
	runtime_bootmark("schedinit/worldStopped");
	atomic_storerlx(&sched.gcwaiting, 0); // nobody else exists: the world is stopped by nature
	runtime_bootmark("schedinit/ticks");
	runtime_ticks0 = cputicks(); // its rate is measured by who needs it: boottrace.c
	runtime_bootmark("schedinit/moduledataverify");
	runtime_moduledataverify();
	runtime_bootmark("schedinit/stackinit");
	runtime_stackinit();
	runtime_bootmark("schedinit/randinit");
	runtime_randinit(); // before malloc, which wants random numbers
	runtime_bootmark("schedinit/mallocinit");
	// The heap's tables are made by the first allocation: many a program makes none (malloc.c).
	runtime_bootmark("schedinit/godebug");
	runtime_earlydebugvars();
	runtime_bootmark("schedinit/cpuinit");
	// Before alginit, and as late: cpuinit runs when the features are first asked for.
	runtime_bootmark("schedinit/alginit");
	// Before any map: by the first hash (alg.c).
	runtime_bootmark("schedinit/mcommoninit");
	runtime_mcommoninit(&runtime_m0, -1);
	runtime_bootmark("schedinit/modulesinit");
	runtime_modulesinit();
	runtime_bootmark("schedinit/typelinksinit");
	runtime_typelinksinit();
	runtime_bootmark("schedinit/itabsinit");
	runtime_itabsinit();
	runtime_bootmark("schedinit/stkobjinit");
	runtime_stkobjinit();
	runtime_bootmark("schedinit/sigsave");
	runtime_sigsave();
	runtime_bootmark("schedinit/goargs");
	runtime_goargs();
	runtime_bootmark("schedinit/goenvs");
	runtime_goenvs();
	runtime_bootmark("schedinit/secure");
	// What a setuid program takes from its environment has been cut by goenvs, and GOTRACEBACK is
	// none: env.c.
	runtime_bootmark("schedinit/checkfds");
	runtime_checkfds();
	runtime_bootmark("schedinit/parsedebugvars");
	runtime_parsedebugvars();
	runtime_bootmark("schedinit/gcinit");
	runtime_gcinit();
	runtime_bootmark("schedinit/gcrash");
	// The crash stack is static: panic.c.
	runtime_bootmark("schedinit/procresize");
	if (*runtime_gogetenvor("GOMAXPROCS", "") != 0)
		sched.wantprocs = runtime_gomaxprocsenv(sched.ncpu);
	runtime_lock(&sched.lock);
	struct p *runnable = runtime_procresize(1); // the others come with the first go statement: grow
	runtime_unlock(&sched.lock);
	if (runnable != NULL)
		runtime_throw("unknown runnable goroutine during bootstrap");
	runtime_bootmark("schedinit/worldStarted");
}

void runtime_newmain(void (*fn)(void *)) HIDDEN;

// restart boots again after rt0_stop, on a new thread: the processors, the heap and the stacks are
// still there, threads and goroutines are not.
void
runtime_restart(void)
{
	struct g *gsignal = runtime_m0.gsignal;
	runtime_memclr(&runtime_m0, sizeof runtime_m0);
	runtime_m0.gsignal = gsignal;
	runtime_m0.g0 = &runtime_g0;
	runtime_m0.tls = (uintptr_t *)&runtime_tls_g;
	uintptr_t sp = (uintptr_t)__builtin_frame_address(0);
	runtime_g0.stack = (struct stack){sp - STACKSYSTEM_WINDOW, sp};
	runtime_g0.stackguard0 = runtime_g0.stackguard1 = runtime_g0.stack.lo;
	setg(&runtime_g0);
	runtime_mcommoninit(&runtime_m0, -1);
	runtime_lock(&sched.lock);
	struct p *pp = runtime_pidleget();
	runtime_unlock(&sched.lock);
	runtime_acquirep(pp);
	runtime_newmain(runtime_main);
	runtime_mstart();
}

// main is the main goroutine: init tasks, then the program, with the main thread to itself until main.main.
void
runtime_main(void *arg)
{
	(void)arg;
	runtime_bootmark("runtime_main");
	atomic_storerel(&sched.mainstarted, true); // newproc may start threads from here on
	if (debug.schedtrace > 0)
		runtime_grow();
	if (sched.grown) // restarted; timers may be set, whose goroutines need sysmon
		runtime_startsysmon();
	runtime_lockOSThread();
	if (getg()->m != &runtime_m0)
		runtime_throw("runtime.main not on m0");
	runtime_bootmark("runtime_main/doinit");
	runtime_doinit();
	runtime_unlockOSThread();
	runtime_bootmark("main");
	runtime_bootdone();
	runtime_main_main();
	if (!sched.islibrary)
		runtime_exitprocess(0);
}
