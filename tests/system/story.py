"""How the demo speaks: chapters, the commands it runs, what each result proves. Coloured on a terminal only."""
import os
import sys
import textwrap
import time

WIDTH = 100


class WrongResult(Exception):
    """A result of the demo is not what it must be."""


class Story:
    def __init__(self, out=sys.stdout):
        self.out = out
        self.colours = out.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
        self.began = time.monotonic()
        self.chapters = 0
        self.right = 0

    def paint(self, code, text):
        return f"\x1b[{code}m{text}\x1b[0m" if self.colours else text

    def line(self, text=""):
        print(text, file=self.out, flush=True)

    def chapter(self, title, why=""):
        self.chapters += 1
        self.line()
        self.line(self.paint("1;36", f"{self.chapters}. {title}"))
        if why:
            self.say(why)

    def say(self, text):
        for line in textwrap.wrap(text, WIDTH - 3):
            self.line("   " + line)

    def command(self, text):
        self.line("   " + self.paint("33", "$ " + text))

    def show(self, text, most=30):
        lines = text.rstrip("\n").splitlines()
        for line in lines[:most]:
            self.line("     " + line)
        if len(lines) > most:
            self.line(f"     ... {len(lines) - most} more lines")

    def check(self, right, text, found=""):
        """`text` says what is true now; where it is not, the demo ends here."""
        if not right:
            self.line("   " + self.paint("1;31", "✗ " + text))
            raise WrongResult(f"{text}{': ' + str(found) if found != '' else ''}")
        self.right += 1
        self.line("   " + self.paint("32", "✓ ") + text)

    def bars(self, counts, width=40):
        most = max(counts.values(), default=1)
        for name, count in counts.items():
            bar = "█" * max(1 if count else 0, round(width * count / most))
            self.line(f"     {name:<8}{self.paint('34', bar):<{width}} {count}")

    @property
    def seconds(self):
        return time.monotonic() - self.began
