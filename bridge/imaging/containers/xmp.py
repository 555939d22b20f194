"""XMP packets: looked into and amended by byte positions, so that all else stays as it was written.

ISO 16684-1. Knows no container and no property's meaning. A document type declaration, the road
to entity bombs, is refused; XML is parsed by expat and never serialised again.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from html import escape, unescape
from typing import NoReturn
from xml.parsers import expat

from bridge.errors import MetadataMalformed

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_EMPTY = (
    b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>\n<x:xmpmeta xmlns:x="adobe:ns:meta/">\n'
    b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">\n</rdf:RDF>\n</x:xmpmeta>\n'
    b'<?xpacket end="w"?>'
)
_MAX_DEPTH = 100
_MAX_TAGS = 600_000  # a long history of masks and brush strokes has about 200,000; each costs microseconds
_MAX_ATTRIBUTES = 500_000
_MAX_NAMESPACE = 300  # characters; expat repeats it in front of every name
_MAX_SCOPES = 500_000  # prefixes, added up over all elements that declare some and over all descriptions
_TAG = re.compile(rb"""<(?:[^>"']++|"[^"]*+"|'[^']*+')*+>""")
# Only from where blank space begins, and never taken back: a tag of nothing but spaces costs its length.
_ATTRIBUTE = re.compile(rb"""(?<!\s)\s++([^\s=]++)\s*+=\s*+("[^"]*+"|'[^']*+')""")
_NO_TEXT = re.compile(rb"<!\[CDATA\[(.*?)\]\]>|<!--.*?-->|<\?.*?\?>", re.DOTALL)
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

Name = tuple[str, str]
"""Namespace and local name of a property."""


@dataclass(frozen=True)
class Property:
    """A top-level property where it stands.

    Attributes:
        name: its namespace and local name.
        start, end: the bytes of the whole attribute (with the space before it) or element.
        inner: the bytes of the value alone, without quotes, in whichever of RDF's forms: text, a
            resource, or the value beside its qualifiers; None where it is structured.
        attribute: whether it is written as an attribute.
        description: index of the description that it stands in.
    """

    name: Name
    start: int
    end: int
    inner: tuple[int, int] | None
    attribute: bool
    description: int


@dataclass
class Description:
    """One rdf:Description: the end of its start tag, its end, and the prefixes known in it."""

    start: int
    tag_end: int
    end: int = 0
    scope: dict[str, str] = field(default_factory=dict)


@dataclass
class Packet:
    """A parsed packet: positions in `data`.

    Attributes:
        data: the packet.
        close: where "</rdf:RDF>" begins; None if the RDF is empty.
        about: the resource that the packet describes, as written.
        descriptions: the top-level ones.
        properties: the top-level ones, in document order.
    """

    data: bytes
    close: int | None = None
    about: bytes = b""
    descriptions: list[Description] = field(default_factory=list)
    properties: list[Property] = field(default_factory=list)

    def value(self, name: Name) -> str | None:
        """The text of a simple property; None if it is not there or is structured."""
        return next(
            (self.text(known) for known in self.properties if known.name == name and known.inner), None
        )

    def text(self, known: Property) -> str | None:
        """The text of one of the properties; None if it is structured."""
        return _unescaped(self.data[slice(*known.inner)]) if known.inner else None


class _Reader:
    """Collects positions while expat walks through a packet."""

    def __init__(self, data: bytes) -> None:
        self.packet = Packet(data)
        self._parser = expat.ParserCreate("utf-8", namespace_separator=" ")
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.StartNamespaceDeclHandler = self._declare
        self._parser.StartDoctypeDeclHandler = self._refuse
        self._open: list[tuple[Name, int, int, bool]] = []  # name, start, end of start tag, has children
        self._scopes: list[dict[str, str]] = [{}]
        self._declared: dict[str, str] = {}
        self._rdf_depth = 0
        self._prefixes = 0
        self._namespaces: dict[str, str] = {}
        self._inner: tuple[int, int] | None = None  # of the property at hand, if not plainly its text

    def read(self) -> Packet:
        data = self.packet.data.rstrip(b"\0 \t\r\n")
        if data.count(b"<") > _MAX_TAGS or data.count(b"=") > _MAX_ATTRIBUTES:
            raise MetadataMalformed("The XMP has more properties than any editor writes.")
        try:
            self._parser.Parse(data, True)
        except expat.ExpatError as error:
            raise MetadataMalformed(f"The XMP is not well-formed XML: {error}.") from error
        if not self._rdf_depth:
            raise MetadataMalformed("The XMP holds no RDF.")
        return self.packet

    def _refuse(self, *_: object) -> NoReturn:
        raise MetadataMalformed("The XMP declares a document type, which XMP does not have.")

    def _declare(self, prefix: str | None, uri: str | None) -> None:
        if uri is not None and len(uri) > _MAX_NAMESPACE:
            raise MetadataMalformed("The XMP has a namespace longer than any editor's.")
        self._declared[prefix or ""] = uri or ""

    def _hold(self, scope: dict[str, str]) -> None:
        """Count what a scope costs to copy, or to write out again."""
        self._prefixes += len(scope)
        if self._prefixes > _MAX_SCOPES:
            raise MetadataMalformed("The XMP declares more prefixes than any editor does.")

    def _start(self, qualified: str, _attributes: object) -> None:
        if len(self._open) >= _MAX_DEPTH:
            raise MetadataMalformed("The XMP is nested deeper than any editor writes.")
        name, start = self._name(qualified), self._parser.CurrentByteIndex
        tag = _TAG.match(self.packet.data, start)
        if tag is None:
            raise MetadataMalformed("The XMP has a tag without end.")
        if self._open:
            self._open[-1] = (*self._open[-1][:3], True)
        self._scopes.append(self._scopes[-1] | self._declared if self._declared else self._scopes[-1])
        if self._declared:
            self._hold(self._scopes[-1])
        self._declared = {}
        self._open.append((name, start, tag.end(), False))
        if name == (RDF, "RDF") and not self._rdf_depth:
            self._rdf_depth = len(self._open)
        elif name == (RDF, "Description") and self._rdf_depth and len(self._open) == self._rdf_depth + 1:
            self._hold(self._scopes[-1])
            self.packet.descriptions.append(Description(start, tag.end(), scope=self._scopes[-1]))
            self._note_attributes(start, tag.end())
        elif self._depth == 2 or (self._inner is None and self._holds_value(name)):
            self._inner = self._value_attribute(start, tag.end())

    def _note_attributes(self, start: int, end: int) -> None:
        for found in _ATTRIBUTE.finditer(self.packet.data, start, end):
            prefix, _, local = found[1].decode("utf-8", "replace").rpartition(":")
            inner = found.start(2) + 1, found.end(2) - 1
            if prefix in ("xmlns", "xml") or not prefix:
                continue
            namespace = self._scopes[-1].get(prefix, "")
            if namespace == RDF:
                if local == "about":
                    self.packet.about = self.packet.data[slice(*inner)]
                continue
            self.packet.properties.append(
                Property((namespace, local), found.start(), found.end(), inner, True, self._here)
            )

    def _value_attribute(self, start: int, end: int) -> tuple[int, int] | None:
        """Where a tag states a value by rdf:resource or rdf:value."""
        for found in _ATTRIBUTE.finditer(self.packet.data, start, end):
            prefix, _, local = found[1].decode("utf-8", "replace").rpartition(":")
            if local in ("resource", "value") and self._scopes[-1].get(prefix) == RDF:
                return found.start(2) + 1, found.end(2) - 1
        return None

    def _holds_value(self, name: Name) -> bool:
        """Whether the innermost element, of this name, is where a qualified value stands."""
        if name == (RDF, "Description"):
            return self._depth == 3
        within = self._depth == 3 or (self._depth == 4 and self._open[-2][0] == (RDF, "Description"))
        return name == (RDF, "value") and within

    def _end(self, _qualified: str) -> None:
        data = self.packet.data
        name, start, tag_end, has_children = self._open[-1]
        qualified = self._inner is None and self._holds_value(name)
        self._open.pop()
        self._scopes.pop()
        depth = len(self._open) - self._rdf_depth  # 0: a description, 1: one of its properties
        if data[tag_end - 2 : tag_end] == b"/>":
            end = inner_end = tag_end
        else:
            inner_end = self._parser.CurrentByteIndex
            end = data.index(b">", inner_end) + 1
        text = (tag_end, inner_end) if not has_children and end != tag_end else None
        if self._rdf_depth and depth == -1 and name == (RDF, "RDF") and end != tag_end:
            self.packet.close = inner_end
        elif (
            self._rdf_depth
            and depth == 0
            and self.packet.descriptions
            and self.packet.descriptions[-1].start == start
        ):
            self.packet.descriptions[-1].end = end
        elif self._rdf_depth and depth == 1 and self._in_description():
            inner = self._inner or text
            self.packet.properties.append(Property(name, start, end, inner, False, self._here))
        elif qualified:
            self._inner = text

    def _name(self, qualified: str) -> Name:
        namespace, _, local = qualified.rpartition(" ")
        return self._namespaces.setdefault(namespace, namespace), local

    @property
    def _depth(self) -> int:
        """Of the innermost element: 1 a description, 2 one of its properties; 0 outside the RDF."""
        return len(self._open) - self._rdf_depth if self._rdf_depth else 0

    @property
    def _here(self) -> int:
        return len(self.packet.descriptions) - 1

    def _in_description(self) -> bool:
        return bool(self._open) and self._open[-1][0] == (RDF, "Description")


def _unescaped(raw: bytes) -> str:
    """What XML says: references resolved, CDATA as it is, comments and instructions left out."""
    pieces, at = [], 0
    for found in _NO_TEXT.finditer(raw):
        pieces += [
            unescape(raw[at : found.start()].decode("utf-8", "replace")),
            (found[1] or b"").decode("utf-8", "replace"),
        ]
        at = found.end()
    return "".join([*pieces, unescape(raw[at:].decode("utf-8", "replace"))])


def escaped(text: str) -> bytes:
    """Text as it may stand in an attribute or element; characters that XML cannot hold are left out."""
    return escape(_NOT_XML.sub("", text)).encode()


def parse(packet: bytes) -> Packet:
    """Find the descriptions and top-level properties of a packet.

    Raises:
        MetadataMalformed: not well-formed, not RDF, with a document type, or absurdly deep.
    """
    return _Reader(packet).read()


def rewritten(packet: bytes, values: Mapping[Name, str]) -> bytes:
    """The packet with other values for those of the simple properties that it has."""
    found = parse(packet)
    changes = [
        (*known.inner, escaped(values[known.name]))
        for known in found.properties
        if known.inner and known.name in values
    ]
    return spliced(packet, changes)


def with_properties(
    packet: bytes | None, prefixes: Mapping[str, str], properties: Iterable[tuple[Name, str]]
) -> bytes:
    """The packet with these simple properties, in place of any that it has of the same names.

    Args:
        packet: None begins a new one.
        prefixes: prefix by namespace, for every namespace of `properties`.
        properties: name and value, written in this order.

    Raises:
        MetadataMalformed: the packet cannot be read.
    """
    found = parse(packet or _EMPTY)
    if found.close is None:  # <rdf:RDF/>: there is nothing to keep
        found = parse(_EMPTY)
    assert found.close is not None  # noqa: S101 - tells mypy what the line above made true
    properties = list(properties)
    names = {name for name, _ in properties}
    attributes = b"".join(
        b'\n   %s:%s="%s"' % (prefixes[space].encode(), local.encode(), escaped(value))
        for (space, local), value in properties
    )
    declared = b"".join(
        b'\n   xmlns:%s="%s"' % (prefixes[space].encode(), escaped(space))
        for space in dict.fromkeys(space for (space, _), _ in properties)
    )
    description = b'<rdf:Description xmlns:rdf="%s" rdf:about="%s"%s%s/>\n' % (
        RDF.encode(), found.about, declared, attributes,
    )  # fmt: skip
    gone = [known for known in found.properties if known.name in names]
    return spliced(found.data, [*_removals(found, gone), (found.close, found.close, description)])


def without(packet: Packet, gone: list[Property]) -> bytes:
    """The packet's bytes without these of its properties."""
    return spliced(packet.data, _removals(packet, gone))


def _removals(packet: Packet, gone: list[Property]) -> list[tuple[int, int, bytes]]:
    """Cuts that take these properties out; a description that had nothing else goes as a whole."""
    left = Counter(known.description for known in packet.properties)
    left.subtract(known.description for known in gone)
    cuts = []
    for index in {known.description for known in gone if not left[known.description]}:
        description, end = packet.descriptions[index], packet.descriptions[index].end
        while packet.data[end : end + 1].isspace():
            end += 1
        cuts.append((description.start, end, b""))
    return cuts + [(known.start, known.end, b"") for known in gone if left[known.description]]


def spliced(data: bytes, changes: Iterable[tuple[int, int, bytes]]) -> bytes:
    """`data` with each [start, end) replaced; the spans do not overlap."""
    pieces, at = [], 0
    for start, end, replacement in sorted(changes):
        pieces += [data[at:start], replacement]
        at = end
    return b"".join([*pieces, data[at:]])
