# SPDX-License-Identifier: Apache-2.0

# OTD_CHECK_OVS
#
# --with-ovs-source=DIR names a configured and built Open vSwitch tree: the
# installed headers do not have the IDL, unixctl, the daemon helpers and streams.
AC_DEFUN([OTD_CHECK_OVS],
  [AC_ARG_WITH([ovs-source],
     [AS_HELP_STRING([--with-ovs-source=DIR],
        [a built Open vSwitch source tree (build-aux/get-ovs makes one)])],
     [], [with_ovs_source=])
   AS_CASE([$with_ovs_source],
     [''|yes|no],
     [AC_MSG_ERROR([--with-ovs-source=DIR is needed: a built Open vSwitch tree (build-aux/get-ovs makes one and prints its name)])])
   AC_MSG_CHECKING([for a built Open vSwitch tree])
   OVS_SRC=`cd "$with_ovs_source" 2>/dev/null && pwd`
   AS_IF([test -z "$OVS_SRC"],
     [AC_MSG_ERROR([--with-ovs-source=$with_ovs_source: no such directory])])
   for otd_f in lib/ovsdb-idl.h include/openvswitch/ofp-flow.h; do
     AS_IF([test -f "$OVS_SRC/$otd_f"], [],
       [AC_MSG_ERROR([$OVS_SRC is no Open vSwitch source tree: it has no $otd_f])])
   done
   AS_IF([test -f "$OVS_SRC/config.h"], [],
     [AC_MSG_ERROR([$OVS_SRC is not configured: it has no config.h])])
   AS_IF([test -f "$OVS_SRC/lib/.libs/libopenvswitch.a" && test -f "$OVS_SRC/lib/vswitch-idl.h"], [],
     [AC_MSG_ERROR([$OVS_SRC is configured but not built: it has no lib/.libs/libopenvswitch.a])])
   OVS_VERSION=`sed -n 's/^#define VERSION "\(.*\)"/\1/p' "$OVS_SRC/config.h"`
   AC_MSG_RESULT([$OVS_SRC ($OVS_VERSION)])
   OVS_CPPFLAGS="-I$OVS_SRC -I$OVS_SRC/include -I$OVS_SRC/lib"
   OVS_LIBS="$OVS_SRC/lib/.libs/libopenvswitch.a"
   # x86-64 only: newer versions have it inside the main library.
   AS_IF([test -f "$OVS_SRC/lib/.libs/libopenvswitchavx512.a"],
     [OVS_LIBS="$OVS_LIBS $OVS_SRC/lib/.libs/libopenvswitchavx512.a"])
   # What a static link of the library needs beyond it, from its own .la file.
   otd_deps=`sed -n "s/^dependency_libs='\(.*\)'/\1/p" "$OVS_SRC/lib/libopenvswitch.la" | tr ' ' '\n' | grep '^-l' | tr '\n' ' '`
   OVS_LIBS="$OVS_LIBS $otd_deps -lm -lpthread"
   AC_SUBST([OVS_SRC])
   AC_SUBST([OVS_VERSION])
   AC_SUBST([OVS_CPPFLAGS])
   AC_SUBST([OVS_LIBS])])

# OTD_COMPILER_FLAGS
#
# Warnings are errors in a git checkout, not in a release tarball.
AC_DEFUN([OTD_COMPILER_FLAGS],
  [AC_ARG_ENABLE([Werror],
     [AS_HELP_STRING([--enable-Werror], [warnings are errors (default: in a git checkout)])],
     [], [AS_IF([test -e "$srcdir/.git"], [enable_Werror=yes], [enable_Werror=no])])
   AC_ARG_WITH([sanitizers],
     [AS_HELP_STRING([--with-sanitizers=LIST], [address,undefined or thread])],
     [], [with_sanitizers=no])
   WARN_CFLAGS="-Wall -Wextra -Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers -Wshadow -Wstrict-prototypes -Wold-style-definition -Wmissing-prototypes -Wpointer-arith -Wformat -Wformat-security -Wswitch-enum -Wvla"
   AS_IF([test "$enable_Werror" = yes], [WARN_CFLAGS="$WARN_CFLAGS -Werror"])
   SAN_CFLAGS=
   AS_IF([test "$with_sanitizers" != no && test -n "$with_sanitizers"],
     [SAN_CFLAGS="-fsanitize=$with_sanitizers -fno-omit-frame-pointer -fno-sanitize-recover=all"
      AS_CASE([$with_sanitizers], [*undefined*], [SAN_CFLAGS="$SAN_CFLAGS -fno-sanitize=alignment"])])
   # clang's thread safety analysis of OVS_GUARDED_BY and OVS_REQUIRES.
   AC_MSG_CHECKING([for -Wthread-safety])
   otd_save=$CFLAGS
   CFLAGS="$CFLAGS -Werror -Wthread-safety"
   AC_COMPILE_IFELSE([AC_LANG_PROGRAM([], [])],
     [WARN_CFLAGS="$WARN_CFLAGS -Wthread-safety"; AC_MSG_RESULT([yes])],
     [AC_MSG_RESULT([no])])
   CFLAGS=$otd_save
   AC_SUBST([WARN_CFLAGS])
   AC_SUBST([SAN_CFLAGS])])
