--- How a result is called: a template filled in, legal on every system, and free.
-- Knows no disk: who asks passes in whether a path is taken. Pure; never yields.

local Naming = {}

local MAX_STEM_BYTES = 180
local NEVER_ON_WINDOWS = {
    con = true, prn = true, aux = true, nul = true,
}
for number = 1, 9 do
    NEVER_ON_WINDOWS["com" .. number] = true
    NEVER_ON_WINDOWS["lpt" .. number] = true
end

-- The longest beginning of at most `most` bytes that does not cut a character.
local function cut(text, most)
    if #text <= most then return text end
    local last = most
    while last > 0 do
        local following = text:byte(last + 1)
        if following < 0x80 or following > 0xBF then break end
        last = last - 1
    end
    return text:sub(1, last)
end

--- Text made into a file name without extension that every system takes.
function Naming.legal(text)
    local stem = text:gsub('[%c/\\:*?"<>|]', "_"):gsub("^%s+", "")
    stem = cut(stem, MAX_STEM_BYTES):gsub("[%s.]+$", "")
    if stem == "" then stem = "GPEN" end
    if NEVER_ON_WINDOWS[stem:lower():match("^[^.]*")] then stem = "_" .. stem end
    return stem
end

--- The template filled in. Placeholders: {stem} {preset} {date} {counter}.
-- @param facts { stem =, preset =, date = "2026-11-26", counter = number }
function Naming.stem(template, facts)
    local filled = template:gsub("{(%a+)}", function(name)
        local fact = facts[name]
        return fact and tostring(fact)
    end)
    return Naming.legal(filled)
end

--- A name for `stem` in its folder that nothing has: numbered -2, -3 ... while it is taken.
-- @param isTaken function(name) -> boolean.
-- @return the file name with extension, and whether it had to be numbered.
function Naming.free(stem, extension, isTaken)
    local name, number = stem .. "." .. extension, 1
    while isTaken(name) do
        number = number + 1
        name = stem .. "-" .. number .. "." .. extension
    end
    return name, number > 1
end

return Naming
