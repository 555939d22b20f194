--- LrHttp as one function with one kind of answer. Knows no routes and no messages.
-- Yields: call it inside a task, never inside a plain pcall and never inside a gate.

local LrHttp = import "LrHttp"

local Http = {}

-- Seconds for each phase of a connection, as the host counts them.
local TIMEOUT_SECONDS = 15

local CODES = { timedOut = "timed_out", cancelled = "cancelled" }

local function answer(body, headers)
    if body == nil or type(headers) ~= "table" or not headers.status then
        local failure = type(headers) == "table" and headers.error or {}
        return nil, {
            code = CODES[failure.errorCode] or "bridge_unreachable",
            detail = failure.name and ("(" .. tostring(failure.name) .. ")") or nil,
            retryable = true,
        }
    end
    local fields = {}
    for _, header in ipairs(headers) do fields[header.field:lower()] = header.value end
    return { status = headers.status, body = body, fields = fields }
end

--- Send a request.
-- @param options { headers = { name = value }, body = string?, contentType = string?, timeout = seconds? }
-- @return { status =, body =, fields = headers by lower-case name }; or nil and a problem.
function Http.request(method, url, options)
    local headers = {}
    for field, value in pairs(options.headers) do
        table.insert(headers, { field = field, value = value })
    end
    local timeout = options.timeout or TIMEOUT_SECONDS
    if method == "GET" then return answer(LrHttp.get(url, headers, timeout)) end
    -- Without a type the host says text/plain, which the bridge refuses.
    table.insert(headers, { field = "Content-Type", value = options.contentType or "application/json" })
    return answer(LrHttp.post(url, options.body or "{}", headers, method, timeout))
end

return Http
