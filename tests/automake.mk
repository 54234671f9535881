
# What every shell test sources.
EXTRA_DIST += tests/sandbox-lib.sh tests/tap.sh

# The compiler's golden test.
check_PROGRAMS += tests/golden/compile
tests_golden_compile_SOURCES = tests/golden/compile.c
tests_golden_compile_LDADD = \
	flows/libotdflows.a \
	tunnel/libotdtunnel.a \
	lib/libotdlib.a \
	$(OVS_LIBS)
EXTRA_DIST += tests/golden/compile.txt
dist_check_SCRIPTS += tests/golden/run.sh
TESTS += tests/golden/run.sh

# The sandbox itself, and the engine in it.
dist_check_SCRIPTS += \
	tests/sandbox-engine.sh \
	tests/sandbox-faults.sh \
	tests/sandbox-selftest.sh \
	tests/sandbox-store.sh
TESTS += \
	tests/sandbox-engine.sh \
	tests/sandbox-faults.sh \
	tests/sandbox-selftest.sh \
	tests/sandbox-store.sh

# Tests with packets, in the lab (lab/README.md): "./run check" runs them.
EXTRA_DIST += tests/lab

# ./run mutate
EXTRA_DIST += tests/mutate

# The model and the codec, alone.
CODEC_TESTS = \
	tests/unit/test-codec \
	tests/unit/test-codec-bytes \
	tests/unit/test-codec-quick \
	tests/unit/test-fault \
	tests/unit/test-merge \
	tests/unit/test-reply \
	tests/unit/test-tunnel
CODEC_TEST_LIBS = \
	grpcsvc/libotdcodec.a \
	proto/libotdproto.a \
	tunnel/libotdtunnel.a \
	lib/libotdlib.a \
	$(PROTOBUF_C_LIBS) $(OVS_LIBS)
SPEC_FIXTURE = tests/unit/spec-fixture.c tests/unit/spec-fixture.h
WIRE = tests/unit/wire.c tests/unit/wire.h
CODEC_FIXTURE = tests/unit/codec-fixture.c tests/unit/codec-fixture.h \
	$(SPEC_FIXTURE) $(WIRE)

if HAVE_CHECK
check_PROGRAMS += $(CODEC_TESTS)
TESTS += $(CODEC_TESTS)
endif
tests_unit_test_codec_SOURCES = tests/unit/test-codec.c $(CODEC_FIXTURE)
tests_unit_test_codec_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_unit_test_codec_LDADD = $(CODEC_TEST_LIBS) $(CHECK_LIBS)
tests_unit_test_codec_bytes_SOURCES = tests/unit/test-codec-bytes.c \
	$(CODEC_FIXTURE)
tests_unit_test_codec_bytes_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_unit_test_codec_bytes_LDADD = $(CODEC_TEST_LIBS) $(CHECK_LIBS)
tests_unit_test_codec_quick_SOURCES = tests/unit/test-codec-quick.c \
	$(CODEC_FIXTURE)
tests_unit_test_codec_quick_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_unit_test_codec_quick_LDADD = $(CODEC_TEST_LIBS) $(CHECK_LIBS)
tests_unit_test_fault_SOURCES = tests/unit/test-fault.c
tests_unit_test_fault_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_unit_test_fault_LDADD = $(CODEC_TEST_LIBS) $(CHECK_LIBS)
tests_unit_test_merge_SOURCES = tests/unit/test-merge.c $(SPEC_FIXTURE)
tests_unit_test_merge_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_unit_test_merge_LDADD = $(CODEC_TEST_LIBS) $(CHECK_LIBS)
tests_unit_test_reply_SOURCES = tests/unit/test-reply.c $(SPEC_FIXTURE) $(WIRE)
tests_unit_test_reply_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_unit_test_reply_LDADD = $(CODEC_TEST_LIBS) $(CHECK_LIBS)
tests_unit_test_tunnel_SOURCES = tests/unit/test-tunnel.c $(SPEC_FIXTURE)
tests_unit_test_tunnel_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_unit_test_tunnel_LDADD = $(CODEC_TEST_LIBS) $(CHECK_LIBS)

# The fuzz target for requests: configure with CC=clang
# CFLAGS="-g -O1 -fsanitize=fuzzer-no-link" --with-sanitizers=address,undefined,
# then "make fuzz-request-run FUZZ_SECONDS=60".
EXTRA_PROGRAMS = tests/fuzz/fuzz-request tests/fuzz/make-corpus
tests_fuzz_fuzz_request_SOURCES = tests/fuzz/fuzz-request.c
tests_fuzz_fuzz_request_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_request_LDADD = $(CODEC_TEST_LIBS)
tests_fuzz_make_corpus_SOURCES = tests/fuzz/make-corpus.c $(SPEC_FIXTURE)
tests_fuzz_make_corpus_LDADD = $(CODEC_TEST_LIBS)
FUZZ_SECONDS = 60
fuzz-request-run: tests/fuzz/fuzz-request tests/fuzz/make-corpus
	$(AM_V_at)$(MKDIR_P) tests/fuzz/corpus-request && \
	tests/fuzz/make-corpus tests/fuzz/corpus-request && \
	tests/fuzz/fuzz-request -max_len=2048 -timeout=10 \
	    -max_total_time=$(FUZZ_SECONDS) tests/fuzz/corpus-request
.PHONY: fuzz-request-run
print-fuzz:
	@echo $(patsubst tests/fuzz/%$(EXEEXT),%,$(filter tests/fuzz/fuzz-%,$(EXTRA_PROGRAMS)))
.PHONY: print-fuzz
CLEANFILES += $(EXTRA_PROGRAMS)

# The transport: the mailbox alone, then all of it with an independent client.
# tests/transport-load measures what it can carry by itself.
FAKE_TRANSPORT = tests/fake-transport.c tests/fake-transport.h
TRANSPORT_TESTS = \
	tests/unit/test-fake-transport \
	tests/unit/test-mailbox
if HAVE_CHECK
check_PROGRAMS += $(TRANSPORT_TESTS)
TESTS += $(TRANSPORT_TESTS)
endif
tests_unit_test_fake_transport_SOURCES = \
	tests/unit/test-fake-transport.c $(FAKE_TRANSPORT)
tests_unit_test_fake_transport_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_unit_test_fake_transport_LDADD = \
	lib/libotdlib.a $(CHECK_LIBS) $(OVS_LIBS)
tests_unit_test_mailbox_SOURCES = tests/unit/test-mailbox.c
tests_unit_test_mailbox_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_unit_test_mailbox_LDADD = \
	lib/libotdlib.a $(CHECK_LIBS) $(OVS_LIBS)

check_PROGRAMS += tests/transport-echo tests/transport-load
dist_check_SCRIPTS += tests/transport.py
TESTS += tests/transport.py
EXTRA_DIST += tests/transport.supp
tests_transport_echo_SOURCES = tests/transport-echo.c
tests_transport_echo_LDADD = \
	grpcsvc/libotdgrpc.a \
	grpcsvc/libotdsvc.a \
	lib/libotdlib.a \
	$(GRPC_LIBS) $(OVS_LIBS)
tests_transport_load_SOURCES = tests/transport-load.c
tests_transport_load_LDADD = cli/libotdchannel.a $(GRPC_LIBS)

# ofctl/: messages and session alone, then against a real Open vSwitch.
OFCTL_TESTS = \
	tests/unit/test-compile \
	tests/unit/test-flow \
	tests/unit/test-index \
	tests/unit/test-ofctl \
	tests/unit/test-session
OFCTL_TEST_LIBS = ofctl/libotdofctl.a flows/libotdflows.a
if HAVE_CHECK
check_PROGRAMS += $(OFCTL_TESTS)
TESTS += $(OFCTL_TESTS)
endif
tests_unit_test_compile_SOURCES = tests/unit/test-compile.c $(SPEC_FIXTURE)
tests_unit_test_compile_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_unit_test_compile_LDADD = \
	ofctl/libotdofctl.a \
	flows/libotdflows.a \
	tunnel/libotdtunnel.a \
	lib/libotdlib.a \
	$(CHECK_LIBS) $(OVS_LIBS)
tests_unit_test_index_SOURCES = tests/unit/test-index.c
tests_unit_test_index_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_unit_test_index_LDADD = engine/libotdengine.a $(CHECK_LIBS) $(OVS_LIBS)
tests_unit_test_flow_SOURCES = tests/unit/test-flow.c
tests_unit_test_flow_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_unit_test_flow_LDADD = $(OFCTL_TEST_LIBS) $(CHECK_LIBS) $(OVS_LIBS)
tests_unit_test_ofctl_SOURCES = tests/unit/test-ofctl.c
tests_unit_test_ofctl_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_unit_test_ofctl_LDADD = $(OFCTL_TEST_LIBS) $(CHECK_LIBS) $(OVS_LIBS)
tests_unit_test_session_SOURCES = tests/unit/test-session.c
tests_unit_test_session_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_unit_test_session_LDADD = $(OFCTL_TEST_LIBS) $(CHECK_LIBS) $(OVS_LIBS)

check_PROGRAMS += tests/ofctl-live
dist_check_SCRIPTS += tests/ofctl-live.sh
TESTS += tests/ofctl-live.sh
tests_ofctl_live_SOURCES = tests/ofctl-live.c
tests_ofctl_live_LDADD = $(OFCTL_TEST_LIBS) $(OVS_LIBS)

# The durable table.
if HAVE_CHECK
check_PROGRAMS += tests/unit/test-durable tests/unit/test-store
TESTS += tests/unit/test-durable tests/unit/test-store
endif
tests_unit_test_durable_SOURCES = tests/unit/test-durable.c
tests_unit_test_durable_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_unit_test_durable_LDADD = \
	store/libotdstore.a lib/libotdlib.a \
	$(CHECK_LIBS) $(SQLITE_LIBS) $(OVS_LIBS)
tests_unit_test_store_SOURCES = \
	tests/unit/store-fixture.c \
	tests/unit/store-fixture.h \
	tests/unit/test-store-faults.c \
	tests/unit/test-store.c
tests_unit_test_store_CPPFLAGS = \
	$(AM_CPPFLAGS) $(CHECK_CFLAGS) $(SQLITE_CFLAGS)
tests_unit_test_store_LDADD = \
	store/libotdstore.a lib/libotdlib.a \
	$(CHECK_LIBS) $(SQLITE_LIBS) $(OVS_LIBS)

# The command line, without a server.
CLI_TEST_LIBS = \
	cli/libotdcli.a \
	proto/libotdproto.a \
	flows/libotdflows.a \
	lib/libotdlib.a \
	$(CHECK_LIBS) $(PROTOBUF_C_LIBS) $(OVS_LIBS)
if HAVE_CHECK
check_PROGRAMS += tests/unit/test-cli-request tests/unit/test-cli-text
TESTS += tests/unit/test-cli-request tests/unit/test-cli-text
endif
tests_unit_test_cli_request_SOURCES = tests/unit/test-cli-request.c $(WIRE)
tests_unit_test_cli_request_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_unit_test_cli_request_LDADD = $(CLI_TEST_LIBS)
tests_unit_test_cli_text_SOURCES = tests/unit/test-cli-text.c
tests_unit_test_cli_text_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_unit_test_cli_text_LDADD = $(CLI_TEST_LIBS)

dist_check_SCRIPTS += tests/cli-completion.sh tests/sandbox-cli.sh
TESTS += tests/cli-completion.sh tests/sandbox-cli.sh

# The service, without gRPC and without a switch.
if HAVE_CHECK
check_PROGRAMS += tests/unit/test-service
TESTS += tests/unit/test-service
endif
tests_unit_test_service_SOURCES = \
	tests/fake-engine.c \
	tests/fake-engine.h \
	tests/unit/service-fixture.c \
	tests/unit/service-fixture.h \
	tests/unit/test-service-read.c \
	tests/unit/test-service.c \
	$(FAKE_TRANSPORT) $(SPEC_FIXTURE) $(WIRE)
tests_unit_test_service_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
tests_unit_test_service_LDADD = \
	grpcsvc/libotdsvc.a $(CODEC_TEST_LIBS) $(CHECK_LIBS)

# The API and the daemon, as an independent client and a shell see them.
EXTRA_DIST += tests/client
dist_check_SCRIPTS += \
	tests/sandbox-api.sh \
	tests/sandbox-daemon.sh \
	tests/sandbox-model.sh
TESTS += \
	tests/sandbox-api.sh \
	tests/sandbox-daemon.sh \
	tests/sandbox-model.sh

# The fuzz target for files of requests; configured like fuzz-request.
EXTRA_PROGRAMS += tests/fuzz/fuzz-json
EXTRA_DIST += tests/fuzz/seed.json
tests_fuzz_fuzz_json_SOURCES = tests/fuzz/fuzz-json.c
tests_fuzz_fuzz_json_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_json_LDADD = \
	cli/libotdcli.a proto/libotdproto.a flows/libotdflows.a \
	lib/libotdlib.a $(PROTOBUF_C_LIBS) $(OVS_LIBS)
fuzz-json-run: tests/fuzz/fuzz-json
	$(AM_V_at)$(MKDIR_P) tests/fuzz/corpus-json && \
	cp $(srcdir)/tests/fuzz/seed.json tests/fuzz/corpus-json/ && \
	tests/fuzz/fuzz-json -max_len=2048 -timeout=10 \
	    -max_total_time=$(FUZZ_SECONDS) tests/fuzz/corpus-json
.PHONY: fuzz-json-run

# The fuzz target for the life of calls; configured like fuzz-request.
EXTRA_PROGRAMS += tests/fuzz/fuzz-service
tests_fuzz_fuzz_service_SOURCES = \
	tests/fake-engine.c \
	tests/fake-engine.h \
	tests/fuzz/fuzz-service.c \
	$(FAKE_TRANSPORT) $(SPEC_FIXTURE)
tests_fuzz_fuzz_service_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_service_LDADD = grpcsvc/libotdsvc.a $(CODEC_TEST_LIBS)
fuzz-service-run: tests/fuzz/fuzz-service
	$(AM_V_at)$(MKDIR_P) tests/fuzz/corpus-service && \
	tests/fuzz/fuzz-service -max_len=512 -timeout=10 \
	    -max_total_time=$(FUZZ_SECONDS) tests/fuzz/corpus-service
.PHONY: fuzz-service-run

include tests/bench/automake.mk
