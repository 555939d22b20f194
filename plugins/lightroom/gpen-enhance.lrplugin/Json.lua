--- JSON, strict and canonical: sorted keys, no spaces, arrays and null told apart.
-- Knows nothing of frames or of the bridge. Pure; never yields.

local Json = {}

local MAX_NESTING = 200

local arrays = { __name = "Json.array" }

--- Stands for null, which a Lua table cannot hold.
Json.null = setmetatable({}, { __tostring = function() return "null" end })

--- Mark a list as an array, so that an empty one is written as [].
function Json.array(list)
    return setmetatable(list or {}, arrays)
end

--- Whether a decoded or marked value is an array.
function Json.isArray(value)
    return type(value) == "table" and getmetatable(value) == arrays
end

--- Whether a value is a JSON object: a table that is neither array nor null.
function Json.isObject(value)
    return type(value) == "table" and value ~= Json.null and not Json.isArray(value)
end

--- Whether bytes are UTF-8: shortest forms only, no surrogates, nothing above U+10FFFF.
function Json.isUtf8(bytes)
    local at = bytes:find("[\128-\255]")
    while at do
        local first, second = bytes:byte(at, at + 1)
        local more
        if first >= 0xC2 and first <= 0xDF then
            more = 1
        elseif first >= 0xE0 and first <= 0xEF then
            more = 2
        elseif first >= 0xF0 and first <= 0xF4 then
            more = 3
        else
            return false
        end
        second = second or 0
        if (first == 0xE0 and second < 0xA0) or (first == 0xED and second > 0x9F)
            or (first == 0xF0 and second < 0x90) or (first == 0xF4 and second > 0x8F) then
            return false
        end
        for offset = 1, more do
            local following = bytes:byte(at + offset) or 0
            if following < 0x80 or following > 0xBF then return false end
        end
        at = bytes:find("[\128-\255]", at + more + 1)
    end
    return true
end

-- --- writing ---------------------------------------------------------------

local ESCAPES = {
    ['"'] = '\\"', ["\\"] = "\\\\", ["\b"] = "\\b", ["\f"] = "\\f",
    ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t",
}

local function escaped(character)
    return ESCAPES[character] or string.format("\\u%04x", character:byte())
end

local function writtenNumber(number)
    if number ~= number or number == math.huge or number == -math.huge then
        error("JSON has no NaN and no infinity", 0)
    end
    if number == math.floor(number) and math.abs(number) < 2 ^ 53 then
        return string.format("%.0f", number)
    end
    for digits = 14, 17 do
        local text = string.format("%." .. digits .. "g", number)
        if tonumber(text) == number then return text end
    end
end

local write

local function writeTable(value, out)
    if value == Json.null then
        out[#out + 1] = "null"
    elseif Json.isArray(value) or #value > 0 then
        out[#out + 1] = "["
        for index = 1, #value do
            if index > 1 then out[#out + 1] = "," end
            write(value[index], out)
        end
        out[#out + 1] = "]"
    else
        local keys = {}
        for key in pairs(value) do keys[#keys + 1] = key end
        table.sort(keys)
        out[#out + 1] = "{"
        for index, key in ipairs(keys) do
            if index > 1 then out[#out + 1] = "," end
            write(key, out)
            out[#out + 1] = ":"
            write(value[key], out)
        end
        out[#out + 1] = "}"
    end
end

function write(value, out)
    local kind = type(value)
    if kind == "string" then
        out[#out + 1] = '"' .. value:gsub('[%z\1-\31"\\]', escaped) .. '"'
    elseif kind == "number" then
        out[#out + 1] = writtenNumber(value)
    elseif kind == "boolean" then
        out[#out + 1] = tostring(value)
    elseif kind == "table" then
        writeTable(value, out)
    else
        error("JSON has no " .. kind, 0)
    end
end

--- A value as canonical JSON. An unmarked empty table is an object.
function Json.encode(value)
    local out = {}
    write(value, out)
    return table.concat(out)
end

-- --- reading ---------------------------------------------------------------

local NAMED = { ['"'] = '"', ["\\"] = "\\", ["/"] = "/", b = "\b", f = "\f", n = "\n", r = "\r", t = "\t" }

local function refuse(what, at)
    error({ json = what .. " at byte " .. at }, 0)
end

local function utf8Of(code)
    if code < 0x80 then return string.char(code) end
    local bytes = {}
    local limit = 0x40
    while code >= limit do
        table.insert(bytes, 1, 0x80 + code % 0x40)
        code = math.floor(code / 0x40)
        limit = limit / 2
        if #bytes == 1 then limit = 0x20 end
    end
    local lead = ({ 0xC0, 0xE0, 0xF0 })[#bytes]
    return string.char(lead + code, unpack(bytes))
end

local function unitAt(text, at)
    local digits = text:match("^%x%x%x%x", at)
    if not digits then refuse("a broken \\u escape", at) end
    return tonumber(digits, 16)
end

-- The text of an escape whose letter stands at `at`, and where it ends.
local function readEscape(text, at)
    local letter = text:sub(at, at)
    if letter ~= "u" then
        if not NAMED[letter] then refuse("an unknown escape", at) end
        return NAMED[letter], at + 1
    end
    local code = unitAt(text, at + 1)
    if code < 0xD800 or code > 0xDFFF then return utf8Of(code), at + 5 end
    if code > 0xDBFF or text:sub(at + 5, at + 6) ~= "\\u" then refuse("a lone surrogate", at) end
    local low = unitAt(text, at + 7)
    if low < 0xDC00 or low > 0xDFFF then refuse("a lone surrogate", at) end
    return utf8Of(0x10000 + (code - 0xD800) * 0x400 + (low - 0xDC00)), at + 11
end

local function readString(text, at)
    local parts = {}
    local from = at + 1
    while true do
        local stop = text:find('[%z\1-\31"\\]', from)
        if not stop then refuse("an unfinished string", at) end
        parts[#parts + 1] = text:sub(from, stop - 1)
        local found = text:sub(stop, stop)
        if found == '"' then
            return table.concat(parts), stop + 1
        elseif found ~= "\\" then
            refuse("a control character", stop)
        end
        parts[#parts + 1], from = readEscape(text, stop + 1)
    end
end

local function readNumber(text, at)
    local whole = text:match("^-?%d+", at)
    if not whole or whole:find("^-?0%d") then refuse("something that is no value", at) end
    local stop = at + #whole
    local fraction = text:match("^%.%d+", stop) or ""
    stop = stop + #fraction
    local exponent = text:match("^[eE][+-]?%d+", stop) or ""
    local number = tonumber(whole .. fraction .. exponent)
    if number == math.huge or number == -math.huge then refuse("too large a number", at) end
    return number, stop + #exponent
end

local function skipSpace(text, at)
    return text:find("[^ \t\r\n]", at) or #text + 1
end

local readValue

local function readArray(text, at, depth)
    local list = Json.array()
    at = skipSpace(text, at + 1)
    if text:sub(at, at) == "]" then return list, at + 1 end
    while true do
        list[#list + 1], at = readValue(text, at, depth)
        at = skipSpace(text, at)
        local mark = text:sub(at, at)
        if mark == "]" then return list, at + 1 end
        if mark ~= "," then refuse("an unfinished array", at) end
        at = at + 1
    end
end

local function readObject(text, at, depth)
    local object = {}
    at = skipSpace(text, at + 1)
    if text:sub(at, at) == "}" then return object, at + 1 end
    while true do
        at = skipSpace(text, at)
        if text:sub(at, at) ~= '"' then refuse("a key that is no string", at) end
        local key
        key, at = readString(text, at)
        at = skipSpace(text, at)
        if text:sub(at, at) ~= ":" then refuse("a missing colon", at) end
        object[key], at = readValue(text, at + 1, depth)
        at = skipSpace(text, at)
        local mark = text:sub(at, at)
        if mark == "}" then return object, at + 1 end
        if mark ~= "," then refuse("an unfinished object", at) end
        at = at + 1
    end
end

local WORDS = { ["true"] = true, ["false"] = false, ["null"] = Json.null }

function readValue(text, at, depth)
    if depth > MAX_NESTING then refuse("too deep a nesting", at) end
    at = skipSpace(text, at)
    local first = text:sub(at, at)
    if first == "{" then return readObject(text, at, depth + 1) end
    if first == "[" then return readArray(text, at, depth + 1) end
    if first == '"' then return readString(text, at) end
    local word = text:match("^%l+", at)
    if word and WORDS[word] ~= nil then return WORDS[word], at + #word end
    return readNumber(text, at)
end

--- The value of a JSON text in UTF-8.
-- @return the value; or nil and what is wrong with the text.
function Json.decode(text)
    if type(text) ~= "string" or not Json.isUtf8(text) then return nil, "not UTF-8" end
    -- Nothing in here yields, so the plain pcall is safe.
    local fine, value, stop = pcall(readValue, text, 1, 0)
    if not fine then return nil, type(value) == "table" and value.json or tostring(value) end
    if skipSpace(text, stop) <= #text then return nil, "something behind the value" end
    return value
end

return Json
