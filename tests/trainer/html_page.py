"""What a browser would see of a page."""

import re
from html.parser import HTMLParser


class Page(HTMLParser):
    """Text outside scripts and styles, addresses, elements, and those that are left open."""

    VOID = frozenset({"meta", "br", "link", "img", "input"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text, self.addresses, self.open, self.elements = "", [], [], []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.addresses += [value for name, value in attrs if name in ("src", "href", "srcset", "action")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self.open):
            self.text += f" {data}"


def words(text: str) -> str:
    """Return a text with single spaces."""
    return re.sub(r"\s+", " ", text)
