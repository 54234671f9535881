# The benchmarks: "make bench", or 'make bench BENCH_FLAGS="--tunnels 10000"' and so on.
BENCHES = \
	tests/bench/bench-ctl \
	tests/bench/bench-load \
	tests/bench/bench-raw
EXTRA_PROGRAMS += $(BENCHES)
EXTRA_DIST += tests/bench/bench.sh

tests_bench_bench_ctl_SOURCES = \
	tests/bench/ctl.c \
	tests/bench/tunnels.h
tests_bench_bench_ctl_LDADD = $(OVS_LIBS)
tests_bench_bench_load_SOURCES = \
	tests/bench/load.c \
	tests/bench/tunnels.h
tests_bench_bench_load_LDADD = \
	cli/libotdchannel.a \
	proto/libotdproto.a \
	$(GRPC_LIBS) $(PROTOBUF_C_LIBS) $(OVS_LIBS)
$(tests_bench_bench_load_OBJECTS): $(PROTO_C_HEADERS)
tests_bench_bench_raw_SOURCES = tests/bench/raw.c
tests_bench_bench_raw_LDADD = $(OVS_LIBS)

BENCH_FLAGS = --million
bench: ovs-tunneld $(BENCHES)
	$(AM_V_at)OTD_BUILDDIR='$(abs_top_builddir)' OTD_OVS='$(OVS_SRC)' \
	    '$(srcdir)/tests/bench/bench.sh' $(BENCH_FLAGS)
.PHONY: bench
