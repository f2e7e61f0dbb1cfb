# rt0: `make run` shows it at work, `make check` is the fast test, `make test` tests everything.
#   CC=gcc|clang   DEBUG=0..3   SAN=address|undefined|thread   WERROR=1   O=object directory
#   check: T=substring picks tests, J=jobs   torture, fuzz: S=seconds   bench: T=names   install: PREFIX, DESTDIR, LIBDIR
# The core's code goes to section rt0_text: the preemption signal tells it from the program's by its address.
# There are no file lists: a .c or .s file under src/ is built because it exists. Folders of
# src/arch and src/os are picked by ARCH and OS; src/libc alone may use the libc.
MAKEFLAGS += -r # or make's own rules would make a .s of a .S that an older checkout has left beside it
ifeq ($(origin CC),default)
CC := gcc
endif
ARCH   ?= amd64
OS     ?= linux
DEBUG  ?= 0
SAN    ?=
J      ?= 2
N      ?= 200
PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
VERSION := $(shell sed -n 's/^.define RT0_VERSION "\(.*\)"/\1/p' include/rt0.h)
SO     := librt0.so.$(firstword $(subst ., ,$(VERSION)))
O      ?= build/$(notdir $(CC))-d$(DEBUG)$(SAN:%=-%)
B      := $(O)

SANFLAGS := $(SAN:%=-fsanitize=%) $(if $(filter undefined,$(SAN)),-fno-sanitize-recover=all)
CFLAGS ?= $(if $(filter 0,$(DEBUG)),-O2,-O1) -g
BASE   := -std=gnu11 $(CFLAGS) $(SANFLAGS) -Wall -Wextra $(if $(WERROR),-Werror) -DRT0_DEBUG=$(DEBUG) \
	-fno-omit-frame-pointer -fasynchronous-unwind-tables -fPIC -Iinclude -MMD -MP
# Code of the runtime: switched stacks bear no canaries, and thread-locals are one load.
RT     := $(BASE) -fvisibility=hidden -ftls-model=initial-exec -fno-stack-protector -fno-plt -Isrc \
	$(if $(filter address thread,$(SAN)),-DRT0_SAN_HOOKS)
CORE   := $(RT) -ffreestanding $(if $(findstring gcc,$(CC)),-fno-reorder-functions)
RTTEXT := objcopy --rename-section .text=rt0_text --rename-section .text.unlikely.=rt0_text
HOSTED := -Wl,--wrap=main $(B)/rt0_main.o $(B)/librt0.a -lpthread -ldl

SRCS   := $(filter-out src/arch/% src/os/% src/posix/%,$(wildcard src/*/*.c)) \
	$(wildcard src/arch/$(ARCH)/*.[cs] src/os/$(OS)/*.[cs])
ENTRY  := src/arch/$(ARCH)/rt0_$(OS)_$(ARCH).s
OBJS   := $(patsubst %,$(B)/%.o,$(filter-out src/libc/rt0_main.c $(ENTRY),$(SRCS)))
POSIX  := $(patsubst %,$(B)/%.o,$(wildcard src/posix/*.c))
TOOLS  := $(patsubst %,$(B)/%.o,tools/rt0.c $(filter-out %/mkoptab.c,$(wildcard tools/asm/*.c)))
UNIT   := $(patsubst %,$(B)/%.o,$(wildcard tests/unit/*.c) tests/harness/unit.c)

all: $(B)/librt0.a $(B)/librt0.so $(B)/librt0_posix.a $(B)/librt0_posix.so $(B)/rt0_main.o $(B)/rt0_pure.o $(B)/bin/rt0
	@$(if $(filter 0,$(DEBUG)$(SAN)),mkdir -p bin && ln -sfn '$(abspath $(B))/bin/rt0' bin/rt0,:)

# Stamps: other flags, or a source that came or went, build again what depends on them.
$(B)/flags: TEXT = $(CC) $(CORE) $(RTTEXT)
$(B)/sources: TEXT = $(OBJS) $(POSIX)
$(B)/flags $(B)/sources: FORCE
	@mkdir -p $(@D); echo '$(TEXT)' | cmp -s - $@ || echo '$(TEXT)' > $@
$(B)/src/libc/%.c.o: src/libc/%.c $(B)/flags
	@mkdir -p $(@D); $(CC) $(RT) -c -o $@ $<
$(B)/src/posix/%.c.o: src/posix/%.c $(B)/flags
	@mkdir -p $(@D); $(CC) $(RT) -U_FORTIFY_SOURCE -c -o $@ $<
# Assembly is in Go's language (docs/asm.md): the rt0 command, built first, assembles it, and makes go_asm.h,
# the fields of C structs, from headers.
ASMHDR := src/runtime.h src/runtime2.h include/rt0/panic.h
$(B)/go_asm.h: $(ASMHDR) $(wildcard src/*.h src/*/*.h include/*.h include/rt0/*.h) $(B)/flags $(B)/bin/rt0
	@RT0_CC='$(CC)' $(B)/bin/rt0 asm $(ASMHDR:%=-offsets %) -o $@ $(filter-out -M%,$(CORE))
$(B)/src/%.s.o: src/%.s $(B)/go_asm.h
	@mkdir -p $(@D); $(B)/bin/rt0 asm -c -pic -hidden -tls runtime_tls_g $(if $(findstring -g,$(CFLAGS)),,-g0) \
		-I$(B) $(filter -DRT0%,$(RT)) -o $@ $<
	@$(RTTEXT) $@
$(B)/src/%.o: src/% $(B)/flags
	@mkdir -p $(@D); $(CC) $(CORE) -c -o $@ $<
	@$(RTTEXT) $@
$(B)/tests/%.o: tests/% $(B)/flags
	@mkdir -p $(@D); $(CC) $(BASE) -fstack-clash-protection -Isrc -Itests/harness -c -o $@ $<
$(B)/rt0_main.o: $(B)/src/libc/rt0_main.c.o
	@cp $< $@
$(B)/rt0_pure.o: $(B)/$(ENTRY).o
	@cp $< $@
$(B)/librt0.a: $(OBJS) $(B)/sources
	@rm -f $@; $(AR) rcs $@ $(OBJS); echo '  $@'
$(B)/librt0.so: $(OBJS) $(B)/sources tools/pkg/librt0.map
	@$(CC) $(SANFLAGS) -shared -Wl,-soname,$(SO) -Wl,-z,now,-z,nodelete,-Bsymbolic,--version-script=tools/pkg/librt0.map -o $(B)/$(SO) $(OBJS) -lpthread -ldl
	@ln -sfn $(SO) $@; echo '  $@'
# Neither needs librt0: it finds the runtime of the process that it is in.
$(B)/librt0_posix.a: $(POSIX) $(B)/sources
	@rm -f $@; $(AR) rcs $@ $(POSIX); echo '  $@'
$(B)/librt0_posix.so: $(POSIX) $(B)/sources
	@$(CC) $(SANFLAGS) -shared -Wl,-soname,$(SO:librt0%=librt0_posix%) -Wl,-z,now,-z,nodelete -o $(B)/$(SO:librt0%=librt0_posix%) $(POSIX) -lpthread -ldl
	@ln -sfn $(SO:librt0%=librt0_posix%) $@; echo '  $@'
# The rt0 command, with the assembler in it. Its table of instructions is made of text.
$(B)/optab.h: tools/asm/mkoptab.c $(wildcard tools/asm/amd64/*.tbl)
	@mkdir -p $(@D); $(CC) -std=gnu11 -O1 -Wall -Wextra -o $(B)/mkoptab $< && $(B)/mkoptab $(filter %.tbl,$^) > $@.new && mv $@.new $@
$(B)/tools/%.o: tools/% $(B)/flags $(B)/optab.h
	@mkdir -p $(@D); $(CC) -std=gnu11 -D_GNU_SOURCE -O2 -g -Wall -Wextra $(if $(WERROR),-Werror) -MMD -MP -Iinclude -I$(B) \
		-DRT0_BUILDFLAGS='"$(SANFLAGS)"' -c -o $@ $<
$(B)/bin/rt0: $(TOOLS)
	@mkdir -p $(@D); ln -sfn '$(CURDIR)/include' $(B)/include; $(CC) -o $@ $^
$(B)/unit: $(UNIT) $(B)/librt0.a $(B)/rt0_main.o
	@$(CC) $(SANFLAGS) -rdynamic -o $@ $(UNIT) $(HOSTED) -lm -lm
$(B)/runner: tests/harness/runner.c
	@mkdir -p $(@D); $(CC) -std=gnu11 -O2 -g -Wall -Wextra -o $@ $<
-include $(OBJS:.o=.d) $(POSIX:.o=.d) $(UNIT:.o=.d) $(TOOLS:.o=.d) $(B)/src/libc/rt0_main.c.d

RUNNER := $(B)/runner -j $(J) -b $(B) -c $(CC) -d $(DEBUG) $(SAN:%=-s %) $(T:%=-k %)
TESTS  := $(B)/unit tests/prog
testbin: all $(B)/unit $(B)/runner
check: testbin ; @$(RUNNER) $(TESTS)
soak: testbin ; @$(RUNNER) -n $(N) -p 1,2,3,8 $(TESTS)
asan: ; @$(MAKE) --no-print-directory check SAN=address
tsan: ; @$(MAKE) --no-print-directory check SAN=thread
ubsan: ; @$(MAKE) --no-print-directory check SAN=undefined
faults: ; @$(MAKE) --no-print-directory all DEBUG=1 && tests/faults.sh build/$(notdir $(CC))-d1 '$(CC)'
fuzz: all ; @tests/asm.sh $(B) fuzz $(or $(S),600)
torture: all ; @tests/torture.sh $(B) '$(CC)'
test: ; @tests/all.sh
run: all ; @$(B)/bin/rt0 run examples/wordfreq.c /usr/share/common-licenses
bench: all ; @CC='$(CC)' LIB='$(abspath $(B))' bench/run.sh $(T)
model: ; @models/check.sh
lint-symbols: all ; @tests/lint_symbols.sh $(B) $(CC)
format: ; git clang-format -f --extensions c,h # the lines that differ from HEAD
install: all ; @tools/install.sh install $(B) '$(DESTDIR)' '$(PREFIX)' '$(LIBDIR)' $(VERSION)
uninstall: ; @tools/install.sh uninstall $(B) '$(DESTDIR)' '$(PREFIX)' '$(LIBDIR)' $(VERSION)
clean: ; rm -rf build bin
FORCE:
.PHONY: all testbin check soak asan tsan ubsan faults fuzz torture test run bench model lint-symbols format install uninstall clean FORCE
