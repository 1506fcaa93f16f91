#!/usr/bin/env python3
"""Holds the pages to what is there: no block of code, and no command in a sentence, that nothing checks.

    check_blocks.py SOURCE BUILD [--page FILE]   every block is accounted for, every command named exists
    check_blocks.py SOURCE BUILD --run PAGE      runs the page's sh blocks, one after the other in an empty folder

What each block is:

    cpp      a program that another test builds and runs: taken from the page (docs/CMakeLists.txt) or word for word a
             file of examples/
    output   what the cpp or sh block before it prints, compared by whoever runs that
    text     what stands in the .txt beside an example, word for word
    sh       commands for --run
    cmake    lines of the CMakeLists.txt of an example

Whatever cannot be that follows a comment with the reason, `<!-- not run: it trains for an hour -->`, or with the test
that sees to it, `<!-- run by packaging/readme -->`. Commands that are not run are looked up all the same, like those in
`code` in the text: the program is there, its help knows each flag, tests and targets of the name exist.
"""
import argparse
import functools
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys

# --run shortens what takes long, and takes drawn images where a page names data that a reader has to bring.
SHORTER = [(r"--steps \d{3,}", "--steps 2"), (r"--minutes [\d.]+", "--steps 2"), (r"--data MNIST\b( --val 2000)?", "--generated 160 --val 20"),
           (r"\b(DIR|MEMBRANE)\b", "data"), (r"\bduet_volume ", "duet_volume --steps 2 ")]
# Figures of time may differ from run to run.
TIME = re.compile(r" *[\d.]+ (ms|s|min)\b")
PAGES = ["*.md", "docs/*.md", "docs/guide/*.md", "examples/**/*.md", "tests/golden/*.md"]
WITH_LINES_OF_TEXT = {"docs/ops.md"}  # written from the registry, and held to it by a test of its own
# Those that have a --help; another might take it for the name of a file to write.
PROGRAMS = {"duet_unet", "duet_volume", "duet_gan", "duet_digits", "duet_superres", "duet_checkerboard", "duet_bench"}
ELSEWHERE = {"apt-get", "npm", "dot", "export", "cd", "for", "do", "done", "head", "pkg-config"}


class Block:
    def __init__(self, language, line, note, before):
        self.language, self.line, self.note, self.before, self.lines = language, line, note, before, []

    @property
    def text(self):
        return "".join(line + "\n" for line in self.lines)


def read_page(path):
    """The fenced blocks of a page, and the text around them as (line number, line)."""
    blocks, prose, block, note = [], [], None, ""
    for number, line in enumerate(path.read_text().splitlines(), 1):
        fence = re.match(r"```(.*)$", line)
        if fence and block is None:
            block = Block(fence[1].strip(), number, note, blocks[-1] if blocks else None)
        elif fence:
            blocks.append(block)
            block, note = None, ""
        elif block is not None:
            block.lines.append(line)
        else:
            remark = re.fullmatch(r"<!-- ((?:not run: |run by ).+) -->", line.strip())
            note = remark[1] if remark else note if not line.strip() else ""
            prose.append((number, line))
    return blocks, prose


class Checker:
    def __init__(self, source, build):
        self.source, self.build, self.wrong, self.remarks = source, build, [], []

    def report(self, what):
        self.wrong.append(f"{self.page}:{self.line}: {what}")

    # What exists.

    @functools.cached_property
    def tests(self):
        listing = subprocess.run(["ctest", "--test-dir", self.build, "-N"], capture_output=True, text=True, check=True).stdout
        return re.findall(r"Test +#\d+: (.*)", listing)

    @functools.cached_property
    def targets(self):
        listing = subprocess.run(["cmake", "--build", self.build, "--target", "help"], capture_output=True, text=True).stdout
        return set(re.findall(r"^(?:\.\.\. )?([\w.+-]+)(?::| |$)", listing, re.M))

    @functools.cached_property
    def programs(self):
        found = {}
        for path in self.build.rglob("duet_*"):
            if path.is_file() and os.access(path, os.X_OK) and "CMakeFiles" not in path.parts:
                found.setdefault(path.name, path)
        return found

    @functools.cached_property
    def sources(self):
        """All of the tree in which a variable, a flag or a package may be named, the pages left out."""
        kinds = [".cpp", ".hpp", ".txt", ".cmake", ".sh", ".in"]
        parts = [p.read_text(errors="replace") for folder in ("core", "ops", "nn", "bench", "examples", "tests", "cmake", "mpi", "onnx")
                 for p in (self.source / folder).rglob("*") if p.suffix in kinds]
        parts += [p.read_text() for p in [self.source / "CMakeLists.txt", *(self.source / "scripts").iterdir()]]
        return "\n".join(parts)

    @functools.cached_property
    def example_files(self):
        return {p.read_text(): p.name for p in (self.source / "examples").rglob("*") if p.suffix in (".cpp", ".txt")}

    @functools.lru_cache(None)
    def help(self, program, command):
        if program.name not in PROGRAMS:
            return ""
        words = [program] + ([command] if command else []) + ["--help"]
        return subprocess.run(words, capture_output=True, text=True, timeout=20).stdout

    @functools.lru_cache(None)
    def known_flags(self):
        """Every flag of every program and script."""
        text = "".join(p.read_text() for p in (self.source / "scripts").iterdir())
        for program in (self.programs[name] for name in self.programs if name in PROGRAMS):
            own = self.help(program, "")
            text += own + "".join(self.help(program, command) for command in re.findall(r"^  ([a-z]+)  ", own, re.M))
        return set(re.findall(r"--[a-z][\w-]*", text)) | {"--help"}

    # Commands.

    def command(self, text):
        """Looks up every command of a line or a block."""
        text = re.sub(r"\\\n", " ", text)
        for line in text.splitlines():
            try:
                words = shlex.split(line, comments=True)
            except ValueError as error:
                self.report(f"cannot be read as a command, {error}: {line}")
                continue
            one = []
            for word in words + ["&&"]:
                if word in ("&&", "|", "||") or word.endswith(";"):
                    self.one_command(one + ([word[:-1]] if word.endswith(";") else []))
                    one = []
                else:
                    one.append(word)

    def one_command(self, words):
        while words and (re.match(r"[A-Z_]+=", words[0]) or words[0] in ("time", "/usr/bin/time", "sudo", "do")):
            if re.match(r"(DUET|OWN)_", words[0]):
                self.variable(words[0])
            words = words[1:]
        if words and words[0] == "mpirun":
            words = words[3:]  # mpirun -n N
        if not words:
            return
        program, arguments = words[0], words[1:]
        if program == "cmake":
            self.cmake(arguments)
        elif program == "ctest":
            self.ctest(arguments)
        elif program.startswith("scripts/"):
            self.script(program, arguments)
        elif program.startswith(("build/", "./build/")) or program.startswith("duet_"):
            self.program(pathlib.PurePath(program), arguments)
        elif program == "apt-get" and "install" in arguments:
            for package in arguments[arguments.index("install") + 1:]:
                if not package.startswith("-") and package not in self.sources:
                    self.report(f"nothing in the tree asks for the package {package}")
        elif program not in ELSEWHERE:
            self.report(f"what is `{program}`? No program, script or tool of this name is known")

    def variable(self, assignment):
        if assignment.split("=")[0] not in self.sources:
            self.report(f"nothing reads {assignment.split('=')[0]}")

    def script(self, script, arguments):
        path = self.source / script
        if not os.access(path, os.X_OK):
            return self.report(f"there is no {script}")
        text = path.read_text()
        for flag in arguments:
            if flag.startswith("-") and not re.search(re.escape(flag) + r"\b", text):
                self.report(f"{script} knows no {flag}")
        if "-R" in arguments:
            self.ctest(arguments[arguments.index("-R"):])
        if "--preset" in arguments:
            self.preset(arguments[arguments.index("--preset") + 1])

    def preset(self, name):
        if f'"name": "{name}"' not in (self.source / "CMakePresets.json").read_text():
            self.report(f"there is no preset {name}")

    def cmake(self, arguments):
        for i, word in enumerate(arguments):
            after = arguments[i + 1] if i + 1 < len(arguments) else ""
            if word == "--preset":
                self.preset(after)
            elif word == "--target" and after not in self.targets:
                self.report(f"there is no target {after}")
            elif word.startswith("-DDUET_"):
                self.variable(word[2:])
            elif word == "-S" and not (self.source / after / "CMakeLists.txt").exists():
                self.report(f"there is no project in {after}")

    def has_test(self, pattern):
        """Whether a test is called so; or could be, where a build leaves it out for want of a package."""
        return any(re.search(pattern, test) for test in self.tests) or (pattern.rstrip("/").split("/")[-1] in self.sources)

    def ctest(self, arguments):
        for i, word in enumerate(arguments):
            if word == "-R" and not self.has_test(arguments[i + 1]):
                self.report(f"no test's name matches {arguments[i + 1]}")
            elif word == "--preset":
                self.preset(arguments[i + 1])

    def program(self, path, arguments):
        found = self.programs.get(path.name)
        if found is None:
            if path.name not in self.targets and f"{path.name}" not in self.sources:
                self.report(f"there is no program {path}")
            return
        parts = [p for p in path.parts if p not in ("build", "release")][:-1]
        if parts and list(found.relative_to(self.build).parts[:-1]) != parts:
            self.report(f"{path.name} is not there but in build/release/{found.relative_to(self.build).parent}")
        for word in arguments:
            if word.startswith("-tc="):
                for pattern in word[4:].split(","):
                    counted = subprocess.run([found, f"-tc={pattern}", "-c"], capture_output=True, text=True).stdout
                    if not re.search(r"filters: [1-9]", counted):
                        self.report(f"{path.name} has no case {pattern}")
            elif word.startswith("--"):
                command = arguments[0] if not arguments[0].startswith("-") else ""
                known = self.help(found, command) or self.sources  # a program without help: what its source reads
                if not re.search(re.escape(word.split("=")[0]) + r"(?![\w-])", known):
                    self.report(f"{path.name} {command} knows no {word}")

    # Pages.

    def check(self, path):
        self.page, self.line = path.relative_to(self.source), 0
        blocks, prose = read_page(path)
        for block in blocks:
            self.line = block.line
            self.block(block)
        self.prose(prose)

    def block(self, block):
        if block.note:
            self.remarks.append(f"{self.page}:{block.line}: {block.language}, {block.note}")
            by = re.match(r"run by (\S+)", block.note)
            if by and not self.has_test(by[1]):
                self.report(f"there is no test {by[1]}")
            if block.language == "sh" and not by:
                self.command(block.text)
        elif block.language == "sh":
            self.command(block.text)
        elif block.language == "cpp":
            if block.text not in self.example_files and not self.is_extracted():
                self.report("no test builds this program")
        elif block.language == "output":
            if block.before is None or block.before.language not in ("cpp", "sh") or block.before.note:
                self.report("an output without a block before it that is run")
        elif block.language == "text":
            if block.text not in self.example_files:
                self.report("stands in no .txt of examples/")
        elif block.language == "cmake":
            lines = {line.strip() for p in (self.source / "examples").rglob("CMakeLists.txt") for line in p.read_text().splitlines()}
            for line in block.lines:
                if line.strip() and line.strip() not in lines:
                    self.report(f"stands in no example's CMakeLists.txt: {line}")
        else:
            self.report(f"a block of language {block.language!r}, which nothing checks")

    def is_extracted(self):
        folder = self.build / "docs/blocks" / str(self.page)[:-3].replace("/", "_")
        return folder.is_dir() and any(folder.glob("*.cpp"))

    def prose(self, lines):
        generated = str(self.page) in WITH_LINES_OF_TEXT
        for number, line in lines:
            self.line = number
            if not generated and re.match(r"    (\$|scripts/|mpirun|duet|build/|cmake|ctest|#include|\w+\(.*\);)", line):
                self.report(f"a command or code outside a block: {line.strip()}")
        text = "\n".join(line for _, line in lines)
        for span in re.finditer(r"(?<!`)`([^`]+)`(?!`)", text):
            self.line = lines[text[:span.start()].count("\n")][0]
            code = " ".join(span[1].split()).replace(r"\|", "|")  # so written in a table
            first = code.split(" ")[0]
            if code.startswith("--"):
                for flag in re.findall(r"--[a-z][\w-]*", code):
                    if flag not in self.known_flags():
                        self.report(f"no program knows {flag}")
            elif re.fullmatch(r"(DUET|OWN)_\w+(=\S+)?( .*)?", code):
                self.variable(first)
            elif re.match(r"(scripts/|build/|duet_\w+$|ctest|cmake|apt-get|npm)", first) and first[-1] != "/":
                self.command(code)


def matches(expected, printed):
    """Whether lines agree; a line `…` stands for any number of them."""
    if not expected:
        return not printed
    if expected[0].strip() == "…":
        return any(matches(expected[1:], printed[i:]) for i in range(len(printed) + 1))
    return bool(printed) and TIME.sub(" #", expected[0]) == TIME.sub(" #", printed[0]) and matches(expected[1:], printed[1:])


def run(source, build, page):
    """The page's sh blocks, where a reader would run them: build/release and the folders of the tree are there."""
    folder = build / "docs" / "run" / str(page)[:-3].replace("/", "_")
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "build").mkdir(parents=True)
    (folder / "build" / "release").symlink_to(build)
    (folder / "examples").symlink_to(source / "examples")
    unet = build / "examples" / "unet" / "duet_unet"
    subprocess.run([unet, "generate", "--count", "6", "--size", "64", "--out", "data"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    shutil.copy(folder / "data" / "image" / "000.png", folder / "photo.png")
    state = folder / "environment"  # what one block exports, the next one has
    state.write_text("")
    wrong = count = 0
    blocks, _ = read_page(source / page)
    for i, block in enumerate(blocks):
        if block.language != "sh" or block.note:
            continue
        text = block.text
        for pattern, shorter in SHORTER:
            text = re.sub(pattern, shorter, text)
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", f". ./environment\ntrap 'export -p >environment' EXIT\n{text}"], cwd=folder,
                              capture_output=True, text=True, timeout=240)
        count += 1
        if done.returncode != 0:
            print(f"{page}:{block.line}: ended with {done.returncode}\n{text}{done.stdout}{done.stderr}")
            wrong += 1
        after = blocks[i + 1] if i + 1 < len(blocks) else None
        if after and after.language == "output" and not after.note and not matches(after.lines, [line.rstrip() for line in done.stdout.splitlines()]):
            print(f"{page}:{after.line}: does not say what is printed now:\n{done.stdout}")
            wrong += 1
    print(f"{page}: {count} blocks run, {wrong} wrong")
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=pathlib.Path)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--page", type=pathlib.Path, help="only this page, from anywhere in the tree")
    parser.add_argument("--run", metavar="PAGE", help="run the page's sh blocks instead")
    options = parser.parse_args()
    source, build = options.source.resolve(), options.build.resolve()
    if options.run:
        sys.exit(1 if run(source, build, options.run) else 0)
    checker = Checker(source, build)
    pages = [options.page.resolve()] if options.page else sorted({p for pattern in PAGES for p in source.glob(pattern)})
    for page in pages:
        checker.check(page)
    print("Not run from the page:", *checker.remarks, sep="\n  ")
    print("\n".join(checker.wrong))
    print(f"{len(pages)} pages, {len(checker.wrong)} wrong")
    sys.exit(1 if checker.wrong else 0)


if __name__ == "__main__":
    main()
