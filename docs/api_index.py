#!/usr/bin/env python3
"""Writes the page that lists every public header with its classes and functions, from doxygen's XML: api_index.py XML.
Each name leads to its place in the API pages, which lie in api/ beside the page.

Ends with an error if a public function, free or of a class, lacks a doc comment, or a class; one is enough for all overloads
of a name, and options say at their fields what they are. Not asked for is what the name says: constructors, operators, overrides of what a base documents, the `fields` by
which options are walked, and a handful below.

Of a free function that takes tensors the comment has to say what shapes they have and which errors are thrown: itself, in
the comment of a function that it refers to, or in the header's first comment, which stands above it (api_filter.py).
"""
import collections
import html
import pathlib
import re
import sys
import xml.etree.ElementTree as ElementTree

ROOT = pathlib.Path(__file__).resolve().parent.parent
SAY_THEMSELVES = {"fields", "begin", "end", "size", "empty", "zeros", "ones", "zeros_like", "ones_like", "parse_npz", "after_vjp",
                  "DtypeOf", "Callable", "FunctionRef"}
NO_SHAPES = {"begin_in_place", "summary"}
THROW_NOTHING = {"to_string", "spec_of", "tape_rows", "to_table", "to_dot", "to_mermaid", "clone_tensors"}
SHAPES = re.compile(r"\([^()]*(,|…|\.\.\.)[^()]*\)|shape|dimension|broadcast|scalar|rank|\bsize|n × n", re.I)
ERRORS = re.compile(r"[A-Z]\w+Error|[Tt]hrows|What gradcheck|What the model throws")


def comment(node):
    return "".join("".join(node.find(tag).itertext()) for tag in ("briefdescription", "detaileddescription") if node.find(tag) is not None).strip()


def header(node):
    path = pathlib.Path(node.find("location").get("file"))
    return str(path.relative_to(ROOT) if path.is_absolute() else path)


def link(identifier):
    member = re.fullmatch(r"(.*)_1(g?a[0-9a-f]{32,})", identifier)
    return f"api/{member[1]}.html#{member[2]}" if member else f"api/{identifier}.html"


def first_comment(path):
    lines = re.match(r"(//.*\n)*", (ROOT / path).read_text())[0].splitlines()
    return " ".join(line[3:] for line in lines)


def first_sentence(path):
    text = re.sub(r" \([^()]*\.[^()]*\)", "", first_comment(path))  # a source, whose points end no sentence
    return re.split(r"(?<=\.) |:? (?=    |#include)", text)[0].rstrip(":")


def says_too_little(functions):
    """Free functions of tensors whose comments lack shapes or errors, as (header, line, what)."""
    said = collections.defaultdict(str)
    for scope, member in functions:
        said[member.findtext("name")] += comment(member) + " "
    found, count = set(), 0
    for scope, member in functions:
        name = member.findtext("name")
        if "Tensor" not in member.findtext("argsstring") or name.startswith("operator"):
            continue
        count += 1
        text = said[name] + " ".join(said[other] for other in re.findall(r"(\w+)\(\)", said[name])) + first_comment(header(member))
        for what, pattern in (("shapes", SHAPES), ("errors", ERRORS)):
            if not pattern.search(text) and name not in (THROW_NOTHING if what == "errors" else NO_SHAPES):
                found.add((header(member), int(member.find("location").get("line")), f"{scope}::{name} does not say its {what}"))
    print(f"{count} free functions of tensors, {len(found)} times without shapes or errors", file=sys.stderr)
    return found


def main():
    names, bare, free, pages, count = collections.defaultdict(dict), set(), [], {}, 0
    ops = set(re.findall(r"^### (\w+)$", (ROOT / "docs" / "ops.md").read_text(), re.M))
    for file in sorted(pathlib.Path(sys.argv[1]).glob("*.xml")):
        for compound in ElementTree.parse(file).getroot().iter("compounddef"):
            kind, scope = compound.get("kind"), compound.findtext("compoundname")
            if kind == "group":
                pages[compound.findtext("title")] = link(compound.get("id"))
            parts = re.sub(r"<.*", "", scope).strip().split("::")
            if kind not in ("class", "struct", "namespace") or parts[0] != "duet" or "detail" in parts or \
               compound.get("prot", "public") != "public":
                continue
            functions = [m for m in compound.iter("memberdef") if m.get("kind") == "function" and m.get("prot") == "public"]
            with_comment = {m.findtext("name") for m in functions if comment(m)}
            if kind == "namespace":
                free += [(scope, member) for member in functions]
            if kind != "namespace":
                names[header(compound)].setdefault("::".join(parts[1:]), link(compound.get("id")))
                if not comment(compound) and len(parts) <= 3 and not parts[-1].endswith("Options") and parts[-1] not in SAY_THEMSELVES:
                    bare.add((header(compound), int(compound.find("location").get("line")), f"{scope} has no doc comment"))
            for member in functions:
                name, count = member.findtext("name"), count + 1
                if kind == "namespace" and not name.startswith("operator"):
                    names[header(member)].setdefault("::".join(parts[1:] + [name]), link(member.get("id")))
                if name not in with_comment | SAY_THEMSELVES and not name.lstrip("~")[0].isupper() and \
                   not name.startswith("operator") and "override" not in member.findtext("argsstring"):
                    bare.add((header(member), int(member.find("location").get("line")), f"{scope}::{name} has no doc comment"))
    print("# Every header and function\n\nThe public headers, `<duet/…>`, with what each declares in namespace `duet`. "
          "An op's *f* leads to its formula, gradient and source in [every op](docs/ops.md).\n\n<table><thead><tr><th>header</th><th>"
          "classes and functions</th></tr></thead><tbody>")
    for path, entries in sorted(names.items()):
        links = ", ".join(f'<a href="{target}"><code>{html.escape(name)}</code></a>'
                          + (f' <a href="docs/ops.html#{name}"><em>f</em></a>' if name in ops and path.startswith("ops/") else "")
                          for name, target in sorted(entries.items()))
        print(f'<tr><td><a href="{pages[path]}"><code>{path}</code></a><br>{html.escape(first_sentence(path))}</td><td>{links}</td></tr>')
    print("</tbody></table>")
    print(f"{count} functions in the API pages, {len(bare)} of them without a doc comment", file=sys.stderr)
    bare |= says_too_little(free)
    for path, line, what in sorted(bare):
        print(f"{path}:{line}: {what}", file=sys.stderr)
    sys.exit(1 if bare else 0)


if __name__ == "__main__":
    main()
