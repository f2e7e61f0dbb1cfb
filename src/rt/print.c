// SPDX-License-Identifier: BSD-3-Clause
// print.c: formatted output without allocation: the runtime's own print, and rt0_printf.
//
// One formatter writes into a buffer on the caller's stack, which is flushed when it is full and
// at the end: a print of the runtime is one write unless it is very long. Nothing here allocates,
// takes a lock that another file takes, or touches errno, so print works in throw, in signal
// handlers and on threads that have no g.
//
// printlock keeps the prints of one m together. It is a word that holds its owner, not a struct
// mutex: a signal handler must be able to see that the thread it interrupted has it already. All
// waiting is by sleeping a little: crossing prints are rare, and nothing is ever taken under it.
// By rank it is the last lock ("printlock" in lockrank.h).
//
// %f is exact: a double is an integer times a power of two, so it has finitely many decimal digits
// (at most 309 before the point and 1074 behind), and all of them are made, in base 1e9.
#include "../runtime.h"

enum {
	SYS_poll_ = 7,
	EINTR_ = 4,
	EAGAIN_ = 11,
	PRINTBUF = 512,   // bytes on the stack of whoever prints: gsignal's, too
	PRINTFBUF = 4096, // bytes that rt0_printf promises to write at once
	BASE = 1000000000,
	NINT = 36,   // words of nine digits before the point: 309 digits, and room for a carry
	NFRAC = 121, // behind the point: 1074 digits
};

struct out {
	char *buf;
	size_t cap, n;
	size_t total;                                   // made so far, whether it fitted or not
	long (*write)(int fd, const void *p, size_t n); // NULL: what does not fit is only counted
	int fd;
	long (*writeto)(void *to, const void *p, size_t n); // instead of write, if not NULL
	void *to;
	long err; // the first error of write, 0 or negative
};

struct spec {
	bool left, plus, space, zero, alt, upper;
	int width;
	int prec; // -1: not given
};

// ---- printlock ----

static uint64_t printowner; // atomic: 0 free; an m; or, odd, the thread id of a thread without g
static uint32_t printdepth; // owner only: how often more than once; 0 while free

// Whatever a signal handler does between any two steps here it undoes before it returns, so the
// interrupted thread finds depth as it left it.
void
runtime_printlock(void)
{
	struct g *gp = getg();
	uint64_t self;
	if (gp != NULL) {
		gp->m->locks++;
		self = (uintptr_t)gp->m;
	} else {
		self = runtime_gettid() << 1 | 1;
	}
	// Relaxed: only this thread can have stored self.
	if (atomic_loadrlx(&printowner) == self) {
		printdepth++;
		return;
	}
	// Acquire: pairs with the release in printunlock.
	for (int i = 0; !atomic_casacq(&printowner, 0, self); i++) {
		if (i < 30)
			procyield(30);
		else if (i < 60)
			runtime_osyield();
		else
			runtime_usleep(50);
	}
}

// printreset: in the child of a fork nobody is printing.
void
runtime_printreset(void)
{
	printowner = 0;
	printdepth = 0;
}

void
runtime_printunlock(void)
{
	if (printdepth > 0)
		printdepth--;
	else
		atomic_storerel(&printowner, 0); // pairs with the CAS in printlock
	struct g *gp = getg();
	if (gp != NULL)
		gp->m->locks--;
}

// ---- the buffer ----

static void
flush(struct out *o)
{
	if ((o->write != NULL || o->writeto != NULL) && o->n > 0) {
		long r = o->err != 0 ? 0 : o->writeto != NULL ? o->writeto(o->to, o->buf, o->n) : o->write(o->fd, o->buf, o->n);
		if (r < 0)
			o->err = r;
		o->n = 0;
	}
}

static void
put(struct out *o, const char *s, size_t n)
{
	o->total += n;
	while (n > 0) {
		if (o->n == o->cap) {
			flush(o);
			if (o->n == o->cap)
				return;
		}
		size_t room = o->cap - o->n;
		size_t k = n < room ? n : room;
		__builtin_memcpy(o->buf + o->n, s, k);
		o->n += k;
		s += k;
		n -= k;
	}
}

static void
pad(struct out *o, char c, long n)
{
	char block[32];
	if (n <= 0)
		return;
	__builtin_memset(block, c, sizeof block);
	for (; n > (long)sizeof block; n -= (long)sizeof block)
		put(o, block, sizeof block);
	put(o, block, (size_t)n);
}

// frame writes what comes before a number of len bytes (blanks, prefix, zeros) and returns how many
// blanks must follow it.
static long
frame(struct out *o, const struct spec *f, const char *prefix, long len, bool zero)
{
	long nprefix = (long)runtime_strlen(prefix);
	long fill = f->width - nprefix - len;
	if (!f->left && !zero)
		pad(o, ' ', fill);
	put(o, prefix, (size_t)nprefix);
	if (!f->left && zero)
		pad(o, '0', fill);
	return f->left ? fill : 0;
}

static const char *
signtext(const struct spec *f, bool neg)
{
	return neg ? "-" : f->plus ? "+" : f->space ? " " : "";
}

// ---- conversions ----

static void
putint(struct out *o, const struct spec *f, uint64_t v, unsigned base, const char *prefix)
{
	char digits[24];
	char *end = digits + sizeof digits, *p = end;
	const char *set = f->upper ? "0123456789ABCDEF" : "0123456789abcdef";
	for (; v != 0; v /= base)
		*--p = set[v % base];
	long n = end - p;
	long prec = f->prec < 0 ? 1 : f->prec;
	if (base == 8 && f->alt && prec <= n)
		prec = n + 1;
	long zeros = prec > n ? prec - n : 0;
	long after = frame(o, f, prefix, zeros + n, f->zero && f->prec < 0);
	pad(o, '0', zeros);
	put(o, p, (size_t)n);
	pad(o, ' ', after);
}

static void
putstr(struct out *o, const struct spec *f, const char *s)
{
	if (s == NULL)
		s = "(null)";
	size_t n = 0;
	while ((f->prec < 0 || n < (size_t)f->prec) && s[n] != 0) {
		n++;
		compiler_barrier(); // or the compiler makes this a call of strlen
	}
	long after = frame(o, f, "", (long)n, false);
	put(o, s, n);
	pad(o, ' ', after);
}

// A decimal number: w[first..NINT) before the point and w[NINT..end) behind, nine digits a word.
struct decimal {
	int first, end;
	uint32_t w[NINT + NFRAC];
};

// todecimal makes all digits of mant * 2^exp.
static void
todecimal(struct decimal *d, uint64_t mant, int exp)
{
	d->w[NINT - 1] = (uint32_t)(mant % BASE);
	d->w[NINT - 2] = (uint32_t)(mant / BASE); // mant < 2^53, so this is less than BASE
	int first = NINT - 2, end = NINT;
	// By 29 bits at a time: the carry of a word and a word together stay below 2^64.
	for (int left = exp; left > 0; left -= 29) {
		int s = left < 29 ? left : 29;
		uint64_t carry = 0;
		for (int i = end - 1; i >= first; i--) {
			uint64_t t = ((uint64_t)d->w[i] << s) + carry;
			d->w[i] = (uint32_t)(t % BASE);
			carry = t / BASE;
		}
		if (carry != 0)
			d->w[--first] = (uint32_t)carry;
	}
	int lo = first; // below it all words have become zero
	for (int left = -exp; left > 0; left -= 29) {
		int s = left < 29 ? left : 29;
		uint64_t rem = 0, mask = (1ull << s) - 1;
		for (int i = lo; i < end; i++) {
			uint64_t t = rem * BASE + d->w[i];
			d->w[i] = (uint32_t)(t >> s);
			rem = t & mask;
		}
		for (; rem != 0; rem &= mask) {
			rem *= BASE;
			d->w[end++] = (uint32_t)(rem >> s);
		}
		while (lo < end && d->w[lo] == 0)
			lo++;
	}
	while (first < NINT - 1 && d->w[first] == 0)
		first++;
	d->first = first;
	d->end = end;
}

static uint32_t
pow10u(int n)
{
	uint32_t p = 1;
	while (n-- > 0)
		p *= 10;
	return p;
}

// roundto rounds to prec digits behind the point, half to even, as the C library does.
static void
roundto(struct decimal *d, int prec)
{
	int i = NINT + prec / 9;
	if (i >= d->end)
		return;
	uint32_t unit = pow10u(9 - prec % 9); // one in the last digit that stays
	uint32_t rest = d->w[i] % unit;
	bool odd = unit == BASE ? d->w[i - 1] & 1 : d->w[i] / unit & 1;
	bool more = false;
	for (int k = i + 1; k < d->end; k++)
		more |= d->w[k] != 0;
	d->w[i] -= rest;
	d->end = i + 1;
	if (rest < unit / 2 || (rest == unit / 2 && !more && !odd))
		return;
	if (unit == BASE)
		d->w[--i]++;
	else
		d->w[i] += unit;
	for (; d->w[i] >= BASE; i--) {
		d->w[i] -= BASE;
		if (i == d->first)
			d->w[--d->first] = 0;
		d->w[i - 1]++;
	}
}

static void
putword(struct out *o, uint32_t v, int ndigits)
{
	char digits[9];
	for (int i = 8; i >= 0; i--, v /= 10)
		digits[i] = (char)('0' + v % 10);
	put(o, digits, (size_t)ndigits);
}

// Not inlined: its 650 bytes of stack are for those only who print a double.
static NOINLINE void
putfloat(struct out *o, const struct spec *f, double v)
{
	uint64_t bits;
	__builtin_memcpy(&bits, &v, sizeof bits);
	const char *sign = signtext(f, bits >> 63 != 0);
	uint64_t mant = bits & ((1ull << 52) - 1);
	int exp = (int)(bits >> 52 & 0x7ff);
	if (exp == 0x7ff) {
		const char *text =
		    mant != 0 ? (f->upper ? "NAN" : "nan") : (f->upper ? "INF" : "inf");
		long after = frame(o, f, sign, 3, false);
		put(o, text, 3);
		pad(o, ' ', after);
		return;
	}
	if (exp == 0)
		exp = 1;
	else
		mant |= 1ull << 52;
	int prec = f->prec < 0 ? 6 : f->prec;
	struct decimal d;
	todecimal(&d, mant, exp - 1075);
	roundto(&d, prec);

	int lead = 1; // digits of the first word
	for (uint32_t p = 10; lead < 9 && d.w[d.first] >= p; p *= 10)
		lead++;
	bool point = prec > 0 || f->alt;
	long len = lead + 9l * (NINT - 1 - d.first) + (point ? 1 : 0) + prec;
	long after = frame(o, f, sign, len, f->zero);
	char digits[9];
	uint32_t w = d.w[d.first];
	for (int i = lead - 1; i >= 0; i--, w /= 10)
		digits[i] = (char)('0' + w % 10);
	put(o, digits, (size_t)lead);
	for (int i = d.first + 1; i < NINT; i++)
		putword(o, d.w[i], 9);
	if (point)
		put(o, ".", 1);
	for (int i = NINT; i < d.end && prec > 0; i++) {
		int n = prec < 9 ? prec : 9;
		putword(o, d.w[i], n);
		prec -= n;
	}
	pad(o, '0', prec);
	pad(o, ' ', after);
}

// ---- the formatter ----

// number reads decimal digits; absurd widths are cut so that sums of them cannot overflow.
static int
number(const char **fmt)
{
	int n = 0;
	for (; **fmt >= '0' && **fmt <= '9'; (*fmt)++) {
		if (n < 100000000)
			n = n * 10 + (**fmt - '0');
	}
	return n;
}

// size reads h hh l ll z t j and returns the bytes of the integer that is meant. q and L (with
// integers) are eight bytes to everybody who knows them.
static int
size(const char **fmt)
{
	int n = 4;
	for (;; (*fmt)++) {
		switch (**fmt) {
		case 'h':
			n = n == 2 ? 1 : 2;
			break;
		case 'l':
		case 'z':
		case 't':
		case 'j':
		case 'q':
			n = 8;
			break;
		default:
			return n;
		}
	}
}

// clip cuts v to what an argument of n bytes can hold.
static uint64_t
clip(uint64_t v, int n)
{
	return n == 8 ? v : v & ((1ull << (8 * n)) - 1);
}

static int64_t
clipsigned(uint64_t v, int n)
{
	int s = 64 - 8 * n;
	return (int64_t)(v << s) >> s;
}

static const char *
flags(const char *fmt, struct spec *f)
{
	for (;; fmt++) {
		switch (*fmt) {
		case '-':
			f->left = true;
			break;
		case '+':
			f->plus = true;
			break;
		case ' ':
			f->space = true;
			break;
		case '0':
			f->zero = true;
			break;
		case '#':
			f->alt = true;
			break;
		default:
			return fmt;
		}
	}
}

static void
vformat(struct out *o, const char *fmt, __builtin_va_list ap)
{
	for (;;) {
		const char *start = fmt;
		while (*fmt != 0 && *fmt != '%')
			fmt++;
		put(o, start, (size_t)(fmt - start));
		if (*fmt == 0)
			return;
		start = fmt;
		struct spec f = {.prec = -1};
		fmt = flags(fmt + 1, &f);
		if (*fmt == '*') {
			f.width = __builtin_va_arg(ap, int);
			if (f.width < 0) {
				f.left = true;
				f.width = f.width == INT32_MIN ? INT32_MAX : -f.width;
			}
			fmt++;
		} else {
			f.width = number(&fmt);
		}
		if (*fmt == '.') {
			fmt++;
			if (*fmt == '*') {
				f.prec = __builtin_va_arg(ap, int);
				if (f.prec < 0)
					f.prec = -1;
				fmt++;
			} else {
				f.prec = number(&fmt);
			}
		}
		int n = size(&fmt);
		uint64_t u;
		int64_t i;
		char c;
		switch (*fmt) {
		case 'd':
		case 'i':
			u = n == 8 ? __builtin_va_arg(ap, uint64_t)
				   : __builtin_va_arg(ap, uint32_t);
			i = clipsigned(u, n);
			putint(o, &f, i < 0 ? -(uint64_t)i : (uint64_t)i, 10, signtext(&f, i < 0));
			break;
		case 'u':
		case 'x':
		case 'X':
		case 'o':
			u = n == 8 ? __builtin_va_arg(ap, uint64_t)
				   : __builtin_va_arg(ap, uint32_t);
			u = clip(u, n);
			f.upper = *fmt == 'X';
			const char *prefix = *fmt == 'o' || *fmt == 'u' || !f.alt || u == 0 ? ""
			    : f.upper                                                       ? "0X"
											    : "0x";
			putint(o, &f, u, *fmt == 'u' ? 10 : *fmt == 'o' ? 8 : 16, prefix);
			break;
		case 'p':
			putint(o, &f, (uintptr_t) __builtin_va_arg(ap, void *), 16, "0x");
			break;
		case 'c':
			c = (char)__builtin_va_arg(ap, int);
			long after = frame(o, &f, "", 1, false);
			put(o, &c, 1);
			pad(o, ' ', after);
			break;
		case 's':
			putstr(o, &f, __builtin_va_arg(ap, const char *));
			break;
		case 'F':
		case 'f':
			f.upper = *fmt == 'F';
			putfloat(o, &f, __builtin_va_arg(ap, double));
			break;
		case '%':
			put(o, "%", 1);
			break;
		case 0:
			put(o, start, (size_t)(fmt - start));
			return;
		default:
			// Shown as it stands, so that the mistake is seen. Its argument is unknown.
			put(o, start, (size_t)(fmt + 1 - start));
		}
		fmt++;
	}
}

// ---- who prints ----

// stderr may be a pipe that nobody reads. A write would then stop the thread for ever, with
// printlock, and a program that has crashed would hang instead of ending. So a print waits for
// room at most STDERRWAIT after the last byte that went out; what is printed while there is none
// is lost, until somebody reads again. Someone else's write between poll and ours can still block.
int64_t runtime_stderrwait = 30 * SEC; // ns; tests make it short
static int64_t waited;                 // printlock: ns that stderr has taken nothing

static bool
writable(int fd)
{
	struct {
		int fd;
		int16_t events, revents;
	} pfd = {fd, 4 /* POLLOUT */, 0};
	for (;;) {
		int ms = waited < runtime_stderrwait ? 50 : 0;
		long r = runtime_sys(SYS_poll_, (long)&pfd, 1, ms, 0, 0, 0);
		if (r > 0 || (r < 0 && r != -EINTR_))
			return true; // or an error, that write will tell
		if (ms == 0)
			return false;
		// A signal cuts a wait short: counted whole, or a stream of them would make it endless.
		waited += ms * MS;
	}
}

// writeall is one poll(2) and one write(2) when all goes well.
static long
writeall(int fd, const void *buf, size_t n)
{
	const char *p = buf;
	while (n > 0) {
		if (!writable(fd))
			return -EAGAIN_;
		long r = runtime_write(fd, p, n);
		if (r > 0) {
			p += r;
			n -= (size_t)r;
			waited = 0;
		} else if (r == -EAGAIN_) {
			// Somebody made it non-blocking, and was quicker.
			runtime_usleep(1000);
			waited += MS;
			if (waited >= runtime_stderrwait)
				return r;
		} else if (r != -EINTR_) {
			return r;
		}
	}
	return 0;
}

void
runtime_vprint(const char *fmt, __builtin_va_list ap)
{
	char buf[PRINTBUF];
	struct out o = {.buf = buf, .cap = sizeof buf, .write = writeall, .fd = 2};
	runtime_printlock();
	vformat(&o, fmt, ap);
	flush(&o);
	runtime_printunlock();
}

void
runtime_print(const char *fmt, ...)
{
	__builtin_va_list ap;
	__builtin_va_start(ap, fmt);
	runtime_vprint(fmt, ap);
	__builtin_va_end(ap);
}

int
runtime_vsnprintf(char *buf, size_t n, const char *fmt, __builtin_va_list ap)
{
	struct out o = {.buf = buf, .cap = n > 0 ? n - 1 : 0};
	vformat(&o, fmt, ap);
	if (n > 0)
		buf[o.n] = 0;
	return o.total > INT32_MAX ? INT32_MAX : (int)o.total;
}

int
runtime_snprintf(char *buf, size_t n, const char *fmt, ...)
{
	__builtin_va_list ap;
	__builtin_va_start(ap, fmt);
	int r = runtime_vsnprintf(buf, n, fmt, ap);
	__builtin_va_end(ap);
	return r;
}

// vprintto gives its output to write in pieces, and returns how much that was; an error of write is write's to keep.
long
runtime_vprintto(long (*write)(void *to, const void *p, size_t n), void *to, const char *fmt, __builtin_va_list ap)
{
	char buf[PRINTBUF];
	struct out o = {.buf = buf, .cap = sizeof buf, .writeto = write, .to = to};
	vformat(&o, fmt, ap);
	flush(&o);
	return (long)o.total;
}

int
rt0_printf(const char *fmt, ...)
{
	char buf[PRINTFBUF];
	struct out o = {.buf = buf, .cap = sizeof buf, .write = rt0_write, .fd = 1};
	__builtin_va_list ap;
	__builtin_va_start(ap, fmt);
	vformat(&o, fmt, ap);
	flush(&o);
	__builtin_va_end(ap);
	if (o.err < 0)
		return (int)o.err;
	return o.total > INT32_MAX ? INT32_MAX : (int)o.total;
}

long
rt0_write(int fd, const void *buf, size_t n)
{
	// Only a goroutine with a processor to give away tells the scheduler: not g0, not a caller
	// that holds a lock of the runtime, not a thread that is not ours.
	struct g *gp = getg();
	bool user = gp != NULL && gp == gp->m->curg && gp->m->p != NULL && gp->m->locks == 0;
	const char *p = buf;
	size_t left = n;
	long r = 0;
	if (user)
		rt0_entersyscall();
	while (left > 0) {
		r = runtime_write(fd, p, left);
		if (r > 0) {
			p += r;
			left -= (size_t)r;
		} else if (r != -EINTR_) {
			break;
		}
	}
	if (user)
		rt0_exitsyscall();
	return left > 0 && r < 0 ? r : (long)(n - left);
}

// ---- strings ----

size_t
runtime_strlen(const char *s)
{
	size_t n = 0;
	while (s[n] != 0) {
		n++;
		compiler_barrier(); // or the compiler makes this a call of strlen
	}
	return n;
}

int
runtime_strcmp(const char *a, const char *b)
{
	while (*a != 0 && *a == *b) {
		a++;
		b++;
	}
	return (unsigned char)*a - (unsigned char)*b;
}

bool
runtime_hasprefix(const char *s, const char *prefix)
{
	while (*prefix != 0) {
		if (*s++ != *prefix++)
			return false;
	}
	return true;
}

const char *
rt0_version(void)
{
	return RT0_VERSION;
}

const char *
rt0_getenv(const char *name)
{
	return runtime_gogetenv(name);
}
