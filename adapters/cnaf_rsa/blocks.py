"""
Reads one block of the flow into plain values, counting every element against the list of the format on the way.

A dropped element is counted and its text is never read: what must not be stored does not enter the program.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from lxml import etree

from adapters.base import BIDI_CONTROLS, warning
from adapters.hardened_xml import line_of
from adapters.report import Coverage, FieldRule, Tally, Treatment, shown_name
from schemas import Issue

_HAS_ATTRIBUTES = etree.XPath("boolean(descendant-or-self::*/@*)")


@dataclass(slots=True)
class Block:
    """
    The elements directly under one element: texts by name, trimmed and never empty, and blocks by name.
    """

    line: int
    texts: dict[str, str] = field(default_factory=dict)
    blocks: dict[str, list["Block"]] = field(default_factory=dict)

    def all(self, name: str) -> list["Block"]:
        """
        The blocks of that name, in the order of the file.
        """
        return self.blocks.get(name, [])

    def at(self, *names: str) -> "Block":
        """
        The first block at the end of a chain of names; an empty one when a link is missing.
        """
        block = self
        for name in names:
            found = block.blocks.get(name)
            if not found:
                return Block(self.line)
            block = found[0]
        return block


@dataclass(slots=True)
class _Node:
    """
    One element of the format, with those that it may hold, and how many were seen.
    """

    path: str
    carried: bool
    seen: int = 0
    children: dict[str, "_Node"] = field(default_factory=dict)


class BlockReader:
    """
    Reads the blocks of one file and counts its elements.

    What the format does not name (an element, an attribute) is counted as unknown and left; a text given twice in one
    block is an issue, its first occurrence kept.
    """

    def __init__(self, rules: Mapping[str, FieldRule], issues: list[Issue]) -> None:
        self._rules = rules
        self._issues = issues
        self._nodes = _tree(rules)
        self._root = next(iter(self._nodes.values()))
        self._tally = Tally(rules)

    def read(self, element: etree._Element) -> Block:
        """
        Read a block that stands directly under the root of the file; the format must name it.
        """
        if _HAS_ATTRIBUTES(element):
            self._add_attributes(element)
        node = self._root.children[element.tag]
        node.seen += 1
        block = Block(line_of(element))
        self._fill(block, element, node)
        return block

    def skip(self, element: etree._Element) -> None:
        """
        Count a block directly under the root that the format does not name, with all that it holds.
        """
        self._add_unknown(element, self._root.path)

    def coverage(self) -> Coverage:
        """
        What was seen so far.
        """
        for node in self._nodes.values():
            self._tally.add(node.path, node.seen)
            node.seen = 0
        return self._tally.coverage()

    def root_seen(self) -> None:
        """
        Count the root of the file.
        """
        self._root.seen += 1

    def _fill(self, block: Block | None, element: etree._Element, node: _Node) -> None:
        """
        Read what is under an element; without a block to fill, only count it.
        """
        known = node.children
        for child in element:
            tag = child.tag
            below = known.get(tag)
            if below is None:
                self._add_unknown(child, node.path)
                continue
            below.seen += 1
            if below.children:
                inner = None
                if below.carried and block is not None:
                    inner = Block(line_of(child))
                    block.blocks.setdefault(tag, []).append(inner)
                self._fill(inner, child, below)
                continue
            if below.carried and block is not None:
                text = child.text
                if text and (text := text.strip()):
                    self._keep(block, tag, text, below.path, child)
            if len(child):
                for grandchild in child:
                    self._add_unknown(grandchild, below.path)

    def _keep(self, block: Block, name: str, text: str, path: str, element: etree._Element) -> None:
        if name in block.texts:
            self._issues.append(
                warning(
                    "element_repeated",
                    path,
                    "Cet élément est donné deux fois ; seul le premier est repris.",
                    "This element is given twice; only the first is used.",
                    line=line_of(element),
                )
            )
        elif not text.isascii() and BIDI_CONTROLS.search(text):
            self._issues.append(
                warning(
                    "bidi_control",
                    path,
                    "Un caractère invisible change ici le sens de lecture : ce texte n'est pas repris.",
                    "An invisible character changes the reading order here: this text is not used.",
                    line=line_of(element),
                )
            )
        else:
            block.texts[name] = text

    def _add_attributes(self, element: etree._Element) -> None:
        for holder in element.iter():
            for name in map(str, holder.attrib):
                self._tally.add_unknown(f"{_path_of(holder)}/{shown_name(f'@{name}')}")

    def _add_unknown(self, element: etree._Element, parent: str) -> None:
        for path in _paths_under(element, parent):
            self._tally.add_unknown(path)


def _tree(rules: Mapping[str, FieldRule]) -> dict[str, _Node]:
    """
    The list of elements as a tree, by path, the root first.

    A group of which nothing is carried is not carried: its blocks are counted and not built.
    """
    nodes: dict[str, _Node] = {}
    for path, rule in rules.items():
        nodes[path] = _Node(path, rule.treatment in {Treatment.MAPPED, Treatment.KEPT})
        parent, _, name = path.rpartition("/")
        if parent:
            nodes[parent].children[name] = nodes[path]
    for node in reversed(nodes.values()):
        if node.children:
            node.carried = any(child.carried for child in node.children.values())
    return nodes


def _paths_under(element: etree._Element, parent: str) -> Iterator[str]:
    waiting = [(element, parent)]
    while waiting:
        current, above = waiting.pop()
        path = f"{above}/{shown_name(current.tag)}"
        yield path
        waiting.extend((child, path) for child in current)


def _path_of(element: etree._Element) -> str:
    names = [element.tag, *(ancestor.tag for ancestor in element.iterancestors())]
    return "/" + "/".join(shown_name(name) for name in reversed(names))
