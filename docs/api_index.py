#!/usr/bin/env python3
"""Writes the page that lists every public header with its classes and functions, from doxygen's XML: api_index.py XML.
Each name leads to its place in the API pages, which lie in api/ beside the page.

Ends with an error if a public function, free or of a class, lacks a doc comment; one is enough for all overloads of a
name. Not asked for is what the name says: constructors, operators, overrides of what a base documents, the `fields` by
which options are walked, and a handful below.
"""
import collections
import html
import pathlib
import re
import sys
import xml.etree.ElementTree as ElementTree

ROOT = pathlib.Path(__file__).resolve().parent.parent
SAY_THEMSELVES = {"fields", "begin", "end", "size", "empty", "zeros", "ones", "zeros_like", "ones_like", "parse_npz", "after_vjp"}


def commented(node):
    return any("".join(node.find(tag).itertext()).strip() for tag in ("briefdescription", "detaileddescription") if node.find(tag) is not None)


def header(node):
    path = pathlib.Path(node.find("location").get("file"))
    return str(path.relative_to(ROOT) if path.is_absolute() else path)


def link(identifier):
    page, _, anchor = identifier.rpartition("_1a")
    return f"api/{page}.html#a{anchor}" if page else f"api/{identifier}.html"


def first_sentence(path):
    comment = re.match(r"(//.*\n)+", (ROOT / path).read_text())
    text = " ".join(line.lstrip("/ ") for line in comment[0].splitlines()) if comment else ""
    return re.split(r"(?<=[.:]) ", text)[0].rstrip(":")


def main():
    names, bare, count = collections.defaultdict(dict), set(), 0
    for file in sorted(pathlib.Path(sys.argv[1]).glob("*.xml")):
        for compound in ElementTree.parse(file).getroot().iter("compounddef"):
            kind, scope = compound.get("kind"), compound.findtext("compoundname")
            parts = re.sub(r"<.*", "", scope).strip().split("::")
            if kind not in ("class", "struct", "namespace") or parts[0] != "duet" or "detail" in parts or \
               compound.get("prot", "public") != "public":
                continue
            functions = [m for m in compound.iter("memberdef") if m.get("kind") == "function" and m.get("prot") == "public"]
            with_comment = {m.findtext("name") for m in functions if commented(m)}
            if kind != "namespace":
                names[header(compound)].setdefault("::".join(parts[1:]), link(compound.get("id")))
            for member in functions:
                name, count = member.findtext("name"), count + 1
                if kind == "namespace" and not name.startswith("operator"):
                    names[header(member)].setdefault("::".join(parts[1:] + [name]), link(member.get("id")))
                if name not in with_comment | SAY_THEMSELVES and not name.lstrip("~")[0].isupper() and \
                   not name.startswith("operator") and "override" not in member.findtext("argsstring"):
                    bare.add((header(member), int(member.find("location").get("line")), f"{scope}::{name}"))
    print("# Every header and function\n\nThe public headers, `<duet/…>`, with what each declares in namespace `duet`. "
          "Ops have a page with their formulas: [every op](docs/ops.md).\n\n<table><thead><tr><th>header</th><th>"
          "classes and functions</th></tr></thead><tbody>")
    for path, entries in sorted(names.items()):
        links = ", ".join(f'<a href="{target}"><code>{html.escape(name)}</code></a>' for name, target in sorted(entries.items()))
        print(f"<tr><td><code>{path}</code><br>{html.escape(first_sentence(path))}</td><td>{links}</td></tr>")
    print("</tbody></table>")
    for path, line, name in sorted(bare):
        print(f"{path}:{line}: {name} has no doc comment", file=sys.stderr)
    print(f"{count} functions in the API pages, {len(bare)} of them without a doc comment", file=sys.stderr)
    sys.exit(1 if bare else 0)


if __name__ == "__main__":
    main()
