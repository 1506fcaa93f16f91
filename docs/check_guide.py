#!/usr/bin/env python3
"""Every chapter of docs/guide says what it teaches, what it needs and how long it takes, as the contents say; has one
program, three questions with answers, a common misconception, and links to the chapters beside it: check_guide.py FOLDER"""
import pathlib
import re
import sys


def main():
    folder = pathlib.Path(sys.argv[1])
    contents = {name: (title, minutes) for title, name, minutes in
                re.findall(r"^\| \d+ \| \[(.*)\]\((\w+\.md)\) \| (45|90) \|$", (folder / "README.md").read_text(), re.M)}
    chapters = sorted(folder.glob("[0-9]*.md"))
    wrong = [] if len(chapters) == 12 and {c.name for c in chapters} == set(contents) else [f"twelve chapters, in the contents: {sorted(contents)}"]
    for number, chapter in enumerate(chapters, 1):
        text = chapter.read_text()
        title, minutes = contents.get(chapter.name, ("", ""))
        questions = text.partition("## Questions")[2].partition("## ")[0]
        beside = [c.name for c in (*chapters[max(number - 2, 0):number - 1], *chapters[number:number + 1])]
        for what, there in {
            "its title, as in the contents": text.startswith(f"# {number}. {title}\n"),
            "what it teaches": re.search(r"^\*\*Teaches\*\* \w", text, re.M),
            "what it needs": re.search(r"^\*\*Needs\*\* \w", text, re.M),
            "its time, as in the contents": re.search(rf"^\*\*Time\*\* {minutes} minutes$", text, re.M),
            "a command for its program": f"`scripts/lesson {number:02}`" in text,
            "three questions": len(re.findall(r"^\d\. ", questions, re.M)) == 3,
            "an answer to each": len(re.findall(r"^    <details><summary>Answer</summary> .{20,}</details>$", questions, re.M)) == 3,
            "a misconception": len(re.findall(r'^## A common misconception\n\n\*"', text, re.M)) == 1,
            "links to the chapters beside it": all(f"]({name})" in text for name in beside),
        }.items():
            if not there:
                wrong.append(f"{chapter.name} lacks {what}")
    print("\n".join([*wrong, f"{len(chapters)} chapters, {len(wrong)} things missing"]))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
