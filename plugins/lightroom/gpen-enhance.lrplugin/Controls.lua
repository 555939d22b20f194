--- The controls that the dialog, the export service and the post-process action have in common.
-- Bound by name to a property table with the keys of Settings.lua, presetItems and checkpointItems.

local LrView = import "LrView"

local Settings = require "Settings"

local Controls = {}

local bind = LrView.bind

local LABEL_CHARS = 13
local MENU_CHARS = 22

local TITLES = {
    default = LOC "$$$/GPEN/Preset/Default=Default",
    dslr = LOC "$$$/GPEN/Preset/Dslr=DSLR",
    phone = LOC "$$$/GPEN/Preset/Phone=Phone",
    ["old-photo"] = LOC "$$$/GPEN/Preset/OldPhoto=Old photo",
}

--- The items of the preset menu.
-- @param own the user's presets as the bridge lists them, or nil.
function Controls.presetItems(own)
    local items = {}
    for _, preset in ipairs(Settings.BUILT_IN) do
        table.insert(items, { value = preset.name, title = TITLES[preset.name] })
    end
    for _, preset in ipairs(own or {}) do table.insert(items, { value = preset.name, title = preset.name }) end
    return items
end

--- The items of the checkpoint menu.
-- @param names of installed checkpoints, or nil.
function Controls.checkpointItems(names)
    local items = { { value = "auto", title = LOC "$$$/GPEN/Checkpoint/Auto=Automatic (by face size)" } }
    for _, name in ipairs(names or {}) do table.insert(items, { value = name, title = name }) end
    return items
end

local function label(f, title)
    return f:static_text { title = title, alignment = "right", width_in_chars = LABEL_CHARS }
end

--- A labelled menu.
function Controls.menu(f, title, key, items)
    return f:row { label(f, title), f:popup_menu { value = bind(key), items = items } }
end

local function slider(f, title, key)
    return f:row {
        label(f, title),
        f:slider { value = bind(key), min = 0, max = 100, integral = true, width = 180 },
        f:edit_field { value = bind(key), min = 0, max = 100, precision = 0, width_in_chars = 4 },
    }
end

--- What is done to the faces: preset, sliders, mode, which faces, checkpoint.
function Controls.parameters(f)
    return f:column {
        spacing = f:control_spacing(),
        Controls.menu(f, LOC "$$$/GPEN/Dialog/Preset=Preset:", "preset", bind "presetItems"),
        slider(f, LOC "$$$/GPEN/Dialog/Strength=Strength:", "strength"),
        slider(f, LOC "$$$/GPEN/Dialog/Denoise=Denoise:", "denoise"),
        slider(f, LOC "$$$/GPEN/Dialog/Sharpen=Sharpen:", "sharpen"),
        Controls.menu(f, LOC "$$$/GPEN/Dialog/Mode=Mode:", "mode", {
            { value = "natural", title = LOC "$$$/GPEN/Mode/Natural=Natural (keeps the photo's skin)" },
            { value = "detail", title = LOC "$$$/GPEN/Mode/Detail=Detail (keeps its colors)" },
            { value = "strong", title = LOC "$$$/GPEN/Mode/Strong=Strong (for old photos)" },
        }),
        Controls.menu(f, LOC "$$$/GPEN/Dialog/Faces=Faces:", "faces", {
            { value = "all", title = LOC "$$$/GPEN/Faces/All=All" },
            { value = "largest", title = LOC "$$$/GPEN/Faces/Largest=The largest only" },
        }),
        Controls.menu(f, LOC "$$$/GPEN/Dialog/Checkpoint=Checkpoint:", "checkpoint", bind "checkpointItems"),
    }
end

--- The form of the file: colour space, format, quality, name.
function Controls.file(f)
    return f:column {
        spacing = f:control_spacing(),
        Controls.menu(f, LOC "$$$/GPEN/Dialog/ColorSpace=Color space:", "colorSpace", {
            { value = "AdobeRGB", title = "Adobe RGB (1998)" },
            { value = "ProPhotoRGB", title = "ProPhoto RGB" },
            { value = "DisplayP3", title = "Display P3" },
            { value = "sRGB", title = "sRGB" },
        }),
        Controls.menu(f, LOC "$$$/GPEN/Dialog/Format=Format:", "resultFormat", {
            { value = "tiff16", title = LOC "$$$/GPEN/Format/Tiff16=TIFF, 16 bits" },
            { value = "tiff8", title = LOC "$$$/GPEN/Format/Tiff8=TIFF, 8 bits" },
            { value = "jpeg", title = "JPEG" },
        }),
        f:row {
            label(f, LOC "$$$/GPEN/Dialog/Quality=JPEG quality:"),
            f:edit_field {
                value = bind "quality", min = 1, max = 100, precision = 0, width_in_chars = 4,
                enabled = bind { key = "resultFormat", transform = function(value) return value == "jpeg" end },
            },
        },
        f:row {
            label(f, LOC "$$$/GPEN/Dialog/Naming=File name:"),
            f:edit_field { value = bind "naming", width_in_chars = MENU_CHARS,
                tooltip = LOC "$$$/GPEN/Dialog/NamingTip={stem} {preset} {date} {counter}" },
        },
    }
end

--- Where results go in the catalogue.
function Controls.catalog(f)
    return f:column {
        spacing = f:control_spacing(),
        Controls.menu(f, LOC "$$$/GPEN/Dialog/Stack=Stack:", "stack", {
            { value = "above", title = LOC "$$$/GPEN/Stack/Above=Above the original" },
            { value = "below", title = LOC "$$$/GPEN/Stack/Below=Below the original" },
            { value = "none", title = LOC "$$$/GPEN/Stack/None=Do not stack" },
        }),
        Controls.menu(f, LOC "$$$/GPEN/Dialog/Conflict=Done before:", "conflict", {
            { value = "ask", title = LOC "$$$/GPEN/Conflict/Ask=Ask once" },
            { value = "skip", title = LOC "$$$/GPEN/Conflict/Skip=Skip" },
            { value = "new", title = LOC "$$$/GPEN/Conflict/New=New version" },
            { value = "replace", title = LOC "$$$/GPEN/Conflict/Replace=Replace the earlier result" },
        }),
        f:row {
            label(f, LOC "$$$/GPEN/Dialog/Keyword=Keyword:"),
            f:edit_field { value = bind "keyword", width_in_chars = MENU_CHARS },
        },
        Controls.menu(f, LOC "$$$/GPEN/Dialog/Label=Review label:", "label", {
            { value = "none", title = LOC "$$$/GPEN/Label/None=As the original" },
            { value = "red", title = LOC "$$$/GPEN/Label/Red=Red" },
            { value = "yellow", title = LOC "$$$/GPEN/Label/Yellow=Yellow" },
            { value = "green", title = LOC "$$$/GPEN/Label/Green=Green" },
            { value = "blue", title = LOC "$$$/GPEN/Label/Blue=Blue" },
            { value = "purple", title = LOC "$$$/GPEN/Label/Purple=Purple" },
        }),
        f:row {
            label(f, ""),
            f:checkbox { title = LOC "$$$/GPEN/Dialog/ReviewKeyword=Keyword for review", value = bind "reviewKeyword" },
        },
        f:row {
            label(f, ""),
            f:checkbox { title = LOC "$$$/GPEN/Dialog/Collect=Collection GPEN Enhanced", value = bind "collect" },
        },
    }
end

return Controls
