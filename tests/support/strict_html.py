"""Judges a page: by a parser that forgives nothing, and by what it must not hold."""

import re
from xml.etree.ElementTree import Element

import html5lib

XLINK = "{http://www.w3.org/1999/xlink}href"


def parsed(page: str) -> Element:
    """Return a page's tree; raises where a browser would have to guess."""
    parser = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False)
    tree: Element = parser.parse(page)
    return tree


def complaints(page: str) -> list[str]:
    """Return what is wrong with a page: for those who can't see it, and for where it is opened."""
    tree = parsed(page)
    found = []
    ids = [node.get("id") for node in tree.iter() if node.get("id")]
    found += [f"id {one} is there twice" for one in {*ids} if ids.count(one) > 1]
    for node in tree.iter():
        if not isinstance(node.tag, str):
            continue
        tag = node.tag.rpartition("}")[2]
        if tag == "img" and not node.get("alt"):
            found.append("an image without words")
        if tag == "svg" and not node.get("aria-label"):
            found.append("a chart without words")
        if tag == "th" and not node.get("scope"):
            found.append(f"a heading of nothing: {''.join(node.itertext())}")
        found += [f"{tag} has {name}" for name in node.attrib if re.match("on|style$", name)]
        for name in ("href", "src", "action", "formaction", "srcset", "poster", XLINK):
            link = node.get(name)
            if link and not _is_ours(link, ids):
                found.append(f"{tag} leads to {link[:80]}")
        for name in ("aria-labelledby", "aria-describedby", "for"):
            if node.get(name) and node.get(name) not in ids:
                found.append(f"{tag} is named by {node.get(name)}, which isn't there")
    if len(list(tree.iter("script"))) != 1 or len(list(tree.iter("h1"))) != 1:
        found.append("another number of scripts or headings than one")
    policies = [node.get("content", "") for node in tree.iter("meta") if node.get("http-equiv")]
    if not any(one.startswith("default-src 'none'") for one in policies):
        found.append("no policy")
    return found


def _is_ours(link: str, ids: list[str | None]) -> bool:
    """Tell whether a link leads into the page, beside it, or to a picture in it."""
    if link.startswith("#"):
        return link[1:] in ids
    if link.startswith("data:"):
        return link.startswith("data:image/webp;base64,")
    return re.match(r"(\.\./\.\./)?[\w./%()+,=@ ~-]+$", link) is not None and ":" not in link
