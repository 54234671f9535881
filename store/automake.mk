noinst_LIBRARIES += store/libotdstore.a
store_libotdstore_a_SOURCES = \
	store/file.c \
	store/file.h \
	store/store.c \
	store/store.h
store_libotdstore_a_CPPFLAGS = $(AM_CPPFLAGS) $(SQLITE_CFLAGS)
