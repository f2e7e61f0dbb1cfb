// SPDX-License-Identifier: BSD-3-Clause
// crawler.c: a web crawler on libcurl's easy interface, a goroutine a page.
//
//	rt0 build -posix crawler.c -lcurl -o crawler
//	crawler [-j CONNECTIONS] [-n PAGES] URL
//
// It follows the links of one host from URL on, at most PAGES (100) of them, CONNECTIONS (16) at a time, and
// prints status, size and address of each. libcurl knows nothing of goroutines: its poll, recv and name
// lookups are librt0_posix's, which park the goroutine and leave the thread to others.
#include <curl/curl.h>
#include <errno.h>
#include <rt0.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAXPAGE = 4 << 20 }; // bytes of a page that are read

static rt0_semaphore room; // connections that may be open
static rt0_waitgroup wg;   // pages under way
static rt0_mutex lock;
// lock:
static char **seen; // addresses that have been taken on
static int nseen, maxpages = 100, nfailed;

static size_t hostlen; // how much of an address is "http://host"
static const char *start;

struct page {
	char *data;
	size_t n;
};

static size_t
take(char *p, size_t size, size_t n, void *arg)
{
	struct page *page = arg;
	size_t len = size * n;
	if (page->n + len > MAXPAGE)
		return 0; // ends the transfer
	char *data = realloc(page->data, page->n + len + 1);
	if (data == NULL)
		return 0;
	page->data = data;
	memcpy(data + page->n, p, len);
	page->n += len;
	data[page->n] = 0;
	return len;
}

static void fetch(void *arg);

// visit starts a goroutine for the address, unless there was one, or there are enough.
static void
visit(char *url)
{
	url[strcspn(url, "#")] = 0;
	rt0_mutex_lock(&lock);
	bool new = nseen < maxpages;
	for (int i = 0; i < nseen && new; i++)
		new = strcmp(seen[i], url) != 0;
	if (new)
		seen[nseen++] = url;
	rt0_mutex_unlock(&lock);
	if (new)
		rt0_waitgroup_go(&wg, fetch, url);
	else
		free(url);
}

// follow visits the links of a page: what stands in href="..." and is of our host.
static void
follow(const char *base, const char *text)
{
	CURLU *u = curl_url();
	while (u != NULL && (text = strstr(text, "href=\"")) != NULL) {
		text += 6;
		size_t n = strcspn(text, "\"");
		char *link = strndup(text, n), *url = NULL;
		// The link is relative to the page.
		if (link != NULL && curl_url_set(u, CURLUPART_URL, base, 0) == 0 && curl_url_set(u, CURLUPART_URL, link, 0) == 0 &&
		    curl_url_get(u, CURLUPART_URL, &url, 0) == 0 && strncmp(url, start, hostlen) == 0)
			visit(strdup(url));
		curl_free(url);
		free(link);
		text += n;
	}
	curl_url_cleanup(u);
}

static void
fetch(void *arg)
{
	const char *url = arg;
	struct page page = {NULL, 0};
	char why[CURL_ERROR_SIZE] = "";
	long status = 0;
	rt0_semaphore_acquire(&room, 1);
	CURL *c = curl_easy_init();
	CURLcode err = CURLE_OUT_OF_MEMORY;
	if (c != NULL) {
		curl_easy_setopt(c, CURLOPT_URL, url);
		curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take);
		curl_easy_setopt(c, CURLOPT_WRITEDATA, &page);
		curl_easy_setopt(c, CURLOPT_ERRORBUFFER, why);
		curl_easy_setopt(c, CURLOPT_TIMEOUT, 30L);
		curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
		err = curl_easy_perform(c);
		curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
	}
	rt0_semaphore_release(&room, 1);
	rt0_mutex_lock(&lock);
	if (err != CURLE_OK) {
		nfailed++;
		printf("failed     %s: %s\n", url, why[0] ? why : curl_easy_strerror(err));
	} else {
		printf("%3ld %8zu %s\n", status, page.n, url);
	}
	rt0_mutex_unlock(&lock);
	const char *type = NULL;
	if (err == CURLE_OK && curl_easy_getinfo(c, CURLINFO_CONTENT_TYPE, &type) == 0 && type != NULL && strstr(type, "html") && page.data)
		follow(url, page.data);
	curl_easy_cleanup(c);
	free(page.data);
}

static int
number(const char *s)
{
	char *end;
	long n = strtol(s, &end, 10);
	return *s == 0 || *end != 0 || n < 1 || n > 100000 ? -1 : (int)n;
}

int
main(int argc, char **argv)
{
	int i = 1, connections = 16;
	for (; i + 1 < argc && argv[i][0] == '-'; i += 2) {
		int n = number(argv[i + 1]);
		if (n > 0 && strcmp(argv[i], "-j") == 0)
			connections = n;
		else if (n > 0 && strcmp(argv[i], "-n") == 0)
			maxpages = n;
		else
			break;
	}
	if (i != argc - 1 || argv[i][0] == '-') {
		fprintf(stderr, "usage: crawler [-j CONNECTIONS] [-n PAGES] URL\n");
		return 2;
	}
	start = argv[i];
	const char *host = strstr(start, "://");
	if (host == NULL || strncmp(start, "http", 4) != 0) {
		fprintf(stderr, "crawler: %s: not an http:// or https:// address\n", start);
		return 2;
	}
	hostlen = (size_t)(host + 3 - start) + strcspn(host + 3, "/?#");
	seen = calloc((size_t)maxpages, sizeof *seen);
	if (seen == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != 0) {
		fprintf(stderr, "crawler: no memory\n");
		return 1;
	}
	rt0_semaphore_init(&room, connections);
	visit(strdup(start));
	rt0_waitgroup_wait(&wg);
	printf("%d pages, %d failed\n", nseen, nfailed);
	for (i = 0; i < nseen; i++)
		free(seen[i]);
	free(seen);
	return nfailed != 0;
}
