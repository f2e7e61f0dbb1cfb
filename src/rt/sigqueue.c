// SPDX-License-Identifier: BSD-3-Clause
// sigqueue.c: signals as elements of channels: notify, stop, ignore, reset.
//
// A signal's way: sighandler (any thread, any moment) calls sigsend, which sets the signal's bit in
// sig.mask; one system goroutine, the receiver, takes all bits and offers each signal to the
// channels that want it. The receiver sleeps in the kernel, with a thread of its own and no p, so a
// signal is not lost or late when all else is parked. It is there while some signal is wanted, and
// ends when none is: a thread in a system call would keep checkdead from ever seeing a deadlock.
//
// The wake-up dance: sender: bit into mask; wake = 1 by exchange, and if it was 0, futex wake.
// Receiver: wake = 0; takes mask; if it got nothing, futex sleep while wake == 0. A bit that
// comes after the take is followed by wake = 1, which the kernel sees before it lets the receiver
// sleep.
//
// Stopping is exact: a signal that crosses with Stop goes to the channel or has its effect as if it
// had come later. First the kernel is told, then wanted is cleared; senders that saw wanted set are
// waited for (delivering), then the receiver (mask, busy); until then the channel stays on
// the list, marked stopping, and gets what is on its way.
//   sigsend:   delivering++; wanted; mask |= bit; wake; delivering--
//   stop:      wanted &= ~bit; then waits until delivering, mask and busy, in this order, are 0
//   receiver:  busy = 1; wake = 0; takes mask; ...; busy = 0
// All of these are sequentially consistent. Model: sigqueue.pml.
#include "../runtime.h"
#include "../os/linux/linux.h"

#define BIT(s) (1ul << ((s) - 1))

struct sighandler {
	struct rt0_chan *c;
	uint64_t want;       // lock; bit n-1: signal n
	const void *stopper; // who stops it and will take it off the list; NULL: in use
	struct sighandler *next;
};

static struct {
	// atomic, signal handlers use them:
	uint64_t mask;       // arrived, and not taken by the receiver
	uint64_t wanted;     // some channel wants it; changes under lock
	uint64_t ignored;    // by signal_ignore; changes under lock
	uint32_t wake;       // futex: 1: look at mask again
	uint32_t delivering; // senders between their look at wanted and the end
	uint32_t busy;       // the receiver is not asleep, or has not started yet
	// lock:
	rt0_mutex lock;
	struct sighandler *handlers;
	bool receiving; // the receiver exists
} sig;

// ---- the handler's side ----

NOSANITIZE static void
wakereceiver(void)
{
	if (atomic_xchg(&sig.wake, 1) == 0)
		runtime_syscall6(SYS_futex, (long)&sig.wake, FUTEX_WAKE_PRIVATE, 1, 0, 0, 0);
}

// sigforked: the receiver has stayed in the parent. What was asked for acts again as if nobody had, or a child
// that waits for its exec could not be ended by SIGTERM. Alone: plain stores.
void
runtime_sigforked(void)
{
	sig.wanted = 0;
	sig.mask = 0;
	sig.delivering = 0;
}

NOSANITIZE bool
runtime_sigsend(int32_t s)
{
	// A child between fork and sigforked, or of vfork, whose memory is the parent's: nobody to receive.
	if (runtime_isforkchild())
		return false;
	atomic_xadd(&sig.delivering, 1);
	bool want = (atomic_load(&sig.wanted) & BIT(s)) != 0;
	if (want && (atomic_or(&sig.mask, BIT(s)) & BIT(s)) == 0)
		wakereceiver();
	atomic_xadd(&sig.delivering, -1);
	return want;
}

NOSANITIZE bool
runtime_signal_ignored(int32_t s)
{
	return (atomic_load(&sig.ignored) & BIT(s)) != 0;
}

bool
runtime_sigwatching(void)
{
	return atomic_load(&sig.wanted) != 0;
}

// ---- the receiver ----

static void
process(int s)
{
	rt0_mutex_lock(&sig.lock);
	for (struct sighandler *h = sig.handlers; h != NULL; h = h->next)
		if ((h->want & BIT(s)) != 0)
			rt0_chan_try_send(h->c, &s); // full: dropped, by contract
	rt0_mutex_unlock(&sig.lock);
}

// lastsignal ends the receiver if nothing is wanted, and nothing can be on its way any more.
static bool
lastsignal(void)
{
	bool last = false;
	rt0_mutex_lock(&sig.lock);
	if (atomic_load(&sig.wanted) == 0 && atomic_load(&sig.delivering) == 0 &&
	    atomic_load(&sig.mask) == 0) {
		sig.receiving = false;
		atomic_store(&sig.busy, 0);
		last = true;
	}
	rt0_mutex_unlock(&sig.lock);
	return last;
}

static void
receiver(void *arg)
{
	(void)arg;
	uint64_t unblocked = 0;
	for (;;) {
		atomic_store(&sig.busy, 1);
		atomic_xchg(&sig.wake, 0);
		uint64_t m = atomic_xchg(&sig.mask, 0);
		for (uint64_t left = m; left != 0; left &= left - 1)
			process(__builtin_ctzl(left) + 1);
		if (m != 0)
			continue;
		uint64_t wanted = atomic_load(&sig.wanted);
		if (wanted == 0) {
			if (lastsignal())
				break;
			rt0_gosched();
			continue;
		}
		// A signal that was blocked when the program started is blocked on all threads:
		// this one takes it.
		uint64_t more = runtime_sigunblock(wanted & ~unblocked);
		if (more != 0 && unblocked == 0)
			runtime_lockOSThread();
		unblocked |= more;
		atomic_store(&sig.busy, 0);
		if (atomic_load(&sig.wake) != 0)
			continue;
		runtime_entersyscallblock();
		runtime_futexsleep(&sig.wake, 0, -1);
		runtime_exitsyscall();
	}
	if (unblocked != 0) {
		runtime_initsigmask(false);
		runtime_unlockOSThread();
	}
}

// startreceiver makes the receiver, if there is none. Under lock.
static int
startreceiver(void)
{
	if (sig.receiving)
		return 0;
	struct g *gp = getg();
	struct g *newg =
	    runtime_newproc1(receiver, NULL, gp, (uintptr_t)__builtin_return_address(0), 0);
	if (newg == NULL)
		return -ENOMEM;
	sig.receiving = true;
	atomic_store(&sig.busy, 1);
	newg->issystem = true;
	atomic_xadd(&sched.ngsys, 1);
	runtime_runqput(gp->m->p, newg, false);
	runtime_wakeafterput();
	return 0;
}

// ---- the calls, on a goroutine ----

enum sigop { OPNOTIFY, OPSTOP, OPIGNORE, OPRESET };
struct sigcall {
	enum sigop op;
	struct rt0_chan *c;
	uint64_t set;
	int result;
};

static int
notify(struct rt0_chan *c, uint64_t set)
{
	runtime_grow();
	rt0_mutex_lock(&sig.lock);
	int r = startreceiver();
	struct sighandler *h = sig.handlers;
	while (h != NULL && (h->c != c || h->stopper != NULL))
		h = h->next;
	if (r == 0 && h == NULL) {
		h = rt0_alloc(sizeof *h, 0);
		*h = (struct sighandler){.c = c, .next = sig.handlers};
		sig.handlers = h;
	}
	for (uint64_t left = r == 0 ? set : 0; left != 0; left &= left - 1) {
		int s = __builtin_ctzl(left) + 1;
		if ((atomic_load(&sig.wanted) & BIT(s)) == 0) {
			long err = runtime_sigenable(s);
			if (err < 0) {
				r = (int)err;
				break;
			}
			atomic_and(&sig.ignored, ~BIT(s));
		}
		h->want |= BIT(s);
		atomic_or(&sig.wanted, BIT(s));
	}
	wakereceiver(); // it may have signals to unblock
	rt0_mutex_unlock(&sig.lock);
	return r;
}

// unwant gives back those of set that no channel wants any more. Under lock.
static void
unwant(uint64_t set)
{
	for (struct sighandler *h = sig.handlers; h != NULL; h = h->next)
		if (h->stopper == NULL)
			set &= ~h->want;
	for (uint64_t left = set & atomic_load(&sig.wanted); left != 0; left &= left - 1)
		runtime_sigdisable(__builtin_ctzl(left) + 1);
	// After the kernel: whoever runs late and finds it clear raises the signal again.
	atomic_and(&sig.wanted, ~set);
}

// stop ends what notify began: for c, or for all channels (NULL), of the signals in set.
static void
stop(struct rt0_chan *c, uint64_t set)
{
	struct sighandler *mine = NULL; // stopper of this call: its address is unique
	rt0_mutex_lock(&sig.lock);
	for (struct sighandler *h = sig.handlers; h != NULL; h = h->next) {
		if ((c != NULL && h->c != c) || h->stopper != NULL || (h->want & set) == 0)
			continue;
		if ((h->want & ~set) != 0) {
			// Part of it goes on: in front, where this loop will not come by.
			struct sighandler *rest = rt0_alloc(sizeof *rest, 0);
			*rest = (struct sighandler){
			    .c = h->c, .want = h->want & ~set, .next = sig.handlers};
			sig.handlers = rest;
			h->want &= set;
		}
		h->stopper = &mine;
	}
	unwant(set);
	rt0_mutex_unlock(&sig.lock);

	while (atomic_load(&sig.delivering) != 0)
		rt0_gosched();
	while (atomic_load(&sig.mask) != 0 || atomic_load(&sig.busy) != 0)
		rt0_gosched();

	rt0_mutex_lock(&sig.lock);
	for (struct sighandler **l = &sig.handlers; *l != NULL;) {
		struct sighandler *h = *l;
		if (h->stopper == &mine || h->want == 0) {
			*l = h->next;
			rt0_free(h);
		} else {
			l = &h->next;
		}
	}
	if (sig.receiving && atomic_load(&sig.wanted) == 0)
		wakereceiver(); // to its end
	rt0_mutex_unlock(&sig.lock);
}

static int
ignore(uint64_t set)
{
	int r = 0;
	rt0_mutex_lock(&sig.lock);
	for (struct sighandler *h = sig.handlers; h != NULL; h = h->next)
		h->want &= ~set;
	for (uint64_t left = set; left != 0 && r == 0; left &= left - 1) {
		int s = __builtin_ctzl(left) + 1;
		atomic_or(&sig.ignored, BIT(s));
		r = (int)runtime_sigignore(s);
		atomic_and(&sig.wanted, ~BIT(s));
	}
	rt0_mutex_unlock(&sig.lock);
	stop(NULL, 0); // takes empty entries off, and lets the receiver end
	return r;
}

static void
reset(uint64_t set)
{
	stop(NULL, set);
	rt0_mutex_lock(&sig.lock);
	for (uint64_t left = set & atomic_load(&sig.ignored); left != 0; left &= left - 1) {
		int s = __builtin_ctzl(left) + 1;
		runtime_sigdisable(s);
		atomic_and(&sig.ignored, ~BIT(s));
	}
	rt0_mutex_unlock(&sig.lock);
}

static void
sigcall_g(void *arg)
{
	struct sigcall *a = arg;
	switch (a->op) {
	case OPNOTIFY: a->result = notify(a->c, a->set); break;
	case OPSTOP: stop(a->c, a->set); break;
	case OPIGNORE: a->result = ignore(a->set); break;
	case OPRESET: reset(a->set); break;
	}
}

static int
sigcall(enum sigop op, struct rt0_chan *c, uint64_t set)
{
	struct sigcall a = {op, c, set, 0};
	if (getg() != NULL)
		sigcall_g(&a);
	else if (runtime_callback(sigcall_g, &a) < 0)
		return -ENOTCONN;
	return a.result;
}

// sigset makes a set of sigs; least is what each must be. False: one is not.
static bool
sigset(const int *sigs, int n, int least, uint64_t *set)
{
	*set = 0;
	for (int i = 0; i < n; i++) {
		if (runtime_sigcan(sigs[i]) < least)
			return false;
		*set |= BIT(sigs[i]);
	}
	// All: but 34, which is the libc's own in some; who wants it there says so.
	for (int s = 1; n == 0 && s < NSIG; s++)
		if (s != 34 && runtime_sigcan(s) >= least)
			*set |= BIT(s);
	return n >= 0;
}

int
rt0_signal_notify(struct rt0_chan *c, const int *sigs, int n)
{
	uint64_t set;
	if (c == NULL)
		runtime_panicstring("os/signal: Notify using nil channel");
	if (runtime_chanelemsize(c) != sizeof(int) || !sigset(sigs, n, SIGSENT, &set))
		return -EINVAL;
	return sigcall(OPNOTIFY, c, set);
}

int
rt0_signal_stop(struct rt0_chan *c)
{
	return c == NULL ? 0 : sigcall(OPSTOP, c, ~0ul);
}

int
rt0_signal_ignore(const int *sigs, int n)
{
	uint64_t set;
	return sigset(sigs, n, SIGANY, &set) ? sigcall(OPIGNORE, NULL, set) : -EINVAL;
}

int
rt0_signal_reset(const int *sigs, int n)
{
	uint64_t set;
	return sigset(sigs, n, SIGSENT, &set) ? sigcall(OPRESET, NULL, set) : -EINVAL;
}

bool
rt0_signal_ignored(int s)
{
	return runtime_sigcan(s) != SIGNO && runtime_sigisignored(s);
}
