"""Provenance: what the bridge did to a picture, told in its XMP. Knows no pixels.

Nothing that varies between two equal runs (time, identifiers) is written.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from bridge.errors import MetadataMalformed
from bridge.imaging.containers import xmp
from bridge.imaging.image import Metadata

NAMESPACE = "urn:gpen-enhance:provenance:1.0/"
_IPTC_EXTENSION = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
_SOURCE_TYPE = (_IPTC_EXTENSION, "DigitalSourceType")
_VOCABULARY = "http://cv.iptc.org/newscodes/digitalsourcetype/"
_ENHANCED = "algorithmicallyEnhanced"
_COMPOSITE = "compositeWithTrainedAlgorithmicMedia"
_GENERATED = "trainedAlgorithmicMedia"
_ORDER = (_ENHANCED, _COMPOSITE, _GENERATED)  # by how much of the picture an algorithm made
_PREFIXES = {NAMESPACE: "gpen", _IPTC_EXTENSION: "Iptc4xmpExt"}


@dataclass(frozen=True)
class Provenance:
    """What was done.

    Attributes:
        preset: name of the preset.
        parameters: as the preset and the request set them; plain values.
        checkpoint: name of the network's weights, None if no network ran.
        checkpoint_sha256: their hash.
        version: of the bridge.
        restored: whether a network restored anything.
        filtered: whether the whole picture was denoised or sharpened.
    """

    preset: str
    parameters: Mapping[str, Any]
    checkpoint: str | None
    checkpoint_sha256: str | None
    version: str
    restored: bool
    filtered: bool


def stamp(metadata: Metadata, provenance: Provenance) -> Metadata:
    """The metadata with our properties and IPTC's DigitalSourceType in the XMP.

    Whatever else the packet says stays as it is, byte for byte; an earlier stamp is replaced. A
    picture that already says that more of it is synthetic keeps saying so, and one that nothing
    touched says of its source what it said. An unreadable packet is replaced, with a warning.
    """
    try:
        known = xmp.parse(metadata.xmp).value(_SOURCE_TYPE) if metadata.xmp else None
    except MetadataMalformed as error:
        lost = (f"The XMP is damaged and was replaced: {error}",)
        return stamp(replace(metadata, xmp=None, warnings=metadata.warnings + lost), provenance)
    properties = [
        ((NAMESPACE, "Preset"), provenance.preset),
        ((NAMESPACE, "Parameters"), json.dumps(provenance.parameters, sort_keys=True, ensure_ascii=False)),
        ((NAMESPACE, "Checkpoint"), provenance.checkpoint or ""),
        ((NAMESPACE, "CheckpointSHA256"), provenance.checkpoint_sha256 or ""),
        ((NAMESPACE, "Version"), provenance.version),
    ]
    if provenance.restored or provenance.filtered:
        properties.append((_SOURCE_TYPE, _VOCABULARY + _source_type(provenance.restored, known)))
    return replace(metadata, xmp=xmp.with_properties(metadata.xmp, _PREFIXES, properties))


def _source_type(restored: bool, known: str | None) -> str:
    """IPTC's term for the picture: the stronger of what it was and what was done."""
    done = _COMPOSITE if restored else _ENHANCED
    before = (known or "").strip().rpartition("/")[2]
    return max(done, before, key=_ORDER.index) if before in _ORDER else done
