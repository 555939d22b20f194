"""The dialog with its preview, against the real bridge."""

from __future__ import annotations

import time
from collections.abc import Generator
from pathlib import Path

from tests.plugins.lightroom.conftest import RunningBridge
from tests.plugins.lightroom.host import Dialog, Host, World


def choose(host: Host) -> object:
    """Show the dialog for the selection; what it comes to."""
    return host.lua.execute(
        b"""
        local host, env, K = ...
        local choose = env.require("SettingsDialog").choose
        K.spawn("dialog", function()
            env.import("LrFunctionContext").callWithContext("dialog", function(context)
                host(choose(env.import("LrApplication").activeCatalog():getTargetPhotos(), context))
            end)
        end)
        """,
        host.keep,
        host.environment,
        host.kernel,
    )


def test_it_opens(world: World, host: Host, bridge: RunningBridge) -> None:
    world.add("a.nef")
    host.render_size = (640, 480)
    seen: dict[str, object] = {}

    def person(dialog: Dialog) -> Generator[float, None, str]:
        began = time.monotonic()
        while not dialog.pictures()[1]:
            yield 0.2
            assert time.monotonic() - began < 10, host.logged
        seen["texts"] = dialog.texts()
        seen["pictures"] = [Path(path).read_bytes()[:2] for path in dialog.pictures()]
        first = dialog.pictures()[1]
        dialog.set("strength", 95)
        while dialog.pictures()[1] == first:
            yield 0.2
        seen["items"] = dialog.items("preset")
        dialog.set("preset", "phone")
        seen["strength"] = dialog.get("strength")
        return "ok"

    host.people = [person]
    host.keep = lambda value: seen.__setitem__("settings", host.from_lua(value))
    choose(host)
    host.run()
    print(seen)
