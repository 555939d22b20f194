--- What a result takes over from its original, and what is written beside it. Pure; never yields.
-- Catalog.lua does the writing. The exported file carries most of it already; what the host did read
-- from the file is not written again.

local WriteBack = {}

--- Read and written as text. (Other formatted values are display strings and must not be written back.)
WriteBack.TEXTS = {
    "title", "caption", "copyright", "creator", "creatorEmail", "creatorUrl", "headline", "rightsUsageTerms",
    "copyrightInfoUrl", "location", "city", "stateProvince", "country", "isoCountryCode", "instructions",
    "jobIdentifier", "provider", "source",
}

--- Read and written as they are.
WriteBack.VALUES = { "rating", "gps", "gpsAltitude", "copyrightState" }

local LOCATION = {
    gps = true, gpsAltitude = true, location = true, city = true, stateProvince = true, country = true,
    isoCountryCode = true,
}
local RIGHTS = { copyright = true, copyrightState = true, copyrightInfoUrl = true, rightsUsageTerms = true, creator = true }
local CONTACT = { creatorEmail = true, creatorUrl = true }

local MAX_PROPERTY_BYTES = 511
local UNLABELLED = { none = true, gray = true, [""] = true }

-- The host keeps lines apart with U+2028, and takes nothing else.
local function lines(text)
    return (text:gsub("\r\n", "\n"):gsub("[\r\n]", "\226\128\168"))
end

local function same(one, other)
    if type(one) ~= "table" or type(other) ~= "table" then return one == other end
    for key, value in pairs(one) do
        if not same(value, other[key]) then return false end
    end
    for key in pairs(other) do
        if one[key] == nil then return false end
    end
    return true
end

--- Whether what an export's user chose of metadata lets a key through: the host may write what the catalogue
-- holds into the file again. A label is for the catalogue, and always comes through.
-- @param chosen as Renderer.metadataOf gives it, or nil: everything is kept.
function WriteBack.keeps(key, chosen)
    if not chosen or key == "colorNameForLabel" then return true end
    if chosen.LR_removeLocationMetadata and LOCATION[key] then return false end
    if chosen.LR_embeddedMetadataOption == "copyrightOnly" then return RIGHTS[key] or false end
    if chosen.LR_embeddedMetadataOption == "copyrightAndContactOnly" then
        return RIGHTS[key] or CONTACT[key] or false
    end
    return true
end

--- The metadata to set on a result.
-- @param source, result raw and formatted values by key, of the original and of the new photo.
-- @param label a colour that the user wants results to have, or "none".
-- @param chosen what an export's user chose of metadata (Renderer.metadataOf), or nil: everything.
-- @return list of { key =, value = }.
function WriteBack.metadata(source, result, label, chosen)
    local changes = {}
    local function set(key, value)
        if WriteBack.keeps(key, chosen) and not same(value, result[key]) then
            table.insert(changes, { key = key, value = value })
        end
    end
    for _, key in ipairs(WriteBack.TEXTS) do
        local text = source[key]
        if type(text) == "string" and text ~= "" then set(key, lines(text)) end
    end
    for _, key in ipairs(WriteBack.VALUES) do
        if source[key] ~= nil then set(key, source[key]) end
    end
    local colour = label ~= "none" and label or source.colorNameForLabel
    if colour and not UNLABELLED[colour] then set("colorNameForLabel", colour) end
    if not result.dateTimeOriginal and source.dateTimeOriginalISO8601 then
        set("dateCreated", source.dateTimeOriginalISO8601)
    end
    return changes
end

--- The custom fields of a result (MetadataDefinition.lua), as text that the host takes.
function WriteBack.properties(facts)
    local properties = {}
    for key, value in pairs(facts) do
        local text = tostring(value)
        if #text > MAX_PROPERTY_BYTES then text = text:sub(1, MAX_PROPERTY_BYTES) end
        properties[key] = text
    end
    return properties
end

return WriteBack
