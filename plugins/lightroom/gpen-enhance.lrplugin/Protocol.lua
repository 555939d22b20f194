--- Frames and messages of protocol 1 (docs/protocol.md): bytes <-> tables.
-- Knows no HTTP and no host. Pure; never yields.

local Json = require "Json"

local Protocol = {
    VERSION = 1,
    SERVICE = "gpen-bridge",
    MEDIA_TYPE = "application/x-gpen-frame",
}

local PREFIX_BYTES = 12
local MAX_HEADER_BYTES = 1048576
local MAX_PAYLOADS = 16
local MAX_SIDE = 1000000
local SAMPLE_BYTES = { u8 = 1, u16 = 2, f32 = 4 }
local CHANNELS = { [1] = true, [3] = true, [4] = true }

local FIELDS = {
    pixels = {
        name = true, kind = true, bytes = true, width = true, height = true,
        channels = true, depth = true, profile = true,
    },
    file = { name = true, kind = true, bytes = true, media_type = true },
    icc = { name = true, kind = true, bytes = true },
}

local function u32(number)
    local bytes = {}
    for index = 1, 4 do
        bytes[index] = number % 256
        number = math.floor(number / 256)
    end
    return string.char(unpack(bytes))
end

local function readU32(bytes, at)
    local a, b, c, d = bytes:byte(at, at + 3)
    return a + 256 * (b + 256 * (c + 256 * d))
end

-- --- frames ----------------------------------------------------------------

--- A request frame.
-- @param message table of the request.
-- @param payloads list of { name =, kind =, ..., content = bytes }; `bytes` is filled in.
-- @return the frame's bytes.
function Protocol.encodeFrame(message, payloads)
    local declared, contents = Json.array(), {}
    for index, payload in ipairs(payloads) do
        local fields = {}
        for key, value in pairs(payload) do
            if key ~= "content" then fields[key] = value end
        end
        fields.bytes = #payload.content
        declared[index], contents[index] = fields, payload.content
    end
    local header = Json.encode({ request = message, payloads = declared })
    return "GPEN\1\0\0\0" .. u32(#header) .. header .. table.concat(contents)
end

local function isCount(value, most)
    return type(value) == "number" and value >= 0 and value <= most and value == math.floor(value)
end

-- What is wrong with the declaration of a payload; nil when nothing is.
local function payloadProblem(payload)
    local fields = Json.isObject(payload) and FIELDS[payload.kind]
    if not fields then return "a payload of unknown kind" end
    for key in pairs(payload) do
        if not fields[key] then return "an unknown field of a payload: " .. key end
    end
    local name = payload.name
    if type(name) ~= "string" or #name > 64 or not name:find("^%l[%l%d_-]*$") then
        return "a payload without a proper name"
    end
    if not isCount(payload.bytes, 2 ^ 53) then return "a payload without its size" end
    if payload.kind == "file" and type(payload.media_type) ~= "string" then
        return "a file without its media type"
    end
    if payload.kind ~= "pixels" then return nil end
    local width, height = payload.width, payload.height
    if not (isCount(width, MAX_SIDE) and isCount(height, MAX_SIDE) and width > 0 and height > 0) then
        return "pixels without a size"
    end
    if not CHANNELS[payload.channels] or not SAMPLE_BYTES[payload.depth] then
        return "pixels of an unknown form"
    end
    if payload.profile ~= nil and type(payload.profile) ~= "string" then return "a profile without a name" end
    if payload.bytes ~= width * height * payload.channels * SAMPLE_BYTES[payload.depth] then
        return "pixels of another size than they claim"
    end
    return nil
end

-- The parsed header and where the payloads begin; or nil, a code and what is wrong.
local function readHeader(bytes)
    if #bytes < PREFIX_BYTES or bytes:sub(1, 4) ~= "GPEN" then
        return nil, "frame_malformed", "this is no frame"
    end
    if bytes:byte(5) ~= Protocol.VERSION then
        return nil, "protocol_mismatch", "a frame of version " .. bytes:byte(5)
    end
    local length = readU32(bytes, 9)
    if bytes:sub(6, 8) ~= "\0\0\0" or length > MAX_HEADER_BYTES or #bytes < PREFIX_BYTES + length then
        return nil, "frame_malformed", "the frame ends early"
    end
    local header, problem = Json.decode(bytes:sub(PREFIX_BYTES + 1, PREFIX_BYTES + length))
    if not Json.isObject(header) then
        return nil, "frame_malformed", problem or "the header is no object"
    end
    return header, PREFIX_BYTES + length + 1
end

local function readPayloads(bytes, at, declared)
    if not Json.isArray(declared) or #declared > MAX_PAYLOADS then return nil, "payloads are a short list" end
    local payloads, names = {}, {}
    for index, payload in ipairs(declared) do
        local problem = payloadProblem(payload)
        if problem then return nil, problem end
        if names[payload.name] then return nil, "two payloads of one name" end
        names[payload.name] = true
        local stop = at + payload.bytes - 1
        if stop > #bytes then return nil, "a payload ends early" end
        local copy = {}
        for key, value in pairs(payload) do copy[key] = value end
        copy.content = bytes:sub(at, stop)
        payloads[index] = copy
        at = stop + 1
    end
    if at <= #bytes then return nil, "bytes behind the payloads" end
    return payloads
end

--- The meaning of a frame.
-- @return { kind = "request"|"result", message =, payloads = { { name =, ..., content = bytes } } };
--   or nil, the bridge's error code, and what is wrong.
function Protocol.decodeFrame(bytes)
    local header, at, problem = readHeader(bytes)
    if not header then return nil, at, problem end
    for key in pairs(header) do
        if key ~= "request" and key ~= "result" and key ~= "payloads" then
            return nil, "frame_malformed", "an unknown field of the header: " .. key
        end
    end
    local kind = header.request ~= nil and "request" or "result"
    if (header.request ~= nil) == (header.result ~= nil) or not Json.isObject(header[kind]) then
        return nil, "frame_malformed", "a frame has one request or one result"
    end
    local payloads, wrong = readPayloads(bytes, at, header.payloads or Json.array())
    if not payloads then return nil, "frame_malformed", wrong end
    return { kind = kind, message = header[kind], payloads = payloads }
end

--- The payload of that name; nil when there is none.
function Protocol.payload(frame, name)
    for _, payload in ipairs(frame.payloads) do
        if payload.name == name then return payload end
    end
    return nil
end

return Protocol
