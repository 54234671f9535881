# At the top of the build tree, where the tests and the lab expect it.
sbin_PROGRAMS += ovs-tunneld
ovs_tunneld_SOURCES = \
	daemon/listener.c \
	daemon/listener.h \
	daemon/main.c \
	daemon/notify.c \
	daemon/notify.h \
	daemon/options.c \
	daemon/options.h
ovs_tunneld_CPPFLAGS = $(AM_CPPFLAGS) -DOTD_VERSION='"$(VERSION)"'
ovs_tunneld_LDADD = \
	engine/libotdengine.a \
	grpcsvc/libotdsvc.a \
	grpcsvc/libotdcodec.a \
	grpcsvc/libotdgrpc.a \
	proto/libotdproto.a \
	store/libotdstore.a \
	ofctl/libotdofctl.a \
	flows/libotdflows.a \
	tunnel/libotdtunnel.a \
	lib/libotdlib.a \
	$(GRPC_LIBS) $(PROTOBUF_C_LIBS) $(SQLITE_LIBS) $(OVS_LIBS)

dist_man_MANS += daemon/ovs-tunneld.8
EXTRA_DIST += daemon/ovs-tunneld.service
