# Otklik: what one can ask of make. `make help` lists it.
SHELL = /bin/bash
MAKEFLAGS += --no-builtin-rules --no-print-directory
# All cores, unless the caller says -j or is make itself.
ifeq ($(MAKELEVEL)$(filter -j%,$(MAKEFLAGS)),0)
MAKEFLAGS += --jobs=$(shell nproc)
endif

PREFIX = /usr/local
DESTDIR =
PORT ?= 8080
# Where make run keeps all its state.
DIR = var
# One folder or file of tests; all without it.
T =
# make bench: which one, on what. make fuzz: which one, how long.
NAME =
DATA =
SECONDS = 60
# make test-nginx: a tree of the sources of another nginx; without it Debian's.
NGINX_SOURCES =

BUILD = $(if $(SAN),build-san,build)
CC = gcc

WARNINGS = -Wall -Wextra -Werror
INCLUDES = -Iservices/common -I$(BUILD)/gen -I/usr/include/postgresql
CPPFLAGS = -D_GNU_SOURCE $(INCLUDES)
ifdef SAN
CFLAGS = -std=c11 -O1 -g $(WARNINGS) -fPIE -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined
LDFLAGS = -pie -fsanitize=address,undefined
else
CFLAGS = -std=c11 -O2 -g $(WARNINGS) -fPIE -fstack-protector-strong -D_FORTIFY_SOURCE=2
LDFLAGS = -pie -Wl,-z,relro,-z,now
endif
LDLIBS = -luv -lpq -lyajl -luuid -lcrypto -lm

# A program is a folder of services/ with a main.c; services/common goes into each.
PROGRAMS = $(patsubst services/%/main.c,%,$(wildcard services/*/main.c))
program_file = $(BUILD)/bin/$(if $(filter otklik,$1),otklik,otklik-$1)
objects = $(patsubst %.c,$(BUILD)/obj/%.o,$1)

BINARIES = $(foreach p,$(PROGRAMS),$(call program_file,$p))
LIBRARY = $(BUILD)/libotklik.a
QUERIES = $(patsubst sql/queries/%/,%,$(filter-out sql/queries/common/,$(sort $(dir $(wildcard sql/queries/*/*.sql)))))
QUERY_HEADERS = $(patsubst %,$(BUILD)/gen/%_queries.h,$(QUERIES))
MODULE = $(if $(wildcard ngx_module/config),$(BUILD)/ngx_module/ngx_http_appeal_module.so)
UNIT_SOURCES = $(wildcard tests/unit/*_test.c)
UNIT_TESTS = $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(UNIT_SOURCES))
BENCH_SOURCES = $(wildcard bench/*.c)
BENCH_TOOLS = $(patsubst bench/%.c,$(BUILD)/bench/%,$(BENCH_SOURCES))

.PHONY: all help programs module unit-tests bench-tools install run stop status test test-nginx fresh bench fuzz lint clean
.DELETE_ON_ERROR:
.SECONDARY:

all: programs module
programs: $(BINARIES)
module: $(MODULE)
unit-tests: $(UNIT_TESTS)
bench-tools: $(BENCH_TOOLS)

help:
	@echo 'make                     build into build/ (SAN=1: with sanitizers, into build-san/)'
	@echo 'make run [PORT=8080]     install what is missing, build, start everything under var/'
	@echo 'make stop                stop it; make status: what runs'
	@echo 'make test [T=tests/edge] all tests, or one folder or file, in a throw-away place'
	@echo 'make test-nginx          the edge on an nginx with sanitizers, from Debian'\''s sources or [NGINX_SOURCES=DIR]'
	@echo 'make fresh               both of the above in a minimal Debian root'
	@echo 'make lint [FIX=1]        static checks (FIX=1 formats C first)'
	@echo 'make bench NAME=intake [DATA=FILE]'
	@echo 'make fuzz NAME=fields [SECONDS=60]'
	@echo 'make install [DESTDIR=] [PREFIX=/usr/local]'
	@echo 'make clean               remove what was built; var/ stays'

# ---- programs

# $1 program. Its statements and those of sql/queries/common become one table.
define query_rules
$(BUILD)/gen/$1_queries.h: scripts/embed-sql sql/queries/$1 $(wildcard sql/queries/common) $(wildcard sql/queries/$1/*.sql sql/queries/common/*.sql)
	@mkdir -p $$(@D)
	scripts/embed-sql $1 $$@ $$(@:.h=.c) $$(filter %.sql,$$^)
$(BUILD)/gen/$1_queries.c: $(BUILD)/gen/$1_queries.h ;
endef
$(foreach q,$(QUERIES),$(eval $(call query_rules,$q)))

# $1 program
define program_rules
$(call program_file,$1): $(call objects,$(wildcard services/$1/*.c)) $(if $(filter $1,$(QUERIES)),$(BUILD)/obj/gen/$1_queries.o) $(LIBRARY)
	@mkdir -p $$(@D)
	$$(CC) $$(LDFLAGS) -o $$@ $$^ $$(PROGRAM_LIBS) $$(LDLIBS)
endef
$(foreach p,$(PROGRAMS),$(eval $(call program_rules,$p)))
# It writes key files: what a network is, the edge says.
$(call program_file,otklik): $(call objects,ngx_module/networks.c)
$(call program_file,otklik): PROGRAM_LIBS = -lcurl -lz

# It reads pictures: with the libraries for that, and none of the others. Their headers are not ours to mend.
VIPS_INCLUDES = $(shell pkg-config --cflags-only-I vips | sed 's/-I/-isystem /g')
$(call program_file,recoder): LDLIBS = $(shell pkg-config --libs vips) -lseccomp
$(call objects,services/recoder/main.c): INCLUDES += $(VIPS_INCLUDES)

$(LIBRARY): $(call objects,$(wildcard services/common/*.c))
	@rm -f $@
	ar rcs $@ $^

# Not ngx_module: its limits.h would stand before the system's.
$(BUILD)/obj/%.o: %.c | $(QUERY_HEADERS)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(addprefix -I,$(filter-out ngx_module,$(<D))) $(CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/obj/gen/%.o: $(BUILD)/gen/%.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)

# ---- the module of nginx

$(MODULE): scripts/build-module $(wildcard ngx_module/*)
	SAN=$(SAN) scripts/build-module $(@D)

# ---- unit tests: the first lines of each name what is linked into it
# // sources: FILE.c …     // libs: -lX …

# $1 source
define unit_rules
$(patsubst tests/unit/%.c,$(BUILD)/tests/%,$1): $(call objects,$1 $(shell sed -n 's:^// sources\: *::p;10q' $1))
	@mkdir -p $$(@D)
	$$(CC) $$(LDFLAGS) -o $$@ $$(filter %.o,$$^) $(shell sed -n 's:^// libs\: *::p;10q' $1) -lcmocka
$(call objects,$1): INCLUDES += $(addprefix -iquote ,$(sort $(dir $(shell sed -n 's:^// sources\: *::p;10q' $1))))
endef
$(foreach t,$(UNIT_SOURCES),$(eval $(call unit_rules,$t)))

# ---- what benchmarks need in C, by the same lines

# $1 source
define bench_rules
$(patsubst bench/%.c,$(BUILD)/bench/%,$1): $(call objects,$1 $(shell sed -n 's:^// sources\: *::p;10q' $1))
	@mkdir -p $$(@D)
	$$(CC) $$(LDFLAGS) -o $$@ $$(filter %.o,$$^) $(shell sed -n 's:^// libs\: *::p;10q' $1)
$(call objects,$1): INCLUDES += $(addprefix -iquote ,$(sort $(dir $(shell sed -n 's:^// sources\: *::p;10q' $1))))
endef
$(foreach b,$(BENCH_SOURCES),$(eval $(call bench_rules,$b)))

# ---- fuzzers: libFuzzer with both sanitizers; the first lines name what is linked, as above

# $1 source
define fuzz_rules
$(patsubst tests/fuzz/%_fuzz.c,$(BUILD)/fuzz/%,$1): $1 $(shell sed -n 's:^// sources\: *::p;10q' $1) $(wildcard services/common/*.h ngx_module/*.h)
	@mkdir -p $$(@D)
	clang -std=c11 -O1 -g $$(WARNINGS) -fno-omit-frame-pointer -fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=undefined $$(CPPFLAGS) $(addprefix -iquote ,$(sort $(dir $(shell sed -n 's:^// sources\: *::p;10q' $1)))) \
		-o $$@ $$(filter %.c,$$^) $(shell sed -n 's:^// libs\: *::p;10q' $1)
endef
$(foreach f,$(wildcard tests/fuzz/*_fuzz.c),$(eval $(call fuzz_rules,$f)))

# ---- install

install: all
	scripts/install-tree '$(BUILD)' '$(DESTDIR)' '$(PREFIX)'

# ---- run, test, measure

run:
	@scripts/packages run build
	@$(MAKE) --silent all
	@BUILD=$(BUILD) scripts/stack up '$(DIR)' --port '$(PORT)'

stop:
	@scripts/stack down '$(DIR)'

status:
	@scripts/stack status '$(DIR)'

test:
	@scripts/packages run build test
	@$(MAKE) --silent all unit-tests
	@BUILD=$(BUILD) tests/run $(T)

test-nginx:
	@scripts/packages run build test
	@$(MAKE) --silent all
	@BUILD=$(BUILD) scripts/test-nginx $(NGINX_SOURCES)

fresh:
	@scripts/packages fresh
	@scripts/fresh

bench:
	@test -n '$(NAME)' || { echo 'make bench NAME=… : one of' $(filter-out %.c %.lua peers,$(notdir $(wildcard bench/*))) >&2; exit 2; }
	@scripts/packages run build bench
	@$(MAKE) --silent all bench-tools
	@BUILD=$(BUILD) DATA='$(DATA)' 'bench/$(NAME)' $(DATA)

# What it finds stays in BUILD/fuzz/NAME.corpus for the next time; an input that fails is named and kept.
fuzz:
	@test -f 'tests/fuzz/$(NAME)_fuzz.c' || { \
		echo 'make fuzz NAME=… [SECONDS=60]: one of' $(patsubst tests/fuzz/%_fuzz.c,%,$(wildcard tests/fuzz/*_fuzz.c)) >&2; exit 2; }
	@scripts/packages build fuzz
	@$(MAKE) --silent '$(BUILD)/fuzz/$(NAME)'
	@mkdir -p '$(BUILD)/fuzz/$(NAME).corpus'
	@'$(BUILD)/fuzz/$(NAME)' -max_total_time='$(SECONDS)' -timeout=10 -print_final_stats=1 \
		-artifact_prefix='$(BUILD)/fuzz/$(NAME)-' $(addprefix -dict=,$(wildcard tests/fuzz/$(NAME).dict)) \
		'$(BUILD)/fuzz/$(NAME).corpus'

lint:
	@scripts/packages build lint
	@$(MAKE) --silent $(QUERY_HEADERS)
	@BUILD=$(BUILD) scripts/lint $(if $(FIX),--fix)

clean:
	rm -rf build build-san
