// SPDX-License-Identifier: BSD-3-Clause
// bufio.c: a buffer before the reads and one before the writes of a descriptor.
//
// Both are used by one goroutine at a time: no locks here. One byte of a reader's buffer is never filled, so that
// there is room for the 0 behind the last piece.
#include "../../include/rt0/bufio.h"
#include "net.h"

enum { BUFMIN = 16 };

static void
checksize(size_t size)
{
	if (size < BUFMIN)
		runtime_panicstring("bufio: buffer is too small");
}

// ---- reader ----

void
rt0_reader_init(rt0_reader *r, rt0_fd *fd, void *buf, size_t size)
{
	checksize(size);
	*r = (rt0_reader){.fd = fd, .buf = buf, .size = size - 1};
}

// readfd reads once, past the buffer.
static long
readfd(rt0_reader *r, void *to, size_t n)
{
	if (r->err < 0)
		return r->err;
	long got = rt0_fd_read(r->fd, to, n);
	if (got < 0 && got != -ETIMEDOUT)
		r->err = (int)got;
	return got;
}

// fill adds to the buffer, which is not full or not at its beginning. As rt0_fd_read.
static long
fill(rt0_reader *r)
{
	if (r->r == r->w) {
		r->r = r->w = 0;
	} else if (r->w == r->size) {
		runtime_memmove(r->buf, r->buf + r->r, r->w - r->r);
		r->w -= r->r;
		r->r = 0;
	}
	long n = readfd(r, r->buf + r->w, r->size - r->w);
	if (n > 0)
		r->w += (size_t)n;
	return n;
}

// take copies up to n bytes out of the buffer.
static size_t
take(rt0_reader *r, void *to, size_t n)
{
	size_t k = r->w - r->r < n ? r->w - r->r : n;
	runtime_memmove(to, r->buf + r->r, k);
	r->r += k;
	return k;
}

long
rt0_reader_read(rt0_reader *r, void *to, size_t n)
{
	r->skip = false;
	if (n == 0)
		return 0;
	if (r->r == r->w) {
		if (n >= r->size)
			return readfd(r, to, n);
		long got = fill(r);
		if (got <= 0)
			return got;
	}
	return (long)take(r, to, n);
}

long
rt0_reader_peek(rt0_reader *r, const char **p, size_t n)
{
	long got;
	r->skip = false;
	if (n > r->size)
		return -EMSGSIZE;
	while (r->w - r->r < n && (got = fill(r)) != 0)
		if (got < 0)
			return got;
	*p = r->buf + r->r;
	return (long)(r->w - r->r);
}

long
rt0_reader_read_exactly(rt0_reader *r, void *to, size_t n)
{
	long got;
	if (n <= r->size) {
		const char *p;
		got = rt0_reader_peek(r, &p, n);
		return got < 0 ? got : (long)take(r, to, n);
	}
	r->skip = false;
	size_t done = take(r, to, n);
	while (done < n) {
		if (n - done >= r->size) {
			got = readfd(r, (char *)to + done, n - done);
			if (got > 0)
				done += (size_t)got;
		} else {
			got = fill(r);
			if (got > 0)
				done += take(r, (char *)to + done, n - done);
		}
		if (got < 0)
			return got;
		if (got == 0)
			break;
	}
	return (long)done;
}

long
rt0_reader_discard(rt0_reader *r, size_t n)
{
	size_t left = n;
	r->skip = false;
	for (;;) {
		size_t k = r->w - r->r < left ? r->w - r->r : left;
		r->r += k;
		left -= k;
		if (left == 0)
			return (long)n;
		long got = fill(r);
		if (got <= 0)
			return got < 0 ? got : (long)(n - left);
	}
}

// piece reads up to the byte end. *had: it was there; else it is the last one.
static int
piece(rt0_reader *r, char end, char **out, size_t *len, bool *had)
{
	size_t seen = 0; // bytes from r->r on that are not end
	long got = 1;
	for (;;) {
		char *from = r->buf + r->r, *at = from + seen;
		while (at < r->buf + r->w && *at != end)
			at++;
		seen = (size_t)(at - from);
		*had = at < r->buf + r->w;
		if (*had || got == 0) {
			if (!*had && seen == 0) {
				r->skip = false;
				return 0;
			}
			r->r += seen + *had;
			if (r->skip) {
				r->skip = false;
				seen = 0;
				continue;
			}
			*at = 0; // end, or the byte that is never filled
			*out = from;
			*len = seen;
			return 1;
		}
		if (r->skip) {
			r->r = r->w;
			seen = 0;
		}
		if (seen == r->size) {
			*at = 0;
			*out = from;
			*len = seen;
			r->r = r->w;
			r->skip = true;
			return -EMSGSIZE;
		}
		got = fill(r);
		if (got < 0)
			return (int)got;
	}
}

int
rt0_reader_read_until(rt0_reader *r, char end, char **out, size_t *len)
{
	size_t n;
	bool had;
	return piece(r, end, out, len != NULL ? len : &n, &had);
}

int
rt0_reader_read_line(rt0_reader *r, char **line, size_t *len)
{
	size_t n;
	bool had;
	if (len == NULL)
		len = &n;
	int result = piece(r, '\n', line, len, &had);
	if (result == 1 && had && *len > 0 && (*line)[*len - 1] == '\r')
		(*line)[--*len] = 0;
	return result;
}

// ---- writer ----

void
rt0_writer_init(rt0_writer *w, rt0_fd *fd, void *buf, size_t size)
{
	checksize(size);
	*w = (rt0_writer){.fd = fd, .buf = buf, .size = size};
}

// writeout writes the buffer and n bytes behind it.
static int
writeout(rt0_writer *w, const void *from, size_t n)
{
	const struct iovec v[2] = {{w->buf, w->n}, {(void *)(uintptr_t)from, n}};
	long r = n == 0 ? rt0_fd_write(w->fd, w->buf, w->n) : w->n == 0 ? rt0_fd_write(w->fd, from, n) : rt0_fd_writev(w->fd, v, 2);
	w->n = 0;
	if (r < 0)
		w->err = (int)r;
	return w->err;
}

int
rt0_writer_flush(rt0_writer *w)
{
	return w->err < 0 || w->n == 0 ? w->err : writeout(w, NULL, 0);
}

long
rt0_writer_write(rt0_writer *w, const void *from, size_t n)
{
	if (w->err < 0)
		return w->err;
	if (n > w->size - w->n) {
		if (n >= w->size || w->n == w->size) {
			size_t past = n >= w->size ? n : 0;
			if (writeout(w, from, past) < 0)
				return w->err;
			if (past != 0)
				return (long)n;
		} else {
			// The system gets a full buffer at a time.
			size_t k = w->size - w->n;
			runtime_memmove(w->buf + w->n, from, k);
			w->n += k;
			if (writeout(w, NULL, 0) < 0)
				return w->err;
			runtime_memmove(w->buf, (const char *)from + k, n - k);
			w->n = n - k;
			return (long)n;
		}
	}
	runtime_memmove(w->buf + w->n, from, n);
	w->n += n;
	return (long)n;
}

long
rt0_writer_puts(rt0_writer *w, const char *s)
{
	return rt0_writer_write(w, s, runtime_strlen(s));
}

static long
printto(void *w, const void *from, size_t n)
{
	return rt0_writer_write(w, from, n);
}

long
rt0_writer_vprintf(rt0_writer *w, const char *fmt, va_list ap)
{
	long n = runtime_vprintto(printto, w, fmt, ap);
	return w->err < 0 ? w->err : n;
}

long
rt0_writer_printf(rt0_writer *w, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	long n = rt0_writer_vprintf(w, fmt, ap);
	va_end(ap);
	return n;
}
