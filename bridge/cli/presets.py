"""`gpen-bridge presets`: the presets that enhancement can start from."""

from __future__ import annotations

from bridge.cli.report import AsJson, people, print_json, reported


def presets(as_json: AsJson = False) -> None:
    """List built-in presets and your own."""
    from rich.table import Table

    from bridge.config import Places
    from bridge.server.presets import PresetStore

    with reported(as_json):
        found = PresetStore(Places.current().presets).all()
        if as_json:
            print_json({"presets": [preset.model_dump(mode="json") for preset in found]})
            return
        table = Table("name", "strength", "denoise", "sharpen", "mode", "")
        for preset in found:
            asked = preset.parameters
            numbers = (str(asked.strength), str(asked.denoise), str(asked.sharpen))
            table.add_row(preset.name, *numbers, asked.mode, "built in" if preset.built_in else "")
        people.print(table)
