"""What stands in an HTML page."""

from html.parser import HTMLParser


class Page(HTMLParser):
    """The elements of a page, its texts, and what it would load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.names: set[str] = set()
        self.loaded: list[str] = []
        self.alts: list[str | None] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        self.names |= given.keys()
        self.loaded += [str(given[name]) for name in ("src", "href") if name in given]
        if tag == "img":
            self.alts.append(given.get("alt"))

    def handle_data(self, data: str) -> None:
        self.text += data


def check_whole(text: str) -> Page:
    """Nothing is loaded from elsewhere or run, and every picture is told in words."""
    page = Page(text)
    assert "script" not in page.tags and "link" not in page.tags and "iframe" not in page.tags
    assert not [name for name in page.names if name.startswith("on")]
    assert all(each.startswith(("#", "data:image/")) for each in page.loaded)
    assert all(page.alts) and page.tags.count("h1") == 1
    assert "http:" not in text and "https:" not in text and "@import" not in text
    return page
