"""The wire, protocol 1: frames, messages and pictures, pure of any HTTP library.

`frame` owns the bytes of application/x-gpen-frame; `message`, `enhancement` and `service` the
JSON; `picture` the step from a frame's payloads to an Image and back. docs/protocol.md says the
same in words.
"""

PROTOCOL = 1
"""The version that plug-ins and bridge must agree on; health, capabilities and bridge.json tell it."""
