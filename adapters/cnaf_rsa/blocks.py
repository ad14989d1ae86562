"""
Reads one block of the flow into plain values, counting every element against the list of the format on the way.

A dropped element is counted and its text is never read: what must not be stored does not enter the program.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from lxml import etree

from adapters.base import warning
from adapters.report import FieldRule, Tally, Treatment, shown_name
from schemas import Issue

_WITH_ATTRIBUTES = etree.XPath("descendant-or-self::*[@*]")


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
class Node:
    """
    One element of the format, with those that it may hold.
    """

    path: str
    carried: bool
    children: dict[str, "Node"] = field(default_factory=dict)

    @property
    def is_group(self) -> bool:
        """
        Whether it holds elements and no text.
        """
        return bool(self.children)


def tree_of(rules: Mapping[str, FieldRule]) -> Node:
    """
    The list of elements as a tree, its root element at the top.

    A group whose elements are all dropped is not carried: its blocks are counted and not built.
    """
    nodes: dict[str, Node] = {}
    for path, rule in rules.items():
        nodes[path] = Node(path, rule.treatment in {Treatment.MAPPED, Treatment.KEPT})
        parent = path.rpartition("/")[0]
        if parent:
            nodes[parent].children[path.rpartition("/")[2]] = nodes[path]
    for node in reversed(nodes.values()):
        if node.is_group:
            node.carried = any(child.carried for child in node.children.values())
    return next(iter(nodes.values()))


def read_block(element: etree._Element, node: Node, tally: Tally, issues: list[Issue]) -> Block:
    """
    Read an element that the format names, with all that it holds.

    What the format does not name (an element, an attribute, a text beside elements) is counted as unknown and left;
    a value given twice is an issue, its first occurrence kept.
    """
    for holder in _WITH_ATTRIBUTES(element):
        for name in holder.attrib:
            tally.add_unknown(f"{_path_of(holder)}/{shown_name('@' + name)}")
    return _read(element, node, tally, issues)


def _read(element: etree._Element, node: Node, tally: Tally, issues: list[Issue]) -> Block:
    tally.add(node.path)
    block = Block(element.sourceline or 0)
    for child in element:
        below = node.children.get(child.tag)
        if below is None:
            for path in unknown_paths(child, node.path):
                tally.add_unknown(path)
        elif below.is_group:
            read = _read(child, below, tally, issues)
            if below.carried:
                block.blocks.setdefault(child.tag, []).append(read)
        else:
            tally.add(below.path)
            for grandchild in child:
                for path in unknown_paths(grandchild, below.path):
                    tally.add_unknown(path)
            if below.carried:
                _keep_text(block, child, below, issues)
    return block


def _keep_text(block: Block, child: etree._Element, node: Node, issues: list[Issue]) -> None:
    text = child.text
    if text is None:
        return
    text = text.strip()
    if not text:
        return
    if child.tag in block.texts:
        issues.append(
            warning(
                "element_repeated",
                node.path,
                "Cet élément est donné deux fois ; seul le premier est repris.",
                "This element is given twice; only the first is used.",
                line=child.sourceline,
            )
        )
        return
    block.texts[child.tag] = text


def unknown_paths(element: etree._Element, parent: str) -> Iterator[str]:
    """
    The paths of an element that the format does not name and of all that it holds.
    """
    waiting = [(element, parent)]
    while waiting:
        current, above = waiting.pop()
        path = f"{above}/{shown_name(current.tag)}"
        yield path
        waiting.extend((child, path) for child in current)


def _path_of(element: etree._Element) -> str:
    names = [element.tag, *(ancestor.tag for ancestor in element.iterancestors())]
    return "/" + "/".join(shown_name(name) for name in reversed(names))
