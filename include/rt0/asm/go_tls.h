// SPDX-License-Identifier: BSD-3-Clause
// go_tls.h: how g is reached through thread-local storage.

#define get_tls(r) MOVQ TLS, r
#define g(r) 0(r)(TLS*1)
