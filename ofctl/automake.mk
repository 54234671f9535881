# SPDX-License-Identifier: Apache-2.0
noinst_LIBRARIES += ofctl/libotdofctl.a
ofctl_libotdofctl_a_SOURCES = \
	ofctl/appctl-client.c \
	ofctl/appctl-client.h \
	ofctl/compat.h \
	ofctl/messages.c \
	ofctl/messages.h \
	ofctl/ovsdb.c \
	ofctl/ovsdb.h \
	ofctl/ovsdb-ports.c \
	ofctl/ovsdb-private.h \
	ofctl/ovsdb-settings.c \
	ofctl/session.c \
	ofctl/session.h
