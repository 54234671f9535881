# SPDX-License-Identifier: Apache-2.0
# Nothing here is built in advance: lab/lab compiles what it needs.
EXTRA_DIST += \
	lab/README.md \
	lab/clockjump.c \
	lab/demo.sh \
	lab/flood.c \
	lab/init \
	lab/lab \
	lab/lib.sh \
	lab/ns.c \
	lab/selftest.sh
