// SPDX-License-Identifier: BSD-3-Clause
// textflag.h: the flags of TEXT and GLOBL in Go's assembly language. For `rt0 asm`, not for C.

#define NOPROF 1	// no profiling
#define DUPOK 2		// any of several definitions will do
#define NOSPLIT 4	// no check of the stack
#define RODATA 8	// read-only data
#define NOPTR 16	// data without pointers
#define WRAPPER 32	// a wrapper of another function
#define NEEDCTXT 64	// DX holds a closure
#define TLSBSS 256	// thread-local data
#define NOFRAME 512	// no saved BP, whatever the function calls
#define REFLECTMETHOD 1024
#define TOPFRAME 2048	// nobody has called it: tracebacks end here
#define ABIWRAPPER 4096

// Of rt0's own; Go has not got them.
#define EXPORT 1048576	// seen from outside, in an object that is assembled with -hidden
#define SIGFRAME 2097152	// its caller did not call it, but was stopped by a signal
