// SPDX-License-Identifier: BSD-3-Clause
// sha256.c: prints the SHA-256 of files as sha256sum does; sha256_block.s does the work.
//
//	rt0 run examples/asm/sha256.c examples/asm/sha256_block.s README.md
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sha256_block_asm.h"

static int
sum(const char *path)
{
	static unsigned char buf[1 << 16];
	uint32_t state[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c,
	    0x1f83d9ab, 0x5be0cd19};
	FILE *f = fopen(path, "rb");
	uint64_t total = 0;
	size_t n;
	if (!f) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return 1;
	}
	while ((n = fread(buf, 1, sizeof buf, f)) == sizeof buf) {
		block(state, (go_slice){buf, (int64_t)n, (int64_t)n});
		total += n;
	}
	fclose(f);
	total += n;
	// A one, zeros up to 8 bytes below a multiple of 64, and the length in bits.
	size_t full = n / 64 * 64;
	unsigned char last[128] = {0};
	size_t rest = n - full, size = rest < 56 ? 64 : 128;
	block(state, (go_slice){buf, (int64_t)full, (int64_t)full});
	memcpy(last, buf + full, rest);
	last[rest] = 0x80;
	for (int i = 0; i < 8; i++)
		last[size - 1 - (size_t)i] = (unsigned char)(total * 8 >> 8 * i);
	block(state, (go_slice){last, (int64_t)size, (int64_t)size});
	for (int i = 0; i < 8; i++)
		printf("%08x", state[i]);
	printf("  %s\n", path);
	return 0;
}

int
main(int argc, char **argv)
{
	int bad = 0;
	for (int i = 1; i < argc; i++)
		bad |= sum(argv[i]);
	return bad;
}
