noinst_LIBRARIES += engine/libotdengine.a
engine_libotdengine_a_SOURCES = \
	engine/apply.c \
	engine/counters.c \
	engine/engine.c \
	engine/engine.h \
	engine/group.c \
	engine/index.c \
	engine/index.h \
	engine/inspect.c \
	engine/internal.h \
	engine/spool.c \
	engine/stage.c \
	engine/sync.c \
	engine/table.c \
	engine/tlv.c \
	engine/txn.c
