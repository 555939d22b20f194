"""One frozen Settings: defaults < file < environment < flags; and the places on disk.

Read only by `cli.py` and `server/app.py`; everything below is handed its values.
Environment variables are the field names with the prefix `GPEN_` (`GPEN_PORT=18860`).
The file is `settings.toml` in the data folder.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import platformdirs
from pydantic import Field, IPvAnyAddress, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from bridge.errors import ConfigInvalid

DEFAULT_PORT = 17860
PORTS_TRIED = 4
"""If another program has the port, the next ones are tried: 17860 ... 17863."""


@dataclass(frozen=True)
class Places:
    """Where things lie (design.md section 2).

    Attributes:
        announcement: `bridge.json`, which the plug-ins read to find the bridge.
        data: store, exchange folder, uploads, outputs and weights.
    """

    announcement: Path
    data: Path

    @property
    def settings_file(self) -> Path:
        """The user's settings, TOML."""
        return self.data / "settings.toml"

    @property
    def lock_file(self) -> Path:
        """Held by the one bridge of this data folder."""
        return self.data / "bridge.lock"

    @property
    def weights(self) -> Path:
        """Checkpoints that the user pulled or imported."""
        return self.data / "weights"

    @property
    def exchange(self) -> Path:
        """Pictures that plug-ins hand over by path."""
        return self.data / "exchange"

    @property
    def store(self) -> Path:
        """Jobs, items, events and reviews: SQLite."""
        return self.data / "jobs.sqlite"

    @property
    def uploads(self) -> Path:
        """Pictures that clients sent for their jobs."""
        return self.data / "uploads"

    @property
    def outputs(self) -> Path:
        """Finished pictures of jobs."""
        return self.data / "outputs"

    @property
    def previews(self) -> Path:
        """Small pictures for the console; a cache."""
        return self.data / "previews"

    @property
    def audit(self) -> Path:
        """What was done to which picture: hash-chained JSON lines."""
        return self.data / "audit"

    @property
    def presets(self) -> Path:
        """User presets, one JSON file each."""
        return self.data / "presets"

    @property
    def engines_file(self) -> Path:
        """Which engine was found to be the fastest for each checkpoint, and how fast each is."""
        return self.data / "engines.json"

    @property
    def ray_token(self) -> Path:
        """What opens the studio's cluster of workers, owner-only."""
        return self.data / "studio" / "ray.token"

    @property
    def cluster(self) -> Path:
        """This machine's certificate in the studio's cluster."""
        return self.data / "studio" / "cluster"

    @property
    def clients_file(self) -> Path:
        """Paired clients, owner-only."""
        return self.data / "clients.json"

    @property
    def log_file(self) -> Path:
        """The application log, JSON lines."""
        return self.data / "bridge.log"

    @classmethod
    def current(cls) -> Places:
        """The places of this user; `GPEN_HOME` moves all of them (tests, demo).

        Raises:
            ConfigInvalid: there is no such home folder.
        """
        home = os.environ.get("GPEN_HOME")
        try:
            if home:
                root = Path(home).expanduser().resolve()
                return cls(announcement=root / "bridge.json", data=root)
            data = Path(platformdirs.user_data_dir("gpen-enhance", appauthor=False))
            # The home folder, not the platform's config folder: Lightroom's Lua has no getenv.
            return cls(announcement=Path.home() / ".gpen-enhance" / "bridge.json", data=data)
        except (RuntimeError, OSError, ValueError) as error:  # no such user; links in a circle
            trouble = f"GPEN_HOME={home} leads nowhere" if home else "You have no home folder"
            raise ConfigInvalid(
                f"{trouble}: {str(error).rstrip('.')}.",
                hint="Set GPEN_HOME to a folder of yours, written out in full.",
            ) from error


def bundled(folder: str) -> Path:
    """A folder that we ship: inside the package in a wheel, beside it in a checkout."""
    package = Path(__file__).parent
    inside = package / "bundled" / folder
    return inside if inside.is_dir() else package.parent / folder


Engine = Literal[
    "auto",
    "torch",
    "torch-graphs",
    "ncnn",
    "ncnn-vulkan",
    "onnx",
    "onnx-tensorrt",
    "onnx-directml",
    "onnx-coreml",
]


class Settings(BaseSettings):
    """Everything that a user may set; docs/settings.md lists each field."""

    model_config = SettingsConfigDict(env_prefix="GPEN_", frozen=True, extra="forbid")

    host: str = "127.0.0.1"
    """Address to listen on; loopback only outside studio mode."""
    port: Annotated[int, Field(ge=0, le=65535)] = DEFAULT_PORT
    """First port tried; 0 takes any free one."""
    device: Annotated[str, Field(pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")] = "auto"
    """Where the network runs."""
    engine: Engine = "auto"
    """What runs the network."""
    threads: Annotated[int, Field(ge=0, le=256)] = 0
    """CPU threads of the network; 0 is one for each core."""
    unload_after: Annotated[float, Field(ge=0, le=10_000)] = 0
    """Minutes without work after which loaded networks make room in memory; 0 keeps them."""
    min_face: Annotated[int, Field(ge=8, le=4096)] = 24
    """Smallest side of a face, in pixels of the photo."""
    min_score: Annotated[float, Field(ge=0.0, le=1.0)] = 0.6
    """Detection score under which a face is ignored."""
    max_megapixels: Annotated[float, Field(gt=0, le=2000)] = 250
    """Pixel budget of one picture."""
    max_upload_bytes: Annotated[int, Field(gt=0)] = 2 * 1024**3
    """Largest body that carries a picture."""
    max_json_bytes: Annotated[int, Field(gt=0)] = 1024**2
    """Largest JSON body or frame header."""
    max_requests: Annotated[int, Field(ge=1, le=256)] = 4
    """Pictures worked on at once; more are answered 429."""
    allowed_roots: tuple[Path, ...] = ()
    """Folders beside the exchange folder from which jobs may name photos."""
    job_workers: Annotated[int, Field(ge=0, le=64)] = 0
    """Photos of batches worked on at once; 0 is two more than half of the cores, at most 6."""
    job_megapixels: Annotated[float, Field(gt=0, le=10000)] = 300
    """Pixels that photos of batches may hold in memory together; a larger one is worked on alone."""
    retry_seconds: Annotated[float, Field(ge=0, le=3600)] = 5
    """Pause before the second try of an item; the third comes after four times as long."""
    min_free_bytes: Annotated[int, Field(ge=0)] = 2 * 1024**3
    """Free space on the disk of the data folder under which batches wait."""
    max_output_bytes: Annotated[int, Field(ge=0)] = 50 * 1024**3
    """Size of the output folder from which old results make room."""
    keep_days: Annotated[float, Field(ge=0, le=36500)] = 30
    """Age from which a result that was fetched or acknowledged may make room."""
    tls_certificate: Path | None = None
    """Certificate chain, PEM, for the address that other computers reach."""
    tls_key: Path | None = None
    """Its private key, PEM, readable by the owner only."""
    lan_port: Annotated[int, Field(ge=0, le=65535)] = 17864
    """Port of that address; 0 takes any free one."""
    names: tuple[str, ...] = ()
    """Names and addresses by which other computers call the bridge, as they stand in a Host header."""
    trusted_proxies: tuple[IPvAnyAddress, ...] = ()
    """Proxies that end TLS for the bridge; with one, it takes connections from nobody else."""
    client_requests: Annotated[int, Field(ge=0, le=1_000_000)] = 1200
    """Requests a minute that one client on another computer may send; 0 does not count."""
    client_pictures: Annotated[int, Field(ge=1, le=256)] = 4
    """Pictures of one client worked on at once."""
    client_items: Annotated[int, Field(ge=1)] = 100_000
    """Photos of one client that may wait in the queue."""
    ray_address: Annotated[str, Field(pattern=r"^([A-Za-z0-9.-]+:\d{1,5})?$")] = ""
    """Head of a studio's cluster of workers, host:port; empty: this computer computes itself."""
    ray_tls: bool = False
    """Whether its machines know each other by certificates that are made from the cluster's token."""
    ray_in_flight: Annotated[int, Field(ge=1, le=16)] = 3
    """Faces that one worker holds at a time."""
    ray_most_workers: Annotated[int, Field(ge=0, le=10_000)] = 0
    """GPU workers up to which the cluster's autoscaler is asked for more; 0 does not ask."""
    audit_names: bool = True
    """Whether the audit log has the names of files."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severe level that reaches the log."""

    @property
    def unload_seconds(self) -> float | None:
        """`unload_after` as an engine takes it."""
        return self.unload_after * 60 or None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags over environment; the file comes in below both through `load`."""
        return init_settings, env_settings


def load(places: Places, **flags: Any) -> Settings:
    """Settings in force: defaults < `settings.toml` < environment < flags that are not None.

    Raises:
        ConfigInvalid: the file is not TOML, or a value is unknown or out of range.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    text = _read(places.settings_file)
    from_environment = set(Settings.model_fields) & {
        name.removeprefix("GPEN_").lower() for name in os.environ if name.startswith("GPEN_")
    }

    def where(name: str) -> str:
        """The place that a setting's value comes from."""
        if name in given:
            return f"the flag `--{name}`"
        if name in from_environment:
            return f"the environment variable GPEN_{name.upper()}"
        line = _line_of(name, text)
        return f"{places.settings_file}, line {line}" if line else str(places.settings_file)

    try:
        below = {
            name: value
            for name, value in _parsed(text, places.settings_file).items()
            if name not in from_environment
        }
        return Settings(**(below | given))
    except ValidationError as error:
        problem = error.errors()[0]
        name = str(problem["loc"][0])
        if problem["type"] == "extra_forbidden":
            raise _unknown(name, where(name)) from error
        raise ConfigInvalid(f"Setting `{name}` ({where(name)}): {problem['msg']}.") from error
    except SettingsError as error:  # a list that is not JSON; the message names the field and nothing else
        name = next((name for name in from_environment if f'"{name}"' in str(error)), "")
        raise ConfigInvalid(
            f"Setting `{name}` ({where(name)}) is no JSON list.",
            hint='Write it like ["one", "two"], or unset the variable to use the default.',
        ) from error


def _unknown(name: str, where: str) -> ConfigInvalid:
    near = difflib.get_close_matches(name, Settings.model_fields, 1)
    meant = f"Did you mean `{near[0]}`? " if near else ""
    return ConfigInvalid(
        f"There is no setting `{name}` ({where}).", hint=f"{meant}docs/settings.md names them all."
    )


def _line_of(name: str, text: str) -> int | None:
    """The number of the line that sets `name` in a TOML file; None if no line begins with it."""
    pattern = re.compile(rf"""\s*(["']?){re.escape(name)}\1\s*=|\s*\[+\s*{re.escape(name)}\s*\]""")
    return next((n for n, line in enumerate(text.splitlines(), 1) if pattern.match(line)), None)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")  # Windows editors begin a file with a mark
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigInvalid(f"{path} cannot be read: {error}.") from error


def _parsed(text: str, path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigInvalid(f"{path} is not valid TOML: {error}.") from error
