# What is pure, for the tests.
noinst_LIBRARIES += cli/libotdcli.a
cli_libotdcli_a_SOURCES = \
	cli/bytes.c \
	cli/input.c \
	cli/input.h \
	cli/links.c \
	cli/links.h \
	cli/message.c \
	cli/message.h \
	cli/print.c \
	cli/print.h \
	cli/progress.c \
	cli/progress.h \
	cli/request.c \
	cli/request.h \
	cli/trace.c \
	cli/trace.h
$(cli_libotdcli_a_OBJECTS): $(PROTO_C_H)

# The gRPC client, for the load generators, too.
noinst_LIBRARIES += cli/libotdchannel.a
cli_libotdchannel_a_CPPFLAGS = $(AM_CPPFLAGS) $(GRPC_CFLAGS)
cli_libotdchannel_a_SOURCES = \
	cli/channel-open.c \
	cli/channel-private.h \
	cli/channel.c \
	cli/channel.h

bin_PROGRAMS += ovs-tunnelctl
ovs_tunnelctl_CPPFLAGS = $(AM_CPPFLAGS) -DOTD_VERSION='"$(VERSION)"'
ovs_tunnelctl_SOURCES = \
	cli/chains.c \
	cli/ctl.c \
	cli/ctl.h \
	cli/local.c \
	cli/main.c \
	cli/read.c \
	cli/stats.c \
	cli/stats.h \
	cli/write.c
$(ovs_tunnelctl_OBJECTS): $(PROTO_C_H)
ovs_tunnelctl_LDADD = \
	cli/libotdcli.a \
	cli/libotdchannel.a \
	proto/libotdproto.a \
	ofctl/libotdofctl.a \
	flows/libotdflows.a \
	lib/libotdlib.a \
	$(GRPC_LIBS) $(PROTOBUF_C_LIBS) $(OVS_LIBS)

dist_man_MANS += cli/ovs-tunnelctl.8
bashcompletiondir = $(datadir)/bash-completion/completions
dist_bashcompletion_DATA = cli/ovs-tunnelctl-completion.bash
install-data-hook:
	cd '$(DESTDIR)$(bashcompletiondir)' && \
	mv ovs-tunnelctl-completion.bash ovs-tunnelctl
uninstall-hook:
	rm -f '$(DESTDIR)$(bashcompletiondir)/ovs-tunnelctl'
