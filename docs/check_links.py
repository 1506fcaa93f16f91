#!/usr/bin/env python3
"""Follows every link of a built site: check_links.py FOLDER. A relative link must lead to a file (and its anchor to an
id there); a picture must exist; nothing may be loaded from elsewhere."""
import html.parser
import pathlib
import sys
import urllib.parse

LOADED = {("img", "src"), ("script", "src"), ("link", "href"), ("iframe", "src")}


class Page(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.links, self.ids = [], set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.ids.update(v for k, v in attributes if k in ("id", "name") and v)
        rel = values.get("rel", "")
        for key in ("href", "src"):
            if values.get(key) and not (tag == "link" and rel in ("canonical", "preconnect", "next", "prev")):
                self.links.append((tag, key, values[key]))


def main():
    root = pathlib.Path(sys.argv[1]).resolve()
    pages = {path: Page(path.read_text(errors="replace")) for path in root.rglob("*.html")}
    wrong, followed = [], 0
    for path, page in pages.items():
        if path.name == "404.html":  # a server shows it at any address, so its links begin at the root
            continue
        api = path.relative_to(root).parts[0] == "api"
        for tag, key, link in page.links:
            if link.startswith("javascript:"):
                continue
            parts = urllib.parse.urlsplit(link)
            if parts.scheme or parts.netloc:
                if (tag, key) in LOADED and parts.scheme != "data":
                    wrong.append(f"{path.relative_to(root)}: loads {link}")
                continue
            target = path if not parts.path else (path.parent / urllib.parse.unquote(parts.path)).resolve()
            if target.is_dir():
                target = target / "index.html"
            followed += 1
            if not target.exists():
                wrong.append(f"{path.relative_to(root)}: {link} is not there")
            elif parts.fragment and not api and target in pages and urllib.parse.unquote(parts.fragment) not in pages[target].ids:
                if target.name != "index.html" or "play" not in target.parts:  # there the part after # is the settings
                    wrong.append(f"{path.relative_to(root)}: {link} has no such place")
    for line in wrong:
        print(line)
    print(f"{len(pages)} pages, {followed} links followed, {len(wrong)} wrong")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
