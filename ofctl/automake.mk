noinst_LIBRARIES += ofctl/libotdofctl.a
ofctl_libotdofctl_a_SOURCES = \
	ofctl/appctl-client.c \
	ofctl/appctl-client.h \
	ofctl/compat.h \
	ofctl/messages.c \
	ofctl/messages.h \
	ofctl/ovsdb.c \
	ofctl/ovsdb.h \
	ofctl/session.c \
	ofctl/session.h
