"""What the machinery reads in Markdown: headings, directives with colon fences, targets and the opening sentence."""

import re
from dataclasses import dataclass, field

HEADING = re.compile(r" {0,3}(#{1,6})\s+(.*?)\s*#*$")
FENCE = re.compile(r" {0,3}(:{3,}|`{3,}|~{3,})\s*(?:\{([^}]+)\})?\s*(.*?)\s*$")
OPTION = re.compile(r"\s*:(\w+):\s*(.*?)\s*$")
TARGET = re.compile(r" {0,3}\(([^()]+)\)=\s*$")
NOT_PROSE = re.compile(r"\s*($|[-*+>|%<#]\s|[-*+>|%<#]$|\d+\. |<|!\[|\$\$|---|\||\([^()]+\)=\s*$|:{3}|`{3}|~{3})")
SENTENCE = re.compile(r"(.+?(?<!e\.g)(?<!i\.e)(?<!cf)(?<!vs)[.!?][)\"'*$]*)(?=\s|$)", re.DOTALL)


@dataclass
class Directive:
    name: str
    argument: str
    line: int
    fence: str
    options: dict = field(default_factory=dict)
    end: int | None = None  # the line of the fence that closes it

    @property
    def closed(self):
        return self.end is not None

    @property
    def label(self):
        """What references find it by; the labels of equations are a matter of their own."""
        return None if self.name == "math" else self.options.get("label") or self.options.get("name")


@dataclass
class Page:
    headings: list  # (level, text, line)
    directives: list
    targets: list  # (label, line)
    prose: list  # the first paragraph below the first heading of level 1, line by line


def read(text):
    """Scan Markdown line by line; what stands in code is skipped."""
    page = Page([], [], [], [])
    stack = []  # the open fences, outermost first
    options = None  # the directive whose options may follow
    for number, line in enumerate(text.splitlines(), start=1):
        fence = FENCE.match(line)
        if stack and stack[-1].fence[0] in "`~":
            if fence and _closes(fence, stack[-1]):
                stack.pop().end = number
            elif options and (option := OPTION.match(line)):
                options.options[option[1]] = option[2]
            else:
                options = None
        elif options and (option := OPTION.match(line)):
            options.options[option[1]] = option[2]
        elif fence:
            closing = [place for place, opened in enumerate(stack) if _closes(fence, opened)]
            if closing:  # the outermost fence that it can close, with everything inside
                for opened in stack[closing[0] :]:
                    opened.end = number
                del stack[closing[0] :]
                options = None
            else:
                options = Directive(fence[2] or "", fence[3], number, fence[1])
                stack.append(options)
                page.directives.append(options)
        else:
            options = None
            if heading := HEADING.match(line):
                page.headings.append((len(heading[1]), heading[2], number))
            elif target := TARGET.match(line):
                page.targets.append((target[1], number))
            elif not stack:
                _read_prose(page, line)
    return page


def _closes(fence, opened):
    marker, name, rest = fence.groups()
    return not name and not rest and marker[0] == opened.fence[0] and len(marker) >= len(opened.fence)


def _read_prose(page, line):
    """Collect the lines of the first paragraph below the title; an empty string marks its end."""
    below_title = any(level == 1 for level, _, _ in page.headings)
    if not below_title or (page.prose and not page.prose[-1]):
        return
    if not NOT_PROSE.match(line):
        page.prose.append(line.strip())
    elif page.prose:
        page.prose.append("")


def opening_sentence(page):
    """The first sentence of the first paragraph below the title, or an empty string."""
    paragraph = " ".join(page.prose).strip()
    sentence = SENTENCE.match(paragraph)
    return sentence[1] if sentence else paragraph
