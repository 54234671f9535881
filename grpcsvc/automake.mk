# Libraries of their own, so that a program without gRPC (tests, fuzzers) can link
# the codec or the service alone.

noinst_LIBRARIES += grpcsvc/libotdcodec.a
grpcsvc_libotdcodec_a_SOURCES = \
	grpcsvc/codec-encode.c \
	grpcsvc/codec-private.h \
	grpcsvc/codec-quick.c \
	grpcsvc/codec-reply.c \
	grpcsvc/codec.c \
	grpcsvc/codec.h \
	grpcsvc/health-codec.c \
	grpcsvc/health-codec.h \
	grpcsvc/reflection.c \
	grpcsvc/reflection.h
$(grpcsvc_libotdcodec_a_OBJECTS): $(PROTO_C_H)

noinst_LIBRARIES += grpcsvc/libotdsvc.a
grpcsvc_libotdsvc_a_SOURCES = \
	grpcsvc/service-create.c \
	grpcsvc/service-private.h \
	grpcsvc/service-probe.c \
	grpcsvc/service-read.c \
	grpcsvc/service.c \
	grpcsvc/service.h \
	grpcsvc/transport.c \
	grpcsvc/transport.h

# The real transport.
noinst_LIBRARIES += grpcsvc/libotdgrpc.a
grpcsvc_libotdgrpc_a_CPPFLAGS = $(AM_CPPFLAGS) $(GRPC_CFLAGS)
grpcsvc_libotdgrpc_a_SOURCES = \
	grpcsvc/listen.c \
	grpcsvc/listen.h \
	grpcsvc/server-call.c \
	grpcsvc/server-cq.c \
	grpcsvc/server-cq.h \
	grpcsvc/server-mail.c \
	grpcsvc/server-private.h \
	grpcsvc/server-tls.c \
	grpcsvc/server.c \
	grpcsvc/server.h
