from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.errors import MetadataMalformed
from bridge.imaging.containers import xmp, xmp_extension
from tests.imaging.samples import XMP

DC, RATING = "http://purl.org/dc/elements/1.1/", ("http://ns.adobe.com/xap/1.0/", "Rating")
OURS = "urn:test/"


def wrapped(inside: str) -> bytes:
    rdf = f'<r:RDF xmlns:r="{xmp.RDF}">{inside}</r:RDF>'
    return f'<x:xmpmeta xmlns:x="adobe:ns:meta/">{rdf}</x:xmpmeta>'.encode()


def test_properties_are_found_as_attributes_and_elements() -> None:
    packet = xmp.parse(XMP)
    assert packet.about == b"uuid:7"
    assert packet.value(RATING) == "4"
    assert packet.value((DC, "subject")) is None  # structured
    assert [p.name for p in packet.properties if not p.attribute] == [(DC, "subject")]


@given(st.text(max_size=30))
def test_any_text_survives(text: str) -> None:
    stamped = xmp.with_properties(XMP, {OURS: "ours"}, [((OURS, "Note"), text)])
    ElementTree.fromstring(stamped.decode())  # noqa: S314 - an oracle on what we wrote ourselves
    expected = "".join(c for c in text if xmp.escaped(c))
    assert xmp.parse(stamped).value((OURS, "Note")) == expected


def test_everything_else_stays_byte_for_byte() -> None:
    stamped = xmp.with_properties(XMP, {OURS: "ours"}, [((OURS, "Note"), "x")])
    at = stamped.index(b"<rdf:Description", XMP.index(b"</rdf:Description>"))
    end = stamped.index(b"/>\n", at) + 3
    assert stamped[:at] + stamped[end:] == XMP
    assert b'rdf:about="uuid:7"' in stamped[at:end]


def test_stamping_again_replaces() -> None:
    names = {OURS: "ours"}
    once = xmp.with_properties(XMP, names, [((OURS, "Note"), "first"), ((OURS, "Other"), "kept?")])
    twice = xmp.with_properties(once, names, [((OURS, "Note"), "second"), ((OURS, "Other"), "no")])
    assert twice == xmp.with_properties(XMP, names, [((OURS, "Note"), "second"), ((OURS, "Other"), "no")])


@pytest.mark.parametrize(
    "inside",
    [
        '<r:Description xmlns:q="urn:test/" q:Note="old" q:Kept="yes"/>',
        '<r:Description xmlns:q="urn:test/"><q:Note>old</q:Note><q:Kept>yes</q:Kept></r:Description>',
        '<r:Description xmlns:q="urn:test/" q:Kept="yes"><q:Note><r:Bag/></q:Note></r:Description>',
        "<r:Description xmlns:q='urn:test/' q:Kept='yes' q:Note=' > q:Note=\"no\" '/>",
    ],
)
def test_a_property_is_replaced_however_it_was_written(inside: str) -> None:
    stamped = xmp.with_properties(wrapped(inside), {OURS: "ours"}, [((OURS, "Note"), "new")])
    packet = xmp.parse(stamped)
    assert [p.name for p in packet.properties].count((OURS, "Note")) == 1
    assert packet.value((OURS, "Note")) == "new"
    assert packet.value((OURS, "Kept")) == "yes"


QUALIFIED = (
    '<q:Note r:parseType="Resource"><q:By>Ana</q:By><r:value>{}</r:value></q:Note>',
    '<q:Note r:parseType="Resource"><r:value r:resource="{}"/><q:By>Ana</q:By></q:Note>',
    "<q:Note><r:Description><r:value>{}</r:value><q:By>Ana</q:By></r:Description></q:Note>",
    '<q:Note><r:Description r:value="{}" q:By="Ana"/></q:Note>',
    '<q:Note r:value="{}" q:By="Ana"/>',
    '<q:Note r:resource="{}"/>',
    "<q:Note r:resource='{}'></q:Note>",
    '<q:Note xml:lang="en">{}</q:Note>',
)
"""One simple value in each form that RDF has for it."""


@pytest.mark.parametrize("form", QUALIFIED)
def test_a_value_is_found_and_rewritten_in_each_of_rdfs_forms(form: str) -> None:
    def packet(value: str) -> bytes:
        return wrapped(
            f'<r:Description xmlns:q="urn:test/"><q:A>1</q:A>{form.format(value)}<q:B>2</q:B></r:Description>'
        )

    found = xmp.parse(packet("a &amp; b"))
    assert [(known.name[1], found.text(known)) for known in found.properties] == [
        ("A", "1"),
        ("Note", "a & b"),
        ("B", "2"),
    ]
    assert xmp.rewritten(packet("old"), {(OURS, "Note"): "new"}) == packet("new")
    assert xmp.parse(xmp.with_properties(packet("old"), {OURS: "q"}, [((OURS, "Note"), "x")])).value(
        (OURS, "Note")
    ) == ("x")


@pytest.mark.parametrize(
    "structured",
    [
        '<q:Note r:parseType="Resource"><q:In r:parseType="Resource"><r:value>1</r:value></q:In></q:Note>',
        "<q:Note><r:Bag><r:li>1</r:li></r:Bag></q:Note>",
        '<q:Note r:parseType="Resource"><r:value><r:Bag/></r:value></q:Note>',
        '<q:Note q:value="1"><q:value>1</q:value></q:Note>',
    ],
)
def test_a_structure_is_no_value(structured: str) -> None:
    packet = xmp.parse(wrapped(f'<r:Description xmlns:q="urn:test/">{structured}</r:Description>'))
    assert packet.value((OURS, "Note")) is None


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("<![CDATA[a<b]]>&lt;c", "a<b<c"),
        ("6<!-- six -->", "6"),
        ("<?pi 1?>6", "6"),
        ("<![CDATA[&amp;]]>", "&amp;"),
    ],
)
def test_a_value_is_what_xml_says_it_is(written: str, text: str) -> None:
    packet = wrapped(f'<r:Description xmlns:q="urn:test/"><q:Note>{written}</q:Note></r:Description>')
    assert xmp.parse(packet).value((OURS, "Note")) == text


def test_an_empty_rdf_and_no_packet_begin_a_new_one() -> None:
    empty = f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><r:RDF xmlns:r="{xmp.RDF}"/></x:xmpmeta>'.encode()
    for packet in (None, empty):
        stamped = xmp.with_properties(packet, {OURS: "ours"}, [((OURS, "Note"), "x")])
        assert xmp.parse(stamped).value((OURS, "Note")) == "x"


def test_values_are_rewritten_where_they_are() -> None:
    rewritten = xmp.rewritten(XMP, {RATING: "5", (OURS, "Absent"): "1"})
    assert rewritten == XMP.replace(b'Rating="4"', b'Rating="5"')


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"not xml",
        b"<a/>",
        wrapped("<r:Description>")[:-5],
        b'<!DOCTYPE x [<!ENTITY a "aaaa">]>' + wrapped("<r:Description>&a;</r:Description>"),
        b'<!DOCTYPE x SYSTEM "http://example.org/x.dtd">' + wrapped(""),
        wrapped("<r:Description>&undefined;</r:Description>"),
        wrapped("<a>" * 200 + "</a>" * 200),
        "<?xml version='1.0' encoding='utf-16'?><!DOCTYPE a [<!ENTITY b 'c'>]><a/>".encode("utf-16"),
        wrapped("\xff").replace("\xff".encode(), b"\xff"),
    ],
)
def test_what_is_no_packet_is_refused(packet: bytes) -> None:
    with pytest.raises(MetadataMalformed):
        xmp.parse(packet)


@given(st.integers(0, len(XMP)), st.binary(max_size=4))
def test_damage_is_malformed_or_harmless(at: int, noise: bytes) -> None:
    packet = XMP[:at] + noise + XMP[at + 1 :]
    try:
        xmp.parse(packet)
        stamped = xmp.with_properties(packet, {OURS: "ours"}, [((OURS, "Note"), "x")])
    except MetadataMalformed:
        return
    assert xmp.parse(stamped).value((OURS, "Note")) == "x"


@settings(max_examples=30)
@given(st.integers(2, 8), st.integers(500, 2000))
def test_splitting_and_joining_loses_no_property(count: int, length: int) -> None:
    items = "<r:li>b</r:li>" * (length // 20)
    inside = "".join(
        f'<r:Description r:about="a" xmlns:q{i}="urn:q{i}/" q{i}:A="{"a" * length}">'
        f"<q{i}:B><r:Bag>{items}</r:Bag></q{i}:B></r:Description>"
        for i in range(count)
    )
    packet = wrapped(inside)
    limit = len(packet) // 2 + 1000
    main, extension, name = xmp_extension.split(packet, limit)
    assert len(main) <= limit
    assert xmp_extension.extension_of(main) == name
    joined = xmp.parse(xmp_extension.joined(main, extension))
    assert sorted(p.name for p in joined.properties) == sorted(p.name for p in xmp.parse(packet).properties)
    for i in range(count):
        assert joined.value((f"urn:q{i}/", "A")) == "a" * length


def test_what_cannot_become_short_enough_is_refused() -> None:
    with pytest.raises(MetadataMalformed, match="too long"):
        xmp_extension.split(wrapped('<r:Description r:about=""/>' * 200), 1000)
