#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The generated parts of the documents.

    docs-sections.py check|update DIR FILE...

A part of a FILE between "<!-- begin NAME: ... -->" and "<!-- end NAME -->" is what
DIR/NAME holds: "update" writes it there, "check" compares. Every file of DIR must
be used. Prints a diff for each document that differs; the status is 1 then.
"""

import difflib
import os
import re
import sys

SECTION = re.compile(r"(<!-- begin (\S+): [^\n]* -->\n)(.*?)(<!-- end \2 -->\n)",
                     re.S)


def main():
    if len(sys.argv) < 4 or sys.argv[1] not in ("check", "update"):
        sys.exit(__doc__)
    update, where = sys.argv[1] == "update", sys.argv[2]
    used, status = set(), 0

    def replace(m):
        used.add(m.group(2))
        try:
            with open(os.path.join(where, m.group(2)), encoding="utf-8") as f:
                return m.group(1) + f.read() + m.group(4)
        except FileNotFoundError:
            sys.exit("%s: nobody makes the section %s" % (name, m.group(2)))

    for name in sys.argv[3:]:
        with open(name, encoding="utf-8") as f:
            old = f.read()
        new = SECTION.sub(replace, old)
        if new == old:
            continue
        if update:
            with open(name, "w", encoding="utf-8") as f:
                f.write(new)
        else:
            status = 1
            sys.stdout.writelines(difflib.unified_diff(
                old.splitlines(True), new.splitlines(True), name,
                "what the programs say now"))
    unused = sorted(set(os.listdir(where)) - used)
    if unused:
        print("in no document: " + " ".join(unused))
        status = 1
    sys.exit(status)


main()
