# SPDX-License-Identifier: Apache-2.0
EXTRA_DIST += \
	docs/architecture.md \
	docs/benchmarks.md \
	docs/design-notes.md \
	docs/errors.md \
	docs/pipeline.md \
	docs/testing.md

# The documents say what the programs say.
check_PROGRAMS += tests/print-pipeline
tests_print_pipeline_SOURCES = tests/print-pipeline.c
EXTRA_DIST += tests/docs-sections.py
dist_check_SCRIPTS += tests/sandbox-docs.sh
TESTS += tests/sandbox-docs.sh
