noinst_LIBRARIES += tunnel/libotdtunnel.a
tunnel_libotdtunnel_a_SOURCES = \
	tunnel/check.c \
	tunnel/codec.h \
	tunnel/match-key.c \
	tunnel/merge.c \
	tunnel/parse.c \
	tunnel/spec.c \
	tunnel/spec.h
