--- A photo's edits as a short text: equal edits, equal text. Pure; never yields.

local Edits = {}

local function write(value, out)
    if type(value) ~= "table" then
        out[#out + 1] = type(value) == "number" and string.format("%.10g", value) or tostring(value)
        return
    end
    local names, byName = {}, {}
    for key, inner in pairs(value) do
        local name = type(key) .. ":" .. tostring(key)
        names[#names + 1] = name
        byName[name] = inner
    end
    table.sort(names)
    out[#out + 1] = "{"
    for _, name in ipairs(names) do
        out[#out + 1] = name .. "="
        write(byName[name], out)
        out[#out + 1] = ";"
    end
    out[#out + 1] = "}"
end

-- Two polynomial hashes below 2^32: every product stays exact in a double.
local PRIME_A, PRIME_B = 4294967291, 4294967279

--- @param settings what photo:getDevelopSettings() gives; nil counts as no edits.
-- @return 16 hexadecimal digits.
function Edits.fingerprint(settings)
    local out = {}
    write(settings or {}, out)
    local text = table.concat(out)
    local a, b = 7, 11
    for at = 1, #text do
        local byte = text:byte(at)
        a = (a * 257 + byte) % PRIME_A
        b = (b * 1031 + byte) % PRIME_B
    end
    return string.format("%08x%08x", a, b)
end

return Edits
