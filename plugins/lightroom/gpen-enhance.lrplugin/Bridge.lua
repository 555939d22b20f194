--- Client of the bridge: one method a route, values in, values out. The transport is passed in.
-- Every method returns a value, or nil and a problem: { code =, title =, detail =, hint =, retryable = }.
-- Yields where the transport does.

local Digest = require "Digest"
local Json = require "Json"
local Protocol = require "Protocol"

local Bridge = {}
Bridge.__index = Bridge

local HEALTH_SECONDS = 5
local PICTURE_SECONDS = 120
local BYTES = "application/octet-stream"

--- A client.
-- @param options { request = as in Http.lua, now = function() -> seconds,
--   endpoint = function() -> { url =, token =, isLocal =, exchange = }, or nil and a problem }
-- The endpoint is asked for at each call: after a restart the bridge has a new token, and perhaps a new port.
function Bridge.new(options)
    return setmetatable({ options = options }, Bridge)
end

--- Where the bridge is now.
function Bridge:endpoint()
    return self.options.endpoint()
end

-- --- exchange ----------------------------------------------------------------

local function escaped(text)
    return (text:gsub("[^%w._~-]", function(character) return string.format("%%%02X", character:byte()) end))
end

local function foreign(status)
    return { code = "bridge_foreign", detail = "(HTTP " .. tostring(status) .. ")" }
end

-- What a problem document says, in our terms.
local function problemOf(answer)
    local document = Json.decode(answer.body)
    if not Json.isObject(document) or type(document.code) ~= "string" then return foreign(answer.status) end
    return {
        code = document.code,
        title = document.title,
        detail = document.detail,
        hint = document.hint,
        retryable = document.retryable == true,
        status = answer.status,
    }
end

local function headersFor(endpoint, more)
    local headers = {}
    if endpoint.token then headers.Authorization = "Bearer " .. endpoint.token end
    for field, value in pairs(more or {}) do headers[field] = value end
    return headers
end

-- Try with whatever endpoint there is; after a refusal or a silence once more, if the endpoint has changed.
function Bridge:tried(attempt)
    local endpoint, whyNone = self:endpoint()
    if not endpoint then return nil, whyNone end
    local found, problem = attempt(endpoint)
    if found then return found end
    local again = self:endpoint()
    if again and (again.token ~= endpoint.token or again.url ~= endpoint.url) then return attempt(again) end
    return nil, problem
end

-- Send to the bridge whose token we have, and to nobody else.
function Bridge:exchange(send)
    local answer, problem = self:tried(function(endpoint)
        local health, whyNot = self:proven(endpoint)
        if not health then return nil, whyNot end
        local answer, failure = send(endpoint)
        if answer and answer.status == 401 then return nil, problemOf(answer) end
        return answer, failure
    end)
    if not answer then return nil, problem end
    if answer.status >= 400 then return nil, problemOf(answer) end
    return answer
end

function Bridge:send(method, path, options)
    options = options or {}
    return self:exchange(function(endpoint)
        return self.options.request(method, endpoint.url .. path, {
            headers = headersFor(endpoint, options.headers),
            body = options.body,
            contentType = options.contentType,
            timeout = options.timeout,
        })
    end)
end

-- Ask for JSON and read it.
function Bridge:ask(method, path, message, options)
    options = options or {}
    if message then options.body = Json.encode(message) end
    local answer, problem = self:send(method, path, options)
    if not answer then return nil, problem end
    if answer.status == 204 then return {} end
    local content = Json.decode(answer.body)
    if type(content) ~= "table" then return nil, foreign(answer.status) end
    return content
end

-- --- who answers -------------------------------------------------------------

local asked = 0

-- Unpredictable for whoever does not know the secret: else answers could be collected before.
local function nonceOf(secret, moment)
    asked = asked + 1
    return Digest.sha256(string.format("nonce:%s:%.6f:%d:%s", secret, moment, asked, tostring({})))
end

local function portOf(url)
    return url:match(":(%d+)$") or (url:match("^https:") and "443" or "80")
end

-- The secret that the bridge shares with the token's owner, and what it is called.
function Bridge:secretOf(token)
    if self.token ~= token then
        self.token, self.secret = token, Digest.sha256(token)
        self.secretName = Digest.sha256(self.secret):sub(1, 16)
    end
    return self.secret, self.secretName
end

-- What the bridge of the endpoint's token says of itself; nil and a problem where something else answers.
-- Asked anew each time: a bridge may die, and a program of another user take its port. Without a token,
-- which is while pairing, any bridge will do.
function Bridge:proven(endpoint, timeout)
    local path, expected = "/v1/health", nil
    if endpoint.token then
        local secret, name = self:secretOf(endpoint.token)
        local nonce = nonceOf(secret, self.options.now())
        path = path .. "?secret=" .. name .. "&nonce=" .. nonce
        expected = Digest.hmac(secret, "gpen-bridge:" .. portOf(endpoint.url) .. ":" .. nonce)
    end
    local answer, problem = self.options.request("GET", endpoint.url .. path, { headers = {}, timeout = timeout })
    if not answer then return nil, problem end
    local health = answer.status == 200 and Json.decode(answer.body)
    if not Json.isObject(health) or health.service ~= Protocol.SERVICE then return nil, foreign(answer.status) end
    if health.protocol ~= Protocol.VERSION then
        return nil, {
            code = "protocol_mismatch",
            detail = LOC("$$$/GPEN/Connection/Versions=The bridge speaks protocol ^1, this plug-in ^2.",
                tostring(health.protocol), Protocol.VERSION),
        }
    end
    local shown = answer.fields["gpen-proof"]
    if expected and not shown then return nil, { code = "unauthorized" } end
    if expected and shown ~= expected then return nil, { code = "bridge_foreign" } end
    return health
end

-- --- the bridge itself -------------------------------------------------------

--- Whether the bridge answers, and speaks our protocol.
-- @return { status =, version =, protocol = }.
function Bridge:health()
    return self:tried(function(endpoint) return self:proven(endpoint, HEALTH_SECONDS) end)
end

--- Whether it takes pictures, and why not: { ready =, reasons = }.
function Bridge:ready() return self:ask("GET", "/v1/ready") end

--- What it can do: version, device, checkpoints, presets, limits.
function Bridge:capabilities() return self:ask("GET", "/v1/capabilities") end

--- Throughput: in_flight, images_per_hour, ...
function Bridge:stats() return self:ask("GET", "/v1/stats") end

--- Exchange a pairing code for a token: { token =, client_id = }.
function Bridge:pair(code)
    return self:ask("POST", "/v1/pair", { code = code, client = "lightroom", name = "Lightroom Classic" })
end

--- All presets: list of { name =, parameters =, built_in = }.
function Bridge:presets()
    local answer, problem = self:ask("GET", "/v1/presets")
    if not answer then return nil, problem end
    return answer.presets
end

--- Create or change a preset of the user's.
function Bridge:savePreset(name, parameters)
    return self:ask("PUT", "/v1/presets/" .. escaped(name), { parameters = parameters })
end

-- --- one picture on one request (previews) -----------------------------------

function Bridge:frame(path, bytes, question, requestId)
    local payload = { name = "image", kind = "file", media_type = "image/tiff", content = bytes }
    local answer, problem = self:send("POST", path, {
        body = Protocol.encodeFrame(question, { payload }),
        contentType = Protocol.MEDIA_TYPE,
        headers = requestId and { ["GPEN-Request-Id"] = requestId },
        timeout = PICTURE_SECONDS,
    })
    if not answer then return nil, problem end
    local frame, code, what = Protocol.decodeFrame(answer.body)
    if not frame then return nil, { code = code, detail = what } end
    return frame
end

--- The faces of an image file, the largest first: { faces =, width =, height =, ... }.
function Bridge:faces(bytes)
    local frame, problem = self:frame("/v1/faces", bytes, {})
    if not frame then return nil, problem end
    return frame.message
end

--- An image file in, raw pixels out.
-- @return the decoded frame: message has the faces, the payload `image` the pixels.
function Bridge:enhancePixels(bytes, question, requestId)
    return self:frame("/v1/enhance", bytes, question, requestId)
end

--- An image file in, the bytes of an enhanced image file out.
function Bridge:enhanceFile(bytes, question, requestId)
    local frame, problem = self:frame("/v1/enhance", bytes, question, requestId)
    if not frame then return nil, problem end
    local image = Protocol.payload(frame, "image")
    if not image then return nil, { code = "frame_malformed" } end
    return image.content
end

-- --- batches -----------------------------------------------------------------

local function itemPath(job, number)
    return "/v1/jobs/" .. job .. "/items/" .. string.format("%d", number)
end

--- Begin to send a file that the bridge cannot reach by a path; its bytes come by `continueUpload`.
-- @return { upload = id, offset = 0, size =, complete = false }.
function Bridge:beginUpload(fileName, size)
    return self:ask("POST", "/v1/uploads", nil, {
        body = "",
        contentType = BYTES,
        headers = { ["Upload-Length"] = string.format("%.0f", size), ["GPEN-File-Name"] = escaped(fileName) },
    })
end

--- How much of an upload has come: as `beginUpload`.
function Bridge:uploadState(upload) return self:ask("GET", "/v1/uploads/" .. upload) end

--- Send the piece of an upload that begins at `offset`, where the bridge has come to.
-- @return as `beginUpload`; `complete` after the last piece.
function Bridge:continueUpload(upload, offset, bytes)
    return self:ask("PATCH", "/v1/uploads/" .. upload, nil, {
        body = bytes,
        contentType = BYTES,
        headers = { ["Upload-Offset"] = string.format("%.0f", offset) },
        timeout = PICTURE_SECONDS,
    })
end

--- Make a job. The same message under the same key gives the job that is there.
function Bridge:createJob(message, key)
    return self:ask("POST", "/v1/jobs", message, { headers = { ["Idempotency-Key"] = key } })
end

--- Add pictures to a job; a ref that it has already is left alone.
function Bridge:addItems(job, items)
    return self:ask("POST", "/v1/jobs/" .. job .. "/items", { items = items })
end

--- A page of a job's items: { items =, next = number or absent }.
function Bridge:items(job, after)
    return self:ask("GET", "/v1/jobs/" .. job .. "/items?limit=500" .. (after and "&after=" .. after or ""))
end

--- How one picture of a job stands.
function Bridge:item(job, number) return self:ask("GET", itemPath(job, number)) end

--- The bytes of a finished result.
function Bridge:result(job, number)
    local answer, problem = self:send("GET", itemPath(job, number) .. "/result", { timeout = PICTURE_SECONDS })
    if not answer then return nil, problem end
    return answer.body
end

--- Say that a result was written back.
function Bridge:acknowledge(job, number) return self:ask("POST", itemPath(job, number) .. "/ack", {}) end

--- Stop the work on one picture.
function Bridge:cancelItem(job, number) return self:ask("POST", itemPath(job, number) .. "/cancel", {}) end

--- Tell what a person thinks of a result: "accepted" or "rejected".
function Bridge:review(job, number, verdict)
    return self:ask("POST", itemPath(job, number) .. "/review", { verdict = verdict })
end

--- Stop a request of ours.
function Bridge:cancelRequest(requestId)
    return self:ask("POST", "/v1/requests/" .. requestId .. "/cancel", {})
end

return Bridge
