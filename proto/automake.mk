# SPDX-License-Identifier: Apache-2.0
#
# C code and descriptors are generated in the build directory, never in srcdir.
noinst_LIBRARIES += proto/libotdproto.a

PROTO_FILES = \
	proto/health.proto \
	proto/reflection-v1alpha.proto \
	proto/reflection.proto \
	proto/tunneloffload.proto
# v1alpha and v1 of reflection are the same on the wire: one is compiled, both
# are described.
PROTO_C_H = \
	proto/health.pb-c.h \
	proto/reflection.pb-c.h \
	proto/tunneloffload.pb-c.h
PROTO_C_C = \
	proto/health.pb-c.c \
	proto/reflection.pb-c.c \
	proto/tunneloffload.pb-c.c

EXTRA_DIST += $(PROTO_FILES)
proto_libotdproto_a_SOURCES = proto/descriptor-set.h
nodist_proto_libotdproto_a_SOURCES = \
	$(PROTO_C_C) \
	$(PROTO_C_H) \
	proto/descriptor-set.c
BUILT_SOURCES += $(PROTO_C_H)
CLEANFILES += \
	$(PROTO_C_C) \
	$(PROTO_C_H) \
	proto/descriptor-set.c \
	proto/descriptor-set.pb

SUFFIXES += .proto .pb-c.c .pb-c.h
.proto.pb-c.c:
	$(AM_V_GEN)$(MKDIR_P) $(@D) && \
	$(PROTOC_C) -I$(<D) --c_out=$(@D) $<
# The header comes with the source, and may be the older of the two.
.pb-c.c.pb-c.h:
	@test -f $@ || { rm -f $<; $(MAKE) $(AM_MAKEFLAGS) $<; }
	@touch $@

proto/descriptor-set.pb: $(PROTO_FILES)
	$(AM_V_GEN)$(MKDIR_P) $(@D) && \
	$(PROTOC) -I$(srcdir)/proto --include_imports --descriptor_set_out=$@ \
	    health.proto reflection-v1alpha.proto reflection.proto \
	    tunneloffload.proto
proto/descriptor-set.c: proto/descriptor-set.pb
	$(AM_V_GEN)(echo '#include "proto/descriptor-set.h"' && \
	 echo 'const uint8_t otd_descriptor_set[] = {' && \
	 od -A n -v -t x1 proto/descriptor-set.pb | \
	     sed 's/ *\([0-9a-f][0-9a-f]\)/0x\1,/g' && \
	 echo '};' && \
	 echo 'const size_t otd_descriptor_set_len = sizeof otd_descriptor_set;') \
	    > $@.tmp && mv $@.tmp $@
