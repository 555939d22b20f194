"""Checkpoints: which are known, which are installed, and the only ways for one to become so.

Owns the weights folder. Bytes come by `download.py`, what is trusted is `trust.py`'s, what a file
holds is for `bridge.network` to say, which is imported where it is needed: listing weights should not
wait for torch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from bridge.checkpoints import manifest
from bridge.checkpoints.download import Progress, Wanted, fetch
from bridge.checkpoints.export import Exported, export
from bridge.checkpoints.intake import name_from, own_entry, published_as, safe_form
from bridge.checkpoints.manifest import Entry
from bridge.checkpoints.trust import Record, Stamp, Trust, TrustFile
from bridge.errors import (
    CheckpointHashMismatch,
    CheckpointNotInstalled,
    CheckpointTruncated,
    CheckpointUnknown,
    DownloadFailed,
    InvalidRequest,
    LicenceNotAccepted,
    OutputError,
)

if TYPE_CHECKING:
    from bridge.network.architecture import Architecture
    from bridge.network.opened import Network

AUTO = "auto"
"""The name that stands for whichever suits the face."""


@dataclass(frozen=True)
class Verified:
    """A checkpoint whose bytes were just compared with what is trusted.

    Attributes:
        entry: what it is.
        path: where it lies.
        bytes: its size.
        sha256: of the file that lies there.
            (`entry.sha256` is that of the published one, which it may have been converted from).
        first_use: the hash was not published by anyone we know; it is the one seen at first use.
    """

    entry: Entry
    path: Path
    bytes: int
    sha256: str
    first_use: bool


class Checkpoints:
    """The manifest and the two folders where weights lie. Safe to use from several threads and processes.

    Args:
        bundled: `manifest.toml` and the weights that come with the product; never written to.
        user: what this user pulled or imported; made when needed.
        schemes: of addresses that downloads may use.

    Raises:
        CheckpointError: the manifest is not valid.
    """

    def __init__(self, bundled: Path, user: Path, *, schemes: Sequence[str] = ("https",)) -> None:
        self._bundled = bundled
        self._user = user
        self._schemes = schemes
        self._manifest = {entry.name: entry for entry in manifest.read(bundled / "manifest.toml")}
        self._trust = TrustFile(user)

    def entries(self) -> list[Entry]:
        """All that are known: the manifest's in its order, then the user's own."""
        return list(self._known(self._trust.read()).values())

    def entry(self, name: str) -> Entry:
        """One of them.

        Raises:
            CheckpointUnknown: there is none of that name.
        """
        return self._entry(name, self._trust.read())

    def installed(self) -> list[Entry]:
        """Those whose file is here, in the order of `entries`; their bytes are not looked at."""
        trust = self._trust.read()
        return [entry for entry in self._known(trust).values() if self._path(entry, trust)]

    def has_accepted(self, name: str) -> bool:
        """Whether this user has accepted the terms, or there is nothing to accept."""
        trust = self._trust.read()
        return trust.has_accepted(self._entry(name, trust))

    def pick(self, name: str, face_size: float) -> Entry:
        """The checkpoint for one face.

        `auto` looks at what the user installed, and only where that is nothing at all at what is
        bundled: who went to the trouble wants it (whether it allows paid work is
        `entry.licence.commercial`, which the interface shows). Among those it takes the smallest
        network that holds the face at the photo's own resolution, else the largest; of several of
        one side the first in the order of `entries`.

        Args:
            name: a name, or auto.
            face_size: smaller side of the face's box in pixels of the photo.

        Raises:
            CheckpointUnknown: there is none of that name.
            CheckpointNotInstalled: it is not installed, or for auto none is.
        """
        installed = self.installed()
        if name != AUTO:
            entry = self.entry(name)
            if entry not in installed:
                raise _not_installed(entry)
            return entry
        if not installed:
            raise CheckpointNotInstalled("No checkpoint is installed.")
        candidates = [entry for entry in installed if not entry.bundled] or installed
        by_side = sorted(candidates, key=lambda entry: entry.side)
        large_enough = (entry for entry in by_side if entry.side >= entry.side_needed(face_size))
        largest = next(entry for entry in by_side if entry.side == by_side[-1].side)
        return next(large_enough, largest)

    def open(self, name: str, engine: str = "torch") -> Network:
        """Open an installed checkpoint: size and SHA-256 first, then the content.

        Args:
            engine: what will run it, a name of `bridge.network.engines.KINDS`.

        Returns:
            A network on the CPU.

        Raises:
            CheckpointUnknown, CheckpointNotInstalled: there is nothing to open.
            CheckpointError: the file is not the trusted one, or cannot be used (its subclasses say why).
            ExtraMissing, DeviceUnavailable: the engine cannot run here.
        """
        from bridge.network.form import TensorForm
        from bridge.network.opened import open_network

        entry, path, stamp = self.stored(name)
        form = TensorForm(input=entry.input, output=entry.output)
        cache = self._user / "engines"
        return open_network(
            path, sha256=stamp.sha256, size=stamp.bytes, form=form, engine=engine, cache=cache
        )

    def sha256(self, name: str) -> str:
        """What the file of an installed checkpoint has to have; its bytes are not looked at.

        Raises:
            CheckpointUnknown, CheckpointNotInstalled: there is no such file.
        """
        return self.stored(name)[2].sha256

    def verify(self, name: str) -> Verified:
        """Compare an installed checkpoint's bytes with what is trusted.

        Raises:
            CheckpointUnknown, CheckpointNotInstalled: there is nothing to compare.
            CheckpointTruncated, CheckpointHashMismatch: they differ.
        """
        entry, path, stamp = self.stored(name)
        found = Stamp.of(path)
        if found.bytes != stamp.bytes:
            raise CheckpointTruncated(f"{path.name} has {found.bytes} bytes instead of {stamp.bytes}.")
        if found.sha256 != stamp.sha256:
            raise CheckpointHashMismatch(
                f"{path.name} has the SHA-256 {found.sha256} instead of {stamp.sha256}."
            )
        known = self._manifest.get(name)
        first_use = known is None or known.sha256 is None
        return Verified(entry, path, stamp.bytes, stamp.sha256, first_use)

    def recognise(self, path: Path, name: str | None = None) -> Entry:
        """What a file would be imported as, so that its terms can be shown first. Changes nothing.

        By its SHA-256 where that is known; else by the name that is given; else by its file name,
        where a known checkpoint without a known hash is published under it; else, after a safe look
        at the shapes in it, as the user's own, named after the file.

        Args:
            path: any file; it is read as data, never run.
            name: what the user says it is, or wants to call it.

        Raises:
            CheckpointTruncated: it has the name of a known checkpoint but fewer bytes.
            CheckpointHashMismatch: it has the name of a known checkpoint but other bytes.
            CheckpointUnsafe, CheckpointForeign, CheckpointError: it is nobody's GPEN, or unreadable.
            InvalidRequest: `name` cannot be a name, or is not this file's.
        """
        return self._recognise(path, Stamp.of(path), name, self._trust.read())

    def import_file(self, path: Path, accept_licence: bool = False, name: str | None = None) -> Entry:
        """Take a file that the user has into the weights folder, as safetensors.

        On failure nothing changes, except that terms which were accepted stay so.

        Args:
            path: left as it is.
            accept_licence: the user has seen the terms of `recognise(path, name)` and accepts them.
            name: as in `recognise`.

        Raises:
            LicenceNotAccepted: the terms were neither accepted now nor before.
            CheckpointUnsafe, CheckpointForeign, CheckpointTruncated, CheckpointHashMismatch: it
                holds something else than it should.
            CheckpointError, InvalidRequest: as `recognise`.
            OutputError: the folder cannot be written.
        """
        stamp = Stamp.of(path)
        entry = self._recognise(path, stamp, name, self._trust.read())
        self._agree(entry, accept_licence)
        self._adopt(path, stamp, entry)
        return entry

    def pull(
        self,
        name: str,
        accept_licence: bool = False,
        on_progress: Callable[[Progress], None] = lambda progress: None,
    ) -> Entry:
        """Download a known checkpoint, unless it is here already and undamaged.

        Sources are tried in turn; what an earlier try left behind is continued.

        Args:
            name: of an entry.
            accept_licence: the user has seen the terms and accepts them.
            on_progress: called often, from this thread; what it raises stops the download, which
                can be continued later.

        Raises:
            CheckpointUnknown: there is none of that name.
            CheckpointNotInstalled: it should have come with the product.
            LicenceNotAccepted: the terms were neither accepted now nor before.
            DownloadFailed, CheckpointHashMismatch: no source gave the right file.
            CheckpointUnsafe, CheckpointForeign, CheckpointError: what came cannot be used.
            OutputError: the folder cannot be written.
        """
        trust = self._trust.read()
        entry = self._entry(name, trust)
        if self._path(entry, trust):
            with suppress(CheckpointTruncated, CheckpointHashMismatch):  # damaged: fetched afresh
                self.verify(name)
                return entry
        if not entry.sources:
            raise _not_installed(entry)
        self._agree(entry, accept_licence)
        part = self._user / f"{entry.files[0]}.part"
        wanted = Wanted(entry.sources, entry.bytes, entry.sha256)
        try:
            digest = fetch(wanted, part, on_progress=on_progress, schemes=self._schemes)
        except DownloadFailed as failure:
            raise DownloadFailed(failure.detail, hint=_offline_advice(entry)) from failure
        try:
            self._adopt(part, Stamp(entry.files[0], part.stat().st_size, digest), entry)
        finally:
            part.unlink(missing_ok=True)
        return entry

    @staticmethod
    def convert(source: Path, destination: Path) -> Architecture:
        """Rewrite a checkpoint as float32 safetensors, anywhere; nothing is installed.

        Raises:
            CheckpointError: it is no sound GPEN (subclasses say why); then nothing is written.
            OutputError: the destination cannot be written.
        """
        from bridge.network import checkpoint

        try:
            return checkpoint.convert(source, destination, {"source_sha256": Stamp.of(source).sha256})
        except OSError as error:
            raise OutputError(f"{destination} cannot be written: {error}.") from error

    def export(self, source: Path, destination: Path) -> Exported:
        """Write a checkpoint as an ONNX file for other programs, anywhere; nothing is installed.

        What the network takes and gives is as the manifest says of that file's bytes; of bytes that nobody
        knows, as with the official GPEN-BFR.

        Raises:
            See `export.export`; then nothing is written.
        """
        from bridge.network.form import TensorForm

        stamp, trust = Stamp.of(source), self._trust.read()
        stored = {name: record.stored.sha256 for name, record in trust.records.items()}
        for entry in self._known(trust).values():
            if stamp.sha256 in (entry.sha256, stored.get(entry.name)):
                return export(source, TensorForm(entry.input, entry.output), destination, stamp.sha256)
        return export(source, TensorForm(), destination, stamp.sha256)

    # --- what is known and here ----------------------------------------------------------

    def _known(self, trust: Trust) -> dict[str, Entry]:
        """Every entry; what the manifest does not know of a file is as it was at first use."""
        own = {name: record.own for name, record in trust.records.items() if record.own is not None}
        known = own | self._manifest
        for name, record in trust.records.items():
            if name in known and known[name].sha256 is None:
                first = record.published or record.stored
                known[name] = replace(known[name], sha256=first.sha256, bytes=first.bytes)
        return {name: known[name] for name in [*self._manifest, *own]}

    def _entry(self, name: str, trust: Trust) -> Entry:
        try:
            return self._known(trust)[name]
        except KeyError:
            raise CheckpointUnknown(f"There is no checkpoint `{name}`.") from None

    def _path(self, entry: Entry, trust: Trust) -> Path | None:
        """The file of an installed checkpoint."""
        record = trust.records.get(entry.name)
        if entry.bundled:
            path = self._bundled / entry.files[0]
        elif record is not None:
            path = self._user / Path(record.stored.file).name  # never outside the folder
        else:
            return None
        return path if path.is_file() else None

    def stored(self, name: str) -> tuple[Entry, Path, Stamp]:
        """An installed checkpoint, its file, and the bytes that this should have."""
        trust = self._trust.read()
        entry = self._entry(name, trust)
        path = self._path(entry, trust)
        if path is None:
            raise _not_installed(entry)
        if not entry.bundled:
            return entry, path, trust.records[name].stored
        if entry.sha256 is None:
            seen = Stamp.of(path)
            trust = self._trust.update(lambda now: now.recording(name, Record(None, seen)))
            return self._entry(name, trust), path, seen
        return entry, path, Stamp(path.name, entry.bytes or path.stat().st_size, entry.sha256)

    # --- becoming installed --------------------------------------------------------------

    def _recognise(self, path: Path, stamp: Stamp, name: str | None, trust: Trust) -> Entry:
        known = self._known(trust)
        for entry in known.values():
            if entry.sha256 == stamp.sha256:
                if name not in (None, entry.name):
                    raise InvalidRequest(f"{path.name} is {entry.name}, not {name}.")
                return entry
        called = name or name_from(path)
        claimed = known.get(called) if name else published_as(path.name, known) or known.get(called)
        if claimed is None:
            return own_entry(path, stamp, called)
        if claimed.bytes is not None and stamp.bytes < claimed.bytes:
            raise CheckpointTruncated(
                f"{path.name} has {stamp.bytes} bytes instead of {claimed.bytes}.",
                hint="Copy or download it again: part of it is missing.",
            )
        if claimed.bundled or claimed.sha256 is not None:
            raise CheckpointHashMismatch(
                f"{path.name} is not {claimed.name}: its SHA-256 is {stamp.sha256}.",
                hint="Is it a network of your own? Then import it under another name.",
            )
        return claimed

    def _agree(self, entry: Entry, accept: bool) -> None:
        if self._trust.read().has_accepted(entry):
            return
        if not accept:
            raise LicenceNotAccepted(f"{entry.title}: {entry.licence.title}. {entry.licence.terms.strip()}")
        self._trust.update(lambda trust: trust.accepting(entry))

    def _adopt(self, path: Path, published: Stamp, entry: Entry) -> None:
        """Convert a file whose hash is settled, put it in its place and record it, in this order."""
        if entry.bundled:
            raise InvalidRequest(
                f"{entry.name} comes with the product.", hint="There is nothing to import: it is installed."
            )
        try:
            self._user.mkdir(parents=True, exist_ok=True)
            with TemporaryDirectory(dir=self._user, prefix=".import-") as aside:
                made = safe_form(path, published, entry, Path(aside))
                stored = Stamp.of(made)
                made.replace(self._user / stored.file)
        except OSError as error:
            raise OutputError(f"{self._user} cannot be written: {error}.") from error
        own = None if entry.name in self._manifest else entry
        self._trust.update(lambda trust: trust.recording(entry.name, Record(published, stored, own)))


def _not_installed(entry: Entry) -> CheckpointNotInstalled:
    if entry.bundled:
        return CheckpointNotInstalled(
            f"{entry.name} should have come with the product.", hint="Install the bridge again."
        )
    return CheckpointNotInstalled(
        f"{entry.name} is not installed.",
        hint=f"Run `gpen-bridge weights pull {entry.name}`, or import the file with `weights import`.",
    )


def _offline_advice(entry: Entry) -> str:
    return (
        f"Without internet: fetch {entry.files[0]} on another computer ({' or '.join(entry.sources)}), "
        f"bring it here and run `gpen-bridge weights import {entry.files[0]}`."
    )
