noinst_LIBRARIES += lib/libotdlib.a
lib_libotdlib_a_SOURCES = \
	lib/fault.c \
	lib/fault.h \
	lib/mailbox.c \
	lib/mailbox.h \
	lib/paths.c \
	lib/paths.h \
	lib/utf8.h
