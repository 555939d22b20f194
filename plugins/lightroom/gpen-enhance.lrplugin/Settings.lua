--- What the user may choose: keys, defaults, clamping, and what it means on the wire.
-- Knows neither the dialog nor where settings are kept. Pure; never yields.

local Json = require "Json"

local Settings = {}

--- The built-in presets, known here too so that menus work while the bridge is off.
Settings.BUILT_IN = {
    { name = "default", strength = 70, denoise = 30, sharpen = 50, mode = "natural" },
    { name = "dslr", strength = 60, denoise = 20, sharpen = 45, mode = "natural" },
    { name = "phone", strength = 75, denoise = 35, sharpen = 60, mode = "detail" },
    { name = "old-photo", strength = 90, denoise = 60, sharpen = 70, mode = "strong" },
}

local MAX_TEXT_BYTES = 200

local function oneOf(default, ...)
    return { default = default, choices = { ... } }
end

local function percent(default)
    return { default = default, least = 0, most = 100 }
end

--- Every setting. `choices`: one of these; `least` and `most`: a whole number; else text or Boolean.
Settings.FIELDS = {
    preset = { default = "default" },
    strength = percent(70),
    denoise = percent(30),
    sharpen = percent(50),
    mode = oneOf("natural", "natural", "detail", "strong"),
    faces = oneOf("all", "all", "largest"),
    checkpoint = { default = "auto" },
    colorSpace = oneOf("AdobeRGB", "sRGB", "AdobeRGB", "DisplayP3", "ProPhotoRGB"),
    -- Not "format": export presets keep the host's own setting under that name.
    resultFormat = oneOf("tiff16", "tiff16", "tiff8", "jpeg"),
    quality = { default = 95, least = 1, most = 100 },
    naming = { default = "{stem}-GPEN" },
    stack = oneOf("above", "above", "below", "none"),
    collect = { default = true },
    keyword = { default = "GPEN Enhanced" },
    label = oneOf("none", "none", "red", "yellow", "green", "blue", "purple"),
    reviewKeyword = { default = false },
    conflict = oneOf("ask", "ask", "skip", "new", "replace"),
    fallbackFolder = { default = "" },
}

local function clampedNumber(value, field)
    local number = tonumber(value)
    if not number or number ~= number then return field.default end
    return math.max(field.least, math.min(field.most, math.floor(number + 0.5)))
end

local function clampedText(value, field)
    if type(value) ~= "string" then return field.default end
    local text = value:gsub("%c", " "):match("^%s*(.-)%s*$")
    if #text <= MAX_TEXT_BYTES and Json.isUtf8(text) then return text end
    return field.default
end

--- One setting brought into its range; what makes no sense becomes the default.
function Settings.clamp(key, value)
    local field = Settings.FIELDS[key]
    if field.least then return clampedNumber(value, field) end
    if field.choices then
        for _, choice in ipairs(field.choices) do
            if value == choice then return value end
        end
        return field.default
    end
    if type(field.default) == "boolean" then
        if type(value) == "boolean" then return value end
        return field.default
    end
    return clampedText(value, field)
end

--- A whole, valid set of settings from anything: absent keys get defaults, unknown ones go.
function Settings.clamped(from)
    local settings = {}
    for key in pairs(Settings.FIELDS) do
        local value
        if type(from) == "table" then value = from[key] end
        settings[key] = Settings.clamp(key, value)
    end
    if not settings.naming:find("{stem}", 1, true) and not settings.naming:find("{counter}", 1, true) then
        settings.naming = Settings.FIELDS.naming.default
    end
    if settings.preset == "" then settings.preset = Settings.FIELDS.preset.default end
    if settings.checkpoint == "" then settings.checkpoint = Settings.FIELDS.checkpoint.default end
    return settings
end

--- The settings with a preset's parameters taken over.
-- @param preset { name =, strength =, denoise =, sharpen =, mode =, select =?, checkpoint =? }
function Settings.withPreset(settings, preset)
    local changed = {}
    for key, value in pairs(settings) do changed[key] = value end
    changed.preset = preset.name
    for _, key in ipairs { "strength", "denoise", "sharpen", "mode" } do
        if preset[key] ~= nil then changed[key] = preset[key] end
    end
    if type(preset.select) == "string" then changed.faces = preset.select end
    if preset.checkpoint then changed.checkpoint = preset.checkpoint end
    return Settings.clamped(changed)
end

--- The built-in preset of that name; nil when there is none.
function Settings.builtIn(name)
    for _, preset in ipairs(Settings.BUILT_IN) do
        if preset.name == name then return preset end
    end
    return nil
end

--- The parameters as the bridge takes them. All are sent, so the preset is a name only.
function Settings.parameters(settings)
    return {
        strength = settings.strength,
        denoise = settings.denoise,
        sharpen = settings.sharpen,
        mode = settings.mode,
        select = settings.faces,
        checkpoint = settings.checkpoint,
    }
end

--- The form of the result as the bridge takes it.
function Settings.output(settings)
    if settings.resultFormat == "jpeg" then
        return { format = "jpeg", depth = 8, quality = settings.quality }
    end
    return { format = "tiff", depth = settings.resultFormat == "tiff8" and 8 or 16 }
end

--- The extension of the result, with no dot.
function Settings.extension(settings)
    return settings.resultFormat == "jpeg" and "jpg" or "tif"
end

--- What tells whether a photo was already enhanced like this: equal text, equal work.
function Settings.fingerprint(settings)
    return Json.encode(Settings.parameters(settings))
end

return Settings
