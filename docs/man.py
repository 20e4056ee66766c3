#!/usr/bin/env python3
"""A manual page in scdoc: what the table of commands says, and the prose of docs/man.

    man.py AMEND PAGE       PAGE: docs/man/amend-NAME.1.scd, or docs/man/amend.1.scd

What the table has is written there alone: name, synopsis, options, exit status,
examples; and in amend(1) the list of commands. The page has the rest: sections
of prose, and under OPTIONS what is to be said of an option beyond its line of
help (which it then replaces), below the option's name as `*--name*`. What a page
says of an option that is not there, or of what is the table's, is a fault.
"""

import json
import os
import re
import subprocess
import sys

OF_THE_TABLE = ("NAME", "SYNOPSIS", "EXIT STATUS", "EXAMPLES")


def fail(page, text):
    sys.exit(f"{page}: {text}")


def escaped(text):
    """Text without marks: in scdoc * and _ would be some."""
    return re.sub(r"([\\*_])", r"\\\1", text)


def prose(text):
    """The same, with names of options and commands as they look in a page."""
    text = re.sub(r"(?<![\w-])(--[a-z][a-z-]*)", r"*\1*", escaped(text))
    return re.sub(r"\$([A-Z]+(?:\\_[A-Z]+)*)", r"*$\1*", text)


def sentence(text):
    """A line of help as a sentence."""
    text = prose(text)
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def words(text):
    """"DB TABLE --match COL[,COL...]": what is typed in bold, what it stands for underlined."""

    def mark(found):
        word = found[0]
        return f"_{word}_" if word[0].isupper() else f"*{word}*"

    return re.sub(r"--[a-z-]+|[A-Z][A-Z=]*|[a-z]+", mark, text)


def sections(page, text):
    """The page's title, and its sections: [[heading, body], ...]"""
    title, *parts = re.split(r"^# (.*)\n", text, flags=re.M)
    if not re.fullmatch(r"[a-z-]+\(1\)\n+", title):
        fail(page, f'expected a title as in "amend-sync(1)", found "{title.strip()}"')
    return title.strip(), [[parts[i], parts[i + 1].strip("\n")] for i in range(0, len(parts), 2)]


def notes(page, body, options):
    """What the page says of single options: {"adopt": "\tFor rows ..."}"""
    found = {}
    for part in re.split(r"^(?=\*--)", body, flags=re.M):
        if not part.strip():
            continue
        head, _, text = part.partition("\n")
        match = re.fullmatch(r"\*--([a-z-]+)\*(?: _(.*)_)?", head)
        if not match or not text.strip():
            fail(page, f'OPTIONS: expected "*--name*" and lines about it, found "{head}"')
        option = options.get(match[1])
        if not option:
            fail(page, f"OPTIONS: --{match[1]} is no option of the command")
        if match[2] and match[2] != option["argument"]:
            fail(page, f"OPTIONS: --{match[1]} takes {option['argument']}, not {match[2]}")
        found[match[1]] = text.rstrip("\n")
    return found


def option_text(page, body, command):
    options = {option["name"]: option for option in command["options"]}
    said = notes(page, body, options)
    lines = []
    for name, option in options.items():
        argument = f" _{option['argument']}_" if option["argument"] else ""
        lines += [f"*--{name}*{argument}", said.get(name, "\t" + sentence(option["help"])), ""]
    return "\n".join(lines).rstrip("\n")


def exit_text(exits):
    return "\n\n".join(f"*{one['code']}*\n\t{prose(one['meaning'])}" for one in exits)


def command_page(page, title, parts, command):
    name = f"amend-{command['name']}"
    given = dict(parts)
    for heading in OF_THE_TABLE:
        if heading in given:
            fail(page, f"{heading} comes from the table of commands (hint: amend {command['name']} --help)")
    if "DESCRIPTION" not in given:
        fail(page, "has no DESCRIPTION")
    synopsis = f"*amend {command['name']}* {words(command['words'])}"
    out = [["NAME", f"{name} - {escaped(command['summary'])}"]]
    out += [["SYNOPSIS", synopsis + (" [_OPTION_...]" if command["options"] else "")]]
    out += [["DESCRIPTION", given.pop("DESCRIPTION")]]
    body = given.pop("OPTIONS", "")
    if command["options"] or body:
        out += [["OPTIONS", option_text(page, body, command)]]
    last = [["SEE ALSO", given.pop("SEE ALSO", "*amend*(1)")]]
    out += [[heading, body] for heading, body in given.items()]
    out += [["EXIT STATUS", exit_text(command["exits"])]]
    out += [["EXAMPLES", "```\n" + "\n".join(command["examples"]) + "\n```"]]
    return title, out + last


def main_page(page, title, parts, commands):
    """The list of commands stands behind DESCRIPTION, all their pages at the end."""
    out = []
    for heading, body in parts:
        if heading in ("COMMANDS", "SEE ALSO"):
            fail(page, f"{heading} comes from the table of commands")
        out.append([heading, body])
        if heading == "DESCRIPTION":
            entries = [
                f"*{command['name']}*\n\t{prose(command['summary'])}: *amend-{command['name']}*(1)"
                for command in commands
            ]
            out.append(["COMMANDS", "\n\n".join(entries)])
    pages = [f"*amend-{command['name']}*(1)" for command in commands]
    return title, out + [["SEE ALSO", ",\n".join(pages)]]


def main():
    amend, page = sys.argv[1:3]
    done = subprocess.run([amend, "help", "--json"], capture_output=True, text=True, check=True)
    commands = json.loads(done.stdout)["commands"]
    with open(page, encoding="utf-8") as file:
        title, parts = sections(page, file.read())
    name = os.path.basename(page).removesuffix(".1.scd")
    if title != f"{name}(1)":
        fail(page, f"expected the title {name}(1), found {title}")
    if name == "amend":
        title, parts = main_page(page, title, parts, commands)
    else:
        command = [one for one in commands if f"amend-{one['name']}" == name]
        if not command:
            fail(page, f"there is no command {name.removeprefix('amend-')}")
        title, parts = command_page(page, title, parts, command[0])
    print(title + "\n\n" + "\n\n".join(f"# {heading}\n\n{body}" for heading, body in parts))


if __name__ == "__main__":
    main()
