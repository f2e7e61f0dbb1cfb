// SPDX-License-Identifier: BSD-3-Clause
// asm.h: what the parts of the assembler (rt0 asm) share.
//
// Source goes through these stages, one line at a time up to the parser, then one function at a
// time, so that memory is bounded by the longest function and not by the source:
//
//   lex.c      characters to tokens         cpp.c     #include, #define, #ifdef
//   parse.c    lines to instructions        operand.c operands and constant expressions
//   frame.c    prologues, FP and SP, TLS, the global offset table: instructions to instructions
//   encode.c   one instruction to bytes     layout.c  short and near branches, addresses
//   unwind.c   where the frame is at each instruction: .eh_frame
//   elf.c      sections, symbols, relocations          dwarf.c   .debug_line and .debug_info
//   list.c     -S, and operands as text     stub.c    Go declarations to C header and trampolines
//
// All memory comes from arenas, which asm_reset empties: there is no free anywhere else, and an
// error may leave by longjmp from any depth (fatal).
#ifndef RT0_ASM_H
#define RT0_ASM_H
#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

// ---- limits: what is beyond them is an error and not a wait ----
enum {
	MAXERRORS = 10,          // errors shown, without -e
	MAXTOKEN = 1 << 16,      // bytes of one token
	MAXLINE = 1 << 20,       // tokens of one line
	MAXINSNS = 1 << 22,      // instructions of one function
	MAXSECTION = 1 << 29,    // bytes of one section, as in Go
	MAXNAMES = 1 << 22,      // different identifiers
	MAXEXPANSION = 1 << 22,  // tokens that one line's macros make
	MAXEXPANSIONS = 1 << 26, // tokens that all macros make
	MAXDEPTH = 100,          // files, macros and types inside each other
	MAXINCLUDES = 1 << 14,   // #include lines that are followed
	MAXOPERANDS = 6,
	MAXUNWIND = 1024, // how far from SP an UNWIND may name
};

// ---- memory ----
struct arena {
	struct chunk *chunks;
	char *next, *end;
};
void *arena_alloc(struct arena *a, size_t n); // zeroed, aligned to 8
char *arena_text(struct arena *a, const char *s, size_t n);
void arena_reset(struct arena *a); // keeps one chunk

// A growing array of bytes.
struct buf {
	uint8_t *p;
	size_t n, cap;
};
void buf_put(struct buf *b, const void *p, size_t n); // p NULL: zeros
void buf_byte(struct buf *b, int c);
void buf_le(struct buf *b, uint64_t v, int bytes);
void buf_uleb(struct buf *b, uint64_t v);
void buf_sleb(struct buf *b, int64_t v);
void buf_align(struct buf *b, size_t align, int fill);
void buf_print(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_free(struct buf *b);

// ---- names ----
// Every identifier is interned once; what it may mean hangs on it, so that nothing is looked up
// twice.
struct name {
	struct name *next; // of the hash chain
	struct name *base; // of the names that stay (mem.c)
	uint32_t hash, len;
	struct macro *macro; // cpp.c
	struct sym *syms[3]; // global, static, <ABIInternal>
	struct insn *label;  // in the function number labelfn
	uint32_t labelfn;
	uint16_t op;  // mnemonic + 1, 0: none
	uint8_t reg;  // enum reg, 0: none
	bool stubbed; // stub.c: C has it
	char text[];
};
struct name *intern(const char *s, size_t n);
void names_base(bool on);

// ---- tokens ----
enum {
	T_EOF = 256,
	T_NAME,
	T_INT,
	T_FLOAT,
	T_CHAR,
	T_STRING,
	T_LSH,
	T_RSH,
	T_ARR,
	T_ROT,
	T_BUILD, // a //go:build comment
	T_PLAIN, // the name of a macro that is not to be expanded
};
// Passed by value through the whole lexer: it fits two registers.
struct tok {
	const char *text; // of T_NAME and T_PLAIN that of a struct name
	uint32_t len;
	uint16_t kind; // a character or T_*
	bool spaced;   // blanks before it
};
_Static_assert(sizeof(struct tok) == 16, "two registers");
static inline struct name *
tok_name(const struct tok *t)
{
	return (struct name *)(void *)(t->text - offsetof(struct name, text));
}

// A file that is read, or the tokens of a macro.
struct source {
	struct source *up;
	int fd; // -1: tokens, or text that was given
	bool istokens;
	const char *file;
	int line;
	bool space; // seen before the next token
	// file: what was read and is not yet used
	char *window;
	size_t pos, end;
	bool eof;
	// tokens
	const struct tok *toks;
	size_t ntoks, itok;
};
struct tok lex_next(void); // the next token of the current source
void lex_open(const char *path, int fd, const char *text, size_t n);
void lex_tokens(const struct tok *t, size_t n);
int lex_byte(void); // of a file that is not for the lexer; -1 at its end
bool lex_pop(void); // ends the current source; false if it was the last
bool lex_string(const struct tok *t, struct arena *a, char **s, size_t *n); // unquotes

void cpp_define(const char *name_value);
struct tok cpp_next(void); // the next token, macros expanded
void cpp_reset(void);
void cpp_line_done(void); // the parser holds no tokens any more

// ---- registers ----
// clang-format off
enum reg {
	REG_NONE,
	REG_AL, REG_CL, REG_DL, REG_BL, REG_SPB, REG_BPB, REG_SIB, REG_DIB, REG_R8B,
	REG_R15B = REG_R8B + 7,
	REG_AX, REG_CX, REG_DX, REG_BX, REG_SP, REG_BP, REG_SI, REG_DI, REG_R8,
	REG_R12 = REG_R8 + 4, REG_R13, REG_R14, REG_R15,
	REG_AH, REG_CH, REG_DH, REG_BH,
	REG_F0,
	REG_M0 = REG_F0 + 8,
	REG_K0 = REG_M0 + 8,
	REG_X0 = REG_K0 + 8,
	REG_Y0 = REG_X0 + 32,
	REG_Z0 = REG_Y0 + 32,
	REG_CS = REG_Z0 + 32, REG_SS, REG_DS, REG_ES, REG_FS, REG_GS,
	REG_GDTR, REG_IDTR, REG_LDTR, REG_MSW, REG_TASK,
	REG_CR0,
	REG_DR0 = REG_CR0 + 16,
	REG_TR0 = REG_DR0 + 8,
	REG_TLS = REG_TR0 + 8,
	REG_PSEUDO, // FP, SB, PC: only inside the parser
	REG_FP = REG_PSEUDO, REG_SB, REG_PC,
	NREGS
};
// clang-format on
const char *reg_name(int reg);

// ---- symbols ----
enum { ABI0, STATIC, ABIINTERNAL };
// clang-format off
enum { NOPROF = 1, DUPOK = 2, NOSPLIT = 4, RODATA = 8, NOPTR = 16, WRAPPER = 32, NEEDCTXT = 64,
	TLSBSS = 256, NOFRAME = 512, REFLECTMETHOD = 1024, TOPFRAME = 2048,
	EXPORT = 1 << 20, SIGFRAME = 1 << 21 };
// clang-format on
enum section {
	SEC_NONE,
	SEC_TEXT,
	SEC_RODATA,
	SEC_RELRO,
	SEC_DATA,
	SEC_BSS,
	SEC_TDATA,
	SEC_TBSS,
	NSECTIONS
};

enum rel { REL_ABS64, REL_ABS32S, REL_CALL, REL_PC32, REL_GOT, REL_TPOFF, REL_GOTTPOFF };
struct reloc {
	uint32_t off; // in the symbol's bytes
	uint8_t type, size;
	struct sym *sym; // NULL: an absolute address
	int64_t add;     // as Go shows it; the ELF addend counts from the field
};

// One DATA line; those of a symbol are in order of their offsets and do not overlap.
struct piece {
	struct piece *next;
	int64_t off;
	uint32_t len;
	uint8_t bytes[];
};

struct sym {
	struct name *name;
	struct sym *next; // in the order of first use
	uint8_t abi;
	bool text, global; // TEXT, GLOBL seen
	bool hasaddr;      // DATA with an address
	bool here;         // -pic: defined in this file
	bool entry;        // ENTRY: a place inside a function
	uint32_t flags;
	uint8_t section;
	int align;
	int64_t size, frame, args;
	uint64_t addr; // in its section
	struct piece *first, *last;
	int64_t dataend;
	struct reloc *rels; // text: from A.rels; data: its own
	uint32_t nrels, caprels;
	uint32_t index; // in .symtab
	int line;
	const char *file;
};
struct sym *sym_lookup(struct name *n, int abi);
struct sym *sym_named(const char *s, int abi);
struct reloc *sym_addrel(struct sym *s);
struct sym *sym_float(double f, int size);

// ---- operands and instructions ----
enum { O_NONE, O_REG, O_MEM, O_CONST, O_FLOAT, O_STRING, O_ADDR, O_BRANCH, O_INDIR, O_LIST };
enum { N_NONE, N_EXTERN, N_STATIC, N_AUTO, N_PARAM };

// What an operand is to the table (mkoptab.c has the sets of them).
// clang-format off
enum atom {
	A_NONE,
	A_I0, A_I1, A_IU2, A_IU7, A_IU8, A_IS8, A_IS32, A_IU32, A_I64,
	A_AL, A_CL, A_RB, A_AX, A_CX, A_RX, A_RL, A_F0, A_F, A_MM, A_X0, A_X, A_XH, A_Y, A_YH, A_Z, A_K0, A_K,
	A_CS, A_SS, A_DS, A_ES, A_FS, A_GS, A_GDTR, A_IDTR, A_LDTR, A_MSW, A_TASK,
	A_CR, A_DR0, A_DR2, A_DR3, A_DR6, A_DR7, A_TR6, A_TR7,
	A_M, A_VX, A_VXH, A_VY, A_VYH, A_VZ, A_X4, A_Y4, A_Z4,
	A_ADDR, A_REL, A_INDIR,
};
// clang-format on

struct str {
	size_t n;
	char s[];
};
struct operand {
	uint8_t type, name, reg, index, scale;
	bool plain;   // a name without an address mode: a label
	bool got;     // the address of a slot of the global offset table
	uint8_t last; // O_LIST: the last register
	int64_t off;
	struct name *label; // plain, or the name before (FP) and (SP)
	struct sym *sym;
	union {
		struct insn *target; // O_BRANCH to an instruction of this function
		double f;
		struct str *str;
	};
};

enum {
	I_BRANCH = 1, // has a branch target in this function
	I_NEAR = 2,   // the short form does not reach
	I_ALIGN = 4,  // PCALIGN
	I_MARK = 8,   // TEXT, PCDATA, FUNCDATA: no code
	I_TAIL = 16,  // behind the body: the call of morestack
	I_SEEN = 32,
	I_R15 = 64, // -pic: leaves an address in R15
	I_PROLOGUE = 128,
	I_ENTRY = 256,  // a mark: o[0].sym is the name of this place
	I_UNWIND = 512, // a mark: unwinding takes o[1] from o[0]
};
struct insn {
	struct insn *next;
	const char *file;
	uint32_t line;
	int32_t seq;   // what n(PC) counts
	int32_t index; // in the function, when all instructions are there
	int32_t pc;
	int32_t rel; // the first of nrel relocations
	uint16_t op;
	uint8_t nops, suffix;
	uint16_t flags;
	uint8_t len, nrel;
	const uint8_t *code;
	const struct form *form;   // of a branch
	struct frame_state *state; // unwind.c
	struct operand o[];
};

struct form {
	uint8_t nops, enc, cls[MAXOPERANDS];
	char role[MAXOPERANDS + 1];
	uint8_t pre[4], npre, code[4], ncode, near[4], nnear;
	uint8_t w;
	int8_t digit;
	uint8_t map, pp, len, disp, bcst, flags;
};
enum { ENC_LEGACY, ENC_NOT64, ENC_VEX, ENC_EVEX };
enum { F_Z = 1, F_ER = 2, F_SAE = 4, F_DISTINCT = 8 };
struct mnemonic {
	const char *name;
	const struct form *forms;
	int nforms, op;
};
extern const struct mnemonic mnemonics[];
#include "optab.h"

// ---- the state ----
struct options {
	const char *output, *header, *package, *tlsname;
	const char *stub[64];
	int nstubs;
	const char *include[64];
	int nincludes;
	bool go122, pic, hidden, allerrors, cnames, nodebug;
};
struct func {
	struct sym *sym;
	struct insn *head, *tail; // head: the TEXT line
	int32_t seq;              // of the last instruction
	int32_t n;
	int64_t frame, args;
	int32_t bp, whole; // frame.c: 8 if BP is saved; the frame with it
	bool bad;
};
struct line_row {
	uint32_t pc, line;
	const char *file;
};
struct asm_state {
	struct options opt;
	struct arena perm; // names, symbols, macros, data
	struct arena func; // the instructions of one function
	struct arena line; // the tokens of one line
	struct source *src;
	const char *file; // where errors are
	int lineno;
	int errors;
	const char *errfile;
	int errline;
	jmp_buf fail;
	FILE *diag; // where errors go
	FILE *listing;
	struct func fn;
	bool prescan; // -pic: only TEXT and GLOBL matter
	uint32_t fnnumber;
	struct buf text;
	struct reloc *rels; // of one function
	uint32_t nrels, caprels;
	struct reloc *textrels; // of .text
	uint32_t ntextrels, captextrels;
	struct sym *syms, **symtail;
	struct line_row *rows;
	size_t nrows, caprows;
	struct buf ehframe;
	uint32_t cies[2]; // where each kind of CIE is in it, + 1
	struct reloc *ehrels;
	uint32_t nehrels, capehrels;
	int textalign;
};
extern struct asm_state A;

void asm_reset(void);
int asm_run(const char *path, const char *text, size_t n); // 0, or 1 after errors were printed
void error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void error_at(const struct insn *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
_Noreturn void fatal(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
struct reloc *push_reloc(struct reloc **v, uint32_t *n, uint32_t *cap);

// parse.c
void parse(void);
struct insn *new_insn(int op, int nops, const struct insn *like);
// operand.c
struct operand parse_operand(const struct tok *t, int n, bool isjump);
bool tok_is(const struct tok *t, const char *s);
bool parse_positive(const struct tok *t, int64_t *v);
// frame.c
void frame(struct func *f);
// encode.c
void names_init(void);
int suffix_index(const char *s);
const char *suffix_name(int i);
void encode(struct insn *p);
// layout.c
bool layout(struct func *f);
// unwind.c
void unwind(struct func *f, uint64_t addr, uint64_t size);
// elf.c
enum { DW_LINE, DW_INFO, DW_ABBREV, NDW };
struct dw_reloc {
	int section, target; // DW_*; target -1: .text
	uint32_t off;
	int64_t add;
};
bool place_data(void); // gives data its sections; false after an error
bool elf_write(const char *path);
const char *sym_cname(const struct sym *s);
// dwarf.c
void dwarf(struct buf out[NDW], struct dw_reloc **rels, size_t *nrels);
// list.c
void list_func(const struct func *f, const uint8_t *code, size_t n);
void list_data(void);
const char *insn_text(const struct insn *p);
const char *operand_text(const struct operand *o);
// stub.c
void stubs(const char *path);
bool stubs_header(const char *path);
#endif
