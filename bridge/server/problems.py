"""Every failure as an RFC 9457 problem document: the one place where errors meet HTTP."""

from __future__ import annotations

import uuid

from aiohttp import web

from bridge.errors import (
    BodyTooLarge,
    BridgeError,
    DeviceOutOfMemory,
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    is_out_of_memory,
)
from bridge.protocol.service import Problem
from bridge.server.log import LOG
from bridge.server.route import Handler

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 2
"""A face on a CPU takes about that long."""


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer with what the handler raised; nothing internal leaves the bridge."""
    try:
        return await handler(request)
    except BridgeError as error:
        return _respond(request, error)
    except web.HTTPMethodNotAllowed as error:
        refused = MethodNotAllowed(f"{request.path} takes {', '.join(sorted(error.allowed_methods))}.")
        return _respond(request, refused, headers={"Allow": ", ".join(sorted(error.allowed_methods))})
    except web.HTTPNotFound:
        return _respond(request, NotFound(f"Nothing answers at {request.path}."))
    except web.HTTPRequestEntityTooLarge as error:
        return _respond(request, BodyTooLarge(error.text or ""))
    except web.HTTPException as error:
        return _respond(request, InvalidRequest(error.reason))
    except ConnectionError:
        raise  # the client is gone; there is no one to answer
    except Exception as error:
        if is_out_of_memory(error):
            return _respond(
                request, DeviceOutOfMemory("The computer has too little free memory for this picture.")
            )
        return _respond(request, BridgeError("The log says more; look for the instance."), cause=error)


def document(error: BridgeError, instance: str) -> Problem:
    """An error as its problem document."""
    return Problem(
        type=f"urn:gpen-enhance:problem:{error.code}",
        title=error.title,
        status=error.status,
        # What a stranger sent may hold bytes that are no text, and is quoted here.
        detail=error.detail.encode("utf-8", "replace").decode(),
        code=error.code,
        hint=error.hint,
        retryable=error.retryable,
        instance=instance,
    )


def _respond(
    request: web.Request,
    error: BridgeError,
    *,
    cause: Exception | None = None,
    headers: dict[str, str] | None = None,
) -> web.Response:
    instance = f"urn:uuid:{uuid.uuid4()}"
    log = request.app[LOG].logger
    facts = {"instance": instance, "code": error.code, "method": request.method, "path": request.path}
    if error.status >= 500:
        log.error("request failed", detail=error.detail, exc_info=cause or error, **facts)
    else:
        log.info("request refused", detail=error.detail, **facts)
    extra = dict(headers or {})
    if error.retryable and error.status in (429, 503):
        extra["Retry-After"] = str(error.retry_after or RETRY_AFTER_SECONDS)
    if error.status == 401:
        extra["WWW-Authenticate"] = "Bearer"
    body = document(error, instance).model_dump_json().encode()
    return web.Response(body=body, status=error.status, content_type=MEDIA_TYPE, headers=extra)
