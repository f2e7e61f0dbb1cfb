// SPDX-License-Identifier: BSD-3-Clause
// fuzz.c: the libFuzzer target of the assembler: `tests/asm.sh fuzz SECONDS`.
//
// The first byte of the input picks the options, the rest is the source. Every stage runs but
// the writing of the object, and #include finds nothing.
#include <stdlib.h>
#include <string.h>

#include "asm.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static FILE *null;
	if (!null)
		null = fopen("/dev/null", "w");
	if (n == 0 || memmem(data, n, "include", 7))
		return 0;
	memset(&A.opt, 0, sizeof A.opt);
	A.opt.pic = data[0] & 1;
	A.opt.go122 = data[0] & 2;
	A.opt.cnames = data[0] & 4;
	A.opt.allerrors = data[0] & 8;
	A.opt.package = data[0] & 16 ? "pkg" : NULL;
	A.opt.output = data[0] & 32 ? "/dev/null" : NULL;
	A.opt.hidden = data[0] & 128;
	A.diag = null;
	A.listing = data[0] & 64 ? null : NULL;
	// Not ended by 0: reading beyond it is found.
	char *copy = malloc(n);
	memcpy(copy, data + 1, n - 1);
	asm_run("fuzz.s", copy, n - 1);
	free(copy);
	return 0;
}
