noinst_LIBRARIES += flows/libotdflows.a
flows_libotdflows_a_SOURCES = \
	flows/compile.c \
	flows/compile.h \
	flows/decode.c \
	flows/decode.h \
	flows/flow.c \
	flows/flow.h \
	flows/pipeline.c \
	flows/pipeline.h
