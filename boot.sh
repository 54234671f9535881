#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Generates configure and Makefile.in (git checkouts only).
set -e
cd "$(dirname "$0")"
mkdir -p build-aux/autotools
exec autoreconf --install --force
