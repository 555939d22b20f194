from __future__ import annotations

import json
from dataclasses import replace

import pytest

from bridge.imaging.containers import xmp
from bridge.imaging.image import Metadata
from bridge.imaging.provenance import NAMESPACE, Provenance, stamp
from tests.imaging.samples import XMP, exif_block, xmp_of

SOURCE_TYPE = ("http://iptc.org/std/Iptc4xmpExt/2008-02-29/", "DigitalSourceType")
VOCABULARY = "http://cv.iptc.org/newscodes/digitalsourcetype/"
DONE = Provenance(
    "Braut & Bräutigam",
    {"strength": 70, "mode": "natural"},
    "gpen-lite-512",
    "ab" * 32,
    "1.0",
    restored=True,
    filtered=True,
)


def value(metadata: Metadata, name: tuple[str, str]) -> str | None:
    assert metadata.xmp is not None
    return xmp.parse(metadata.xmp).value(name)


def test_a_stamp_says_what_was_done() -> None:
    stamped = stamp(Metadata(exif=exif_block(), xmp=XMP), DONE)
    assert stamped.exif == exif_block()
    assert value(stamped, (NAMESPACE, "Preset")) == DONE.preset
    assert json.loads(value(stamped, (NAMESPACE, "Parameters")) or "") == DONE.parameters
    assert value(stamped, (NAMESPACE, "Checkpoint")) == "gpen-lite-512"
    assert value(stamped, (NAMESPACE, "CheckpointSHA256")) == "ab" * 32
    assert value(stamped, (NAMESPACE, "Version")) == "1.0"
    assert value(stamped, ("http://ns.adobe.com/xap/1.0/", "Rating")) == "4"


def test_the_same_work_gives_the_same_bytes_also_over_an_earlier_stamp() -> None:
    turned = replace(DONE, parameters=dict(reversed(list(DONE.parameters.items()))))
    stamped = stamp(Metadata(xmp=XMP), DONE)
    assert stamp(Metadata(xmp=XMP), turned) == stamped
    assert stamp(stamped, DONE) == stamped


@pytest.mark.parametrize(
    ("before", "restored", "after"),
    [
        (None, True, "compositeWithTrainedAlgorithmicMedia"),
        (None, False, "algorithmicallyEnhanced"),
        ("digitalCapture", False, "algorithmicallyEnhanced"),
        ("compositeWithTrainedAlgorithmicMedia", False, "compositeWithTrainedAlgorithmicMedia"),
        ("trainedAlgorithmicMedia", True, "trainedAlgorithmicMedia"),
        ("algorithmicallyEnhanced", True, "compositeWithTrainedAlgorithmicMedia"),
    ],
)
def test_the_source_type_is_never_weakened(before: str | None, restored: bool, after: str) -> None:
    packet = XMP
    if before:
        packet = xmp.with_properties(
            XMP, {SOURCE_TYPE[0]: "Iptc4xmpExt"}, [(SOURCE_TYPE, VOCABULARY + before)]
        )
    stamped = stamp(Metadata(xmp=packet), replace(DONE, restored=restored))
    assert value(stamped, SOURCE_TYPE) == VOCABULARY + after
    assert (stamped.xmp or b"").count(b"DigitalSourceType=") == 1


@pytest.mark.parametrize("said", ["", f'Iptc4xmpExt:DigitalSourceType="{VOCABULARY}digitalCapture"'])
def test_a_picture_that_nothing_touched_keeps_its_source_type(said: str) -> None:
    packet = xmp_of(f'xmlns:Iptc4xmpExt="{SOURCE_TYPE[0]}" xmlns:q="urn:q/" q:a="1" {said}')
    stamped = stamp(Metadata(xmp=packet), replace(DONE, restored=False, filtered=False))
    assert value(stamped, SOURCE_TYPE) == (VOCABULARY + "digitalCapture" if said else None)
    assert value(stamped, (NAMESPACE, "Preset")) == DONE.preset


@pytest.mark.parametrize(
    "form",
    [
        '<e:DigitalSourceType rdf:resource="{}"/>',
        '<e:DigitalSourceType rdf:parseType="Resource"><rdf:value>{}</rdf:value></e:DigitalSourceType>',
        "<e:DigitalSourceType><![CDATA[{}]]></e:DigitalSourceType>",
    ],
)
def test_the_source_type_is_never_weakened_however_it_is_written(form: str) -> None:
    said = form.format(VOCABULARY + "trainedAlgorithmicMedia")
    stamped = stamp(Metadata(xmp=xmp_of(f'xmlns:e="{SOURCE_TYPE[0]}"', rest=said)), DONE)
    assert value(stamped, SOURCE_TYPE) == VOCABULARY + "trainedAlgorithmicMedia"
    assert (stamped.xmp or b"").count(b"DigitalSourceType") == 1


def test_an_unreadable_packet_is_replaced_with_a_warning() -> None:
    stamped = stamp(Metadata(xmp=b"<broken"), replace(DONE, checkpoint=None, checkpoint_sha256=None))
    assert value(stamped, (NAMESPACE, "Preset")) == DONE.preset
    assert value(stamped, (NAMESPACE, "Checkpoint")) == ""
    assert "replaced" in stamped.warnings[0]
