# The system call filter, compiled once for this architecture. Included by ../Makefile.
SECCOMP := $(wildcard launcher/seccomp/*.c launcher/seccomp/*.h)

all: $(BUILD)/seccomp.bpf

$(BUILD)/seccomp-compile: $(SECCOMP)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CSTANDARD) -O1 -o $@ launcher/seccomp/compile.c

# Renamed into place: a launcher that starts meanwhile reads a whole filter.
$(BUILD)/seccomp.bpf: $(BUILD)/seccomp-compile
	$< >$@.new
	mv $@.new $@
