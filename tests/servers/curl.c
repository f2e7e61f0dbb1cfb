// SPDX-License-Identifier: BSD-3-Clause
// curl.c: 300 goroutines with libcurl's easy interface on 2 processors.
//
// usage: curl [GOROUTINES [ROUNDS]]   RT0_NGINX=http://HOST:PORT (tests/servers.sh)
//
// Each fetches small and big files and a redirection with a handle of its own, by address and by name, and checks every
// byte; and gives up on a slow one by libcurl's timeout.
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rt0.h>

enum { MAXTHREADS = 32 }; // 16 of them may be at the resolver

static const char *base;
static int rounds = 3, most;
static rt0_waitgroup wg;

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

static int
threads(void)
{
	char line[256];
	int n = 0;
	FILE *f = fopen("/proc/self/status", "r");
	while (fgets(line, sizeof line, f) != NULL)
		sscanf(line, "Threads: %d", &n);
	fclose(f);
	return n;
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
client(void *arg)
{
	int i = (int)(long)arg;
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
	rt0_waitgroup_done(&wg);
}

static void
watch(void *arg)
{
	for (;;) {
		int n = threads();
		if (n > most)
			most = n;
		usleep(2000);
	}
	(void)arg;
}

int
main(int argc, char **argv)
{
	int n = argc > 1 ? atoi(argv[1]) : 300;
	if (argc > 2)
		rounds = atoi(argv[2]);
	base = getenv("RT0_NGINX");
	if (base == NULL)
		return fputs("RT0_NGINX is not set\n", stderr), 2;
	rt0_gomaxprocs(2);
	curl_global_init(CURL_GLOBAL_ALL);
	rt0_go(watch, NULL);
	rt0_waitgroup_add(&wg, n);
	for (int i = 0; i < n; i++)
		rt0_go(client, (void *)(long)i);
	rt0_waitgroup_wait(&wg);
	printf("%d goroutines, %d requests each, %d threads at most\n", n, 3 * rounds + 1, most);
	if (most > MAXTHREADS)
		return fprintf(stderr, "%d threads\n", most), 1;
	return 0;
}
