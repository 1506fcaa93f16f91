#!/usr/bin/env python3
"""A header as doxygen shall see it: api_filter.py HEADER. Its first comment becomes the text of a group that holds all that
the header declares, so that what holds for a whole family (shapes, dtypes, errors) stands on the page of its functions."""
import html
import re
import sys


def main():
    path = sys.argv[1]
    comment, body = re.fullmatch(r"((?://[^\n]*\n)*)(.*)", open(path).read(), re.S).groups()
    name = re.search(r"(?:core|ops|autograd|nn)/(?!.*(?:core|ops|autograd|nn)/).*|[^/]*$", path)[0]
    group = re.sub(r"\W", "_", name.removesuffix(".hpp"))
    lines = [line[3:] for line in comment.splitlines()]
    # What is indented is code and taken as it is.
    lines = [line if line.startswith("  ") else html.escape(line, quote=False).replace("@", r"\@") for line in lines]
    # The lines that are new take the places of #pragma once and of blank ones, so that every declaration stays at its line.
    body = re.sub(r"^(namespace duet(?:::(?!detail|kernels)\w+)* \{)\n\n?", rf"\1 /** @addtogroup {group}\n@{{ */\n", body, flags=re.M)
    body = re.sub(r"^(\}  // namespace duet(?:::(?!detail|kernels)\w+)*)$", r"/** @} */ \1", body, flags=re.M)
    sys.stdout.write(f"/** @defgroup {group} {name}\n" + "\n".join(lines) + " */\n" + body.replace("#pragma once\n", "", 1))


if __name__ == "__main__":
    main()
