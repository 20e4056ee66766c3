#!/usr/bin/env python3
"""A text as an array of C strings, its lines: embed.py NAME TEXT OUTPUT. (One string may be too long for C11.)"""

import sys

name, source, output = sys.argv[1:]
with open(source, encoding="utf-8") as file:
    lines = file.read().splitlines(keepends=True)
with open(output, "w", encoding="utf-8") as file:
    file.write(f"extern const char *const {name}[];\nconst char *const {name}[] = {{\n")
    for line in lines:
        escaped = line.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        file.write(f'\t"{escaped}",\n')
    file.write("\t0,\n};\n")
