// SPDX-License-Identifier: BSD-3-Clause
// rt0/bufio.h: a buffer before reads and one before writes of an rt0_fd. Include it yourself; rt0.h does not.
//
//	char in[4096], out[4096], *line;
//	rt0_reader r;
//	rt0_writer w;
//	rt0_reader_init(&r, conn, in, sizeof in);
//	rt0_writer_init(&w, conn, out, sizeof out);
//	while (rt0_reader_read_line(&r, &line, NULL) > 0)
//		rt0_writer_printf(&w, "you said %s\n", line);
//	rt0_writer_flush(&w);
//
// The buffers are the caller's, nothing is allocated, and there is nothing to free. Neither closes the
// descriptor. Deadlines are the descriptor's.
//
// Unless a function says otherwise:
//   Returns  negative errno values as rt0_fd_read and rt0_fd_write do.
//   Blocks   the goroutine, not the thread, until the descriptor has given or taken enough.
//   Context  goroutine or thread; a reader or writer belongs to one at a time. A reader and a writer of one
//            descriptor do not disturb each other.
#ifndef RT0_BUFIO_H
#define RT0_BUFIO_H

#include <stdarg.h>

#include "io.h"

#ifdef __cplusplus
extern "C" {
#endif

// ---- Reader --------------------------------------------------------------------------------

// An error of the descriptor is kept: what came before it is read first, then every call returns it, also
// if the descriptor would say something else by then. Only -ETIMEDOUT is not kept: set a new deadline
// and go on. Nor is the end: a terminal goes on behind it.
typedef struct rt0_reader {
	rt0_fd *fd;
	char *buf;
	size_t size, r, w; // bytes [r, w) of buf have come and have not been read
	int err;
	bool skip; // the rest of a line that was too long is to be thrown away
} rt0_reader;

// rt0_reader_init makes r the reader of fd, with a buffer of size bytes.
// Panics   "bufio: buffer is too small": size < 16.
RT0_API void rt0_reader_init(rt0_reader *r, rt0_fd *fd, void *buf, size_t size);

// rt0_reader_read reads what has come: at least a byte if n > 0, at most n. Large reads do not go through the buffer.
// Returns  how many bytes; 0: the end, or n is 0.
RT0_API long rt0_reader_read(rt0_reader *r, void *to, size_t n);

// rt0_reader_read_exactly reads n bytes.
// Returns  n; fewer: the end came first (0: at once); or an error: if n is less than the buffer's size nothing has been
//          read, else what came before the error is in to, and how much is not told.
RT0_API long rt0_reader_read_exactly(rt0_reader *r, void *to, size_t n);

// rt0_reader_peek waits until n bytes are in the buffer and shows them, without reading them: *p is valid until the
// next call. n = 0 does not wait. rt0_reader_discard skips n bytes.
// Returns  how many there are, n or more; fewer: the end comes then. -EMSGSIZE: n is not less than the buffer's
//          size. rt0_reader_discard: n; fewer: the end.
RT0_API long rt0_reader_peek(rt0_reader *r, const char **p, size_t n);
RT0_API long rt0_reader_discard(rt0_reader *r, size_t n);

// rt0_reader_read_line reads a line, that may not be longer than the buffer. *line is in the buffer, valid until the
// next call, without the line end (LF or CR LF) and with a 0 behind it. The last line need not have an end. *len, if
// len is not NULL, is its length: there may be zeros in it. rt0_reader_read_until is the same with another byte
// as the end of each piece.
// Returns  1; 0: the end; -EMSGSIZE: the line is too long: *line is its beginning, and if you go on nevertheless, the
//          next call skips the rest of it.
RT0_API int rt0_reader_read_line(rt0_reader *r, char **line, size_t *len);
RT0_API int rt0_reader_read_until(rt0_reader *r, char end, char **piece, size_t *len);

// ---- Writer --------------------------------------------------------------------------------

// Every error is kept: what was written since the last flush may be lost in part, so there is no going on.
// All calls then return it. So a program may write on, and look at the result of the flush alone.
typedef struct rt0_writer {
	rt0_fd *fd;
	char *buf;
	size_t size, n; // bytes [0, n) of buf are to be written
	int err;
} rt0_writer;

// rt0_writer_init makes w the writer of fd, with a buffer of size bytes.
// Panics   "bufio: buffer is too small": size < 16.
RT0_API void rt0_writer_init(rt0_writer *w, rt0_fd *fd, void *buf, size_t size);

// rt0_writer_write writes n bytes: into the buffer, which is written when it is full. What does not fit
// goes past it, together with what is in it, in one call of the system.
// Returns  n, or an error.
RT0_API long rt0_writer_write(rt0_writer *w, const void *from, size_t n);

// rt0_writer_puts writes a string, without a line end; rt0_writer_printf what rt0_printf would print.
// Returns  how many bytes, or an error.
RT0_API long rt0_writer_puts(rt0_writer *w, const char *s);
RT0_API long rt0_writer_printf(rt0_writer *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
RT0_API long rt0_writer_vprintf(rt0_writer *w, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));

// rt0_writer_flush writes what is in the buffer.
// Returns  0, or the first error of all calls.
RT0_API int rt0_writer_flush(rt0_writer *w);

#ifdef __cplusplus
}
#endif
#endif
