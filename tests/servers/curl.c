// SPDX-License-Identifier: BSD-3-Clause
// curl.c: 300 goroutines with libcurl's easy interface, and nginx (RT0_NGINX=http://HOST:PORT).
//
// Each fetches small and big files and a redirection with a handle of its own, by address and by name, and checks every
// byte; and gives up on a slow one by libcurl's timeout.
#include <curl/curl.h>

#include "clients.h"

enum { MAXTHREADS = 32 }; // 16 of them may be at the resolver

static const char *base;

struct body {
	size_t n;
	bool big, wrong;
};

static size_t
take(char *p, size_t size, size_t n, void *arg)
{
	static const char hello[] = "hello, world\n";
	struct body *b = arg;
	for (size_t i = 0; i < size * n; i++, b->n++)
		if (b->big ? (unsigned char)p[i] != b->n % 251 : b->n >= sizeof hello - 1 || p[i] != hello[b->n])
			b->wrong = true;
	return size * n;
}

static void
get(CURL *c, int i, const char *path, size_t want, CURLcode code)
{
	struct body b = {.big = strstr(path, "big") != NULL};
	char url[256];
	snprintf(url, sizeof url, "%s%s", base, path);
	curl_easy_setopt(c, CURLOPT_URL, url);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, &b);
	CURLcode e = curl_easy_perform(c);
	if (e != code || b.wrong || (code == CURLE_OK && b.n != want)) {
		fprintf(stderr, "goroutine %d: %s: %s, %zu bytes%s\n", i, url, curl_easy_strerror(e), b.n, b.wrong ? ", wrong" : "");
		_exit(1);
	}
}

static void
client(int i)
{
	CURL *c = curl_easy_init();
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L);
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	for (int k = 0; k < rounds; k++) {
		get(c, i, "/hello.txt", 13, CURLE_OK);
		get(c, i, "/moved", 13, CURLE_OK);
		get(c, i, i % 10 == 0 ? "/big.bin" : "/hello.txt", i % 10 == 0 ? 1 << 20 : 13, CURLE_OK);
	}
	curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, 300L);
	get(c, i, "/slow/big.bin", 0, CURLE_OPERATION_TIMEDOUT);
	curl_easy_cleanup(c);
}

int
main(int argc, char **argv)
{
	base = clients_begin(argc, argv, 300, 3, "RT0_NGINX");
	curl_global_init(CURL_GLOBAL_ALL);
	clients_all(client);
	return clients_end(3 * rounds + 1, "requests", MAXTHREADS);
}
