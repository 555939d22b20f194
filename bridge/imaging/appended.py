"""What XMP says of things that lie in a file beside the picture: gain map, video, depth map, thumbnail.

None of them is carried over, for they show or measure the photo as it was. Left in, the words would
send programs to look for them.
"""

from __future__ import annotations

from bridge.imaging.containers import xmp

_ADOBE_GAIN_MAP, _APPLE_GAIN_MAP = (
    "http://ns.adobe.com/hdr-gain-map/1.0/",
    "http://ns.apple.com/HDRGainMap/1.0/",
)
_CAMERA = "http://ns.google.com/photos/1.0/camera/"
_DIRECTORY = ("http://ns.google.com/photos/1.0/container/", "Directory")
_THUMBNAILS = ("http://ns.adobe.com/xap/1.0/", "Thumbnails")
_VIDEO = ("MicroVideo", "MotionPhoto")  # how the names begin, and the names of the two switches
GAIN_MAP, MOTION_VIDEO, DEPTH_MAP = "HDR gain map", "motion video", "depth map"
_LISTED = {
    b"GainMap": GAIN_MAP,
    b"MotionPhoto": MOTION_VIDEO,
    b"Depth": DEPTH_MAP,
}  # as the directory calls them


def without(packet: xmp.Packet) -> tuple[bytes, set[str]]:
    """The packet without these properties, all else byte for byte; and the losses that they spoke of."""
    gone, told = [], set()
    for known in packet.properties:
        namespace, local = known.name
        if namespace in (_ADOBE_GAIN_MAP, _APPLE_GAIN_MAP):
            told.add(GAIN_MAP)
        elif namespace == _CAMERA and local.startswith(_VIDEO):
            if local in _VIDEO and packet.text(known) != "0":
                told.add(MOTION_VIDEO)
        elif known.name == _DIRECTORY:
            listed = packet.data[known.start : known.end]
            told |= {name for word, name in _LISTED.items() if word in listed}
        elif known.name != _THUMBNAILS:
            continue
        gone.append(known)
    return xmp.without(packet, gone), told
