// SPDX-License-Identifier: BSD-3-Clause
// bootsvg.c: GODEBUG=boottrace=2: the boot as a picture, one row a step, to one time scale.
//
// From top to bottom: the total; one strip with the phases to scale and their legend; then a row
// a step. Every text has a column or a row of its own, so no two can meet whatever the times are:
// names on the left, bars in the middle, duration and share on the right. A bar shorter than a
// pixel and a half is drawn that wide.
//
// Runs once, on the boot thread, and writes through one static buffer.
#include "boottrace.h"

enum {
	WIDTH = 1180,
	MARGIN = 32,
	NAMEX = 48,   // left end of the names
	CHARTX = 292, // the time scale runs from here
	CHARTW = 660,
	TOOKX = 1056, // right end of the durations
	SHAREX = 1136,
	STRIPY = 92,
	STRIPH = 26,
	LEGENDY = 142,
	CHARTY = 206, // the first row
	ROWH = 21,
	HEADH = 30,
	GAPH = 12,                                          // between two phases
	NAMEMAX = 27,                                       // letters of a name before it is cut
	O_CREATE_ = 01 | 0100 | 01000 | 0400000 | 02000000, // WRONLY CREAT TRUNC NOFOLLOW CLOEXEC
};

static const char *const colour[NPHASE] = {
    "#3b6fb6",
    "#e08a1e",
    "#8a63b8",
    "#2f9e74",
    "#d1495b",
    "#6b7280",
};

static struct {
	int fd;
	long err;
	size_t n;
	char buf[4096];
} svg;

static void
flush(void)
{
	for (size_t at = 0; at < svg.n && svg.err == 0;) {
		long r = runtime_write(svg.fd, svg.buf + at, svg.n - at);
		if (r > 0)
			at += (size_t)r;
		else if (r != -4) // EINTR
			svg.err = r == 0 ? -5 : r;
	}
	svg.n = 0;
}

PRINTF(1, 2)
static void
emit(const char *fmt, ...)
{
	if (sizeof svg.buf - svg.n < 1024)
		flush();
	__builtin_va_list ap;
	__builtin_va_start(ap, fmt);
	int k = runtime_vsnprintf(svg.buf + svg.n, sizeof svg.buf - svg.n, fmt, ap);
	__builtin_va_end(ap);
	size_t room = sizeof svg.buf - svg.n - 1;
	svg.n += (size_t)k < room ? (size_t)k : room;
}

// text writes s as XML: cut after max letters, and whatever could be markup or is no ASCII shown
// harmlessly.
static void
text(const char *s, int max)
{
	for (int i = 0; s[i] != 0; i++) {
		if (i == max) {
			emit("…");
			return;
		}
		switch (s[i]) {
		case '<':
			emit("&lt;");
			break;
		case '>':
			emit("&gt;");
			break;
		case '&':
			emit("&amp;");
			break;
		case '"':
			emit("&quot;");
			break;
		default:
			emit("%c", s[i] < ' ' || s[i] > '~' ? '?' : s[i]);
		}
	}
}

// duration writes us with three significant digits and the unit that reads best.
static void
duration(double us)
{
	bool ms = us >= 1000;
	double v = ms ? us / 1000 : us;
	int prec = v < 9.995 ? 2 : v < 99.95 ? 1 : 0;
	emit("%.*f %s", prec, v, ms ? "ms" : "µs");
}

// tick returns a step of 1, 2 or 5 times a power of ten that divides total in 5 to 12 parts.
static double
tick(double total)
{
	double t = 0.001;
	for (int i = 0; total / t > 12; i++)
		t *= i % 3 == 1 ? 2.5 : 2;
	return t;
}

static const char *
basename(const char *path)
{
	const char *base = path;
	for (; *path != 0; path++) {
		if (*path == '/' && path[1] != 0)
			base = path + 1;
	}
	return base;
}

// shortname is the name of a step below the heading of its phase.
static const char *
shortname(const struct bootstep *s)
{
	const char *p = s->step;
	while (*p != 0 && *p != '/')
		p++;
	return *p == '/' && p[1] != 0 ? p + 1 : s->step;
}

// section: init tasks are drawn in their own colour under the heading of runtime_main.
static enum bootphase
section(const struct bootstep *s)
{
	return s->phase == PhaseInit ? PhaseMain : s->phase;
}

static bool
opens(const struct boottrace *t, int i)
{
	return i == 0 || section(&t->step[i]) != section(&t->step[i - 1]);
}

static double
xof(const struct boottrace *t, double us)
{
	return CHARTX + CHARTW * us / t->total;
}

static void
share(const struct boottrace *t, double us, int y)
{
	emit("<text class=\"r s\" x=\"%d\" y=\"%d\">%.1f %%</text>\n", SHAREX, y,
	    100 * us / t->total);
}

static void
head(const struct boottrace *t, int height)
{
	emit("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\""
	     " viewBox=\"0 0 %d %d\">\n",
	    WIDTH, height, WIDTH, height);
	emit("<style>text{font:13px 'DejaVu Sans',Verdana,'Segoe UI',sans-serif;fill:#1f2933}"
	     ".h{font-size:24px;font-weight:bold}.b{font-weight:bold}.s{fill:#697586}"
	     ".r{text-anchor:end}.m{text-anchor:middle;font-size:12px;fill:#697586}</style>\n"
	     "<rect width=\"100%%\" height=\"100%%\" fill=\"#ffffff\"/>\n");
	emit("<text class=\"h\" x=\"%d\" y=\"48\">rt0 boots in ", MARGIN);
	duration(t->total);
	emit("</text>\n<text class=\"s\" x=\"%d\" y=\"74\">", MARGIN);
	if (runtime_argv != NULL && runtime_argv[0] != NULL) {
		text(basename(runtime_argv[0]), 40);
		emit(": ");
	}
	int longest = 0;
	for (int i = 1; i < t->n; i++) {
		if (t->step[i].took > t->step[longest].took)
			longest = i;
	}
	emit(
	    "%d steps from rt0_go to main, GOMAXPROCS=%d. The longest is ", t->n, sched.gomaxprocs);
	text(t->step[longest].step, 40);
	text(t->step[longest].name, 40);
	emit(": ");
	duration(t->step[longest].took);
	emit("</text>\n");
}

// strip draws the phases on one line, and the legend: all that one glance can take in.
static void
strip(const struct boottrace *t)
{
	double scale = (double)(SHAREX - MARGIN) / t->total;
	for (int i = 0; i < t->n;) {
		int j = i;
		double took = 0;
		for (; j < t->n && t->step[j].phase == t->step[i].phase; j++)
			took += t->step[j].took;
		emit("<rect x=\"%.2f\" y=\"%d\" width=\"%.2f\" height=\"%d\" fill=\"%s\"/>\n",
		    MARGIN + scale * t->step[i].start, STRIPY, scale * took, STRIPH,
		    colour[t->step[i].phase]);
		i = j;
	}
	int shown = 0, at = 0;
	for (int p = 0; p < NPHASE; p++)
		shown += t->phase[p] > 0;
	for (int p = 0; p < NPHASE; p++) {
		if (t->phase[p] <= 0)
			continue;
		// What the strip shows of runtime_main is what is not an init task.
		double took = t->phase[p] - (p == PhaseMain ? t->phase[PhaseInit] : 0);
		int x = MARGIN + at++ * (SHAREX - MARGIN) / shown;
		emit("<rect x=\"%d\" y=\"%d\" width=\"12\" height=\"12\" rx=\"2\" fill=\"%s\"/>\n",
		    x, LEGENDY - 11, colour[p]);
		emit("<text class=\"b\" x=\"%d\" y=\"%d\">%s</text>\n", x + 19, LEGENDY,
		    runtime_bootphasenames[p]);
		emit("<text class=\"s\" x=\"%d\" y=\"%d\">", x + 19, LEGENDY + 17);
		duration(took);
		emit(", %.0f %%</text>\n", 100 * took / t->total);
	}
}

static void
grid(const struct boottrace *t, int bottom)
{
	double step = tick(t->total);
	bool ms = t->total >= 1000;
	double unit = ms ? 1000 : 1;
	int prec = step / unit >= 1 ? 0 : step / unit >= 0.1 ? 1 : step / unit >= 0.01 ? 2 : 3;
	for (int i = 0; i * step <= t->total; i++) {
		double x = xof(t, i * step);
		emit("<line x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\" stroke=\"#e3e8ef\"/>\n", x,
		    CHARTY - 12, x, bottom);
		emit("<text class=\"m\" x=\"%.1f\" y=\"%d\">%.*f</text>\n", x, CHARTY - 19, prec,
		    i * step / unit);
	}
	emit("<text class=\"m\" x=\"%d\" y=\"%d\" style=\"text-anchor:end\">%s since "
	     "rt0_go</text>\n",
	    CHARTX - 24, CHARTY - 19, ms ? "ms" : "µs");
	emit("<text class=\"r s\" x=\"%d\" y=\"%d\">took</text>\n", TOOKX, CHARTY - 19);
	emit("<text class=\"r s\" x=\"%d\" y=\"%d\">share</text>\n", SHAREX, CHARTY - 19);
}

// heading draws a phase's own row: from the start of its first step to the end of its last.
static void
heading(const struct boottrace *t, int i, int y)
{
	const struct bootstep *s = &t->step[i];
	double took = 0;
	int j = i, height = HEADH;
	bool init = false;
	for (; j < t->n && (j == i || !opens(t, j)); j++) {
		took += t->step[j].took;
		height += ROWH;
		init |= t->step[j].phase == PhaseInit;
	}
	enum bootphase p = section(s);
	emit("<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"6\" fill=\"%s\""
	     " fill-opacity=\"0.07\"/>\n",
	    MARGIN, y, SHAREX + 12 - MARGIN, height + 4, colour[p]);
	emit("<rect x=\"%d\" y=\"%d\" width=\"4\" height=\"%d\" rx=\"2\" fill=\"%s\"/>\n", MARGIN,
	    y, height + 4, colour[p]);
	emit("<text class=\"b\" x=\"%d\" y=\"%d\">%s%s</text>\n", NAMEX, y + 20,
	    runtime_bootphasenames[p], init ? " with init tasks" : "");
	emit("<rect x=\"%.2f\" y=\"%d\" width=\"%.2f\" height=\"6\" rx=\"2\" fill=\"%s\""
	     " fill-opacity=\"0.35\"/>\n",
	    xof(t, s->start), y + 13, CHARTW * took / t->total, colour[p]);
	emit("<text class=\"b r\" x=\"%d\" y=\"%d\">", TOOKX, y + 20);
	duration(took);
	emit("</text>\n");
	share(t, took, y + 20);
}

static void
row(const struct boottrace *t, const struct bootstep *s, int y)
{
	double w = CHARTW * s->took / t->total;
	bool init = s->phase == PhaseInit;
	emit("<g><title>");
	text(s->step, 80);
	text(s->name, 80);
	emit(": %.3f µs, from %.3f µs on</title>\n<text x=\"%d\" y=\"%d\">", s->took, s->start,
	    NAMEX + 16, y + 15);
	if (init) {
		emit("init ");
		text(s->name, NAMEMAX - 5);
	} else {
		text(shortname(s), NAMEMAX);
	}
	emit("</text>\n<rect x=\"%.2f\" y=\"%d\" width=\"%.2f\" height=\"13\" rx=\"%d\" "
	     "fill=\"%s\"/>\n",
	    xof(t, s->start), y + 4, w < 1.5 ? 1.5 : w, w < 5 ? 0 : 2, colour[s->phase]);
	emit("<text class=\"r\" x=\"%d\" y=\"%d\">", TOOKX, y + 15);
	duration(s->took);
	emit("</text>\n");
	share(t, s->took, y + 15);
	emit("</g>\n");
}

void
runtime_bootsvg(const struct boottrace *t, const char *path)
{
	if (t->n == 0 || t->total <= 0)
		return;
	int height = CHARTY + t->n * ROWH;
	for (int i = 0; i < t->n; i++)
		height += opens(t, i) ? HEADH + GAPH : 0;
	svg.fd = runtime_open(path, O_CREATE_, 0644);
	if (svg.fd < 0) {
		runtime_print(
		    "rt0: GODEBUG=boottrace=2: cannot write %s (errno %d)\n", path, -svg.fd);
		return;
	}
	head(t, height + MARGIN);
	strip(t);
	grid(t, height);
	int y = CHARTY;
	for (int i = 0; i < t->n; i++) {
		if (opens(t, i)) {
			y += i > 0 ? GAPH : 0;
			heading(t, i, y);
			y += HEADH;
		}
		row(t, &t->step[i], y);
		y += ROWH;
	}
	// Where main begins.
	emit("<line x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\" stroke=\"#1f2933\" "
	     "stroke-width=\"1.5\"/>\n",
	    CHARTX + CHARTW, CHARTY - 12, CHARTX + CHARTW, height);
	emit("<text class=\"m\" x=\"%d\" y=\"%d\" style=\"font-weight:bold\">main</text>\n",
	    CHARTX + CHARTW, height + 16);
	if (t->dropped > 0)
		emit("<text class=\"s\" x=\"%d\" y=\"%d\">The last step includes %u more.</text>\n",
		    NAMEX, height + 16, t->dropped);
	emit("</svg>\n");
	flush();
	runtime_close(svg.fd);
	if (svg.err < 0)
		runtime_print(
		    "rt0: GODEBUG=boottrace=2: cannot write %s (errno %d)\n", path, (int)-svg.err);
	else
		runtime_print("rt0: booted in %.1f us; drawn in %s\n", t->total, path);
}
