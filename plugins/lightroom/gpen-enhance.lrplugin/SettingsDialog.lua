--- The dialog of *GPEN Enhance...*: what is on screen. What is behind it: DialogModel.lua and Preview.lua.

local LrBinding = import "LrBinding"
local LrDialogs = import "LrDialogs"
local LrView = import "LrView"

local Connection = require "Connection"
local Controls = require "Controls"
local DialogModel = require "DialogModel"
local Prefs = require "Prefs"
local Preview = require "Preview"

local SettingsDialog = {}

local bind = LrView.bind

local PICTURE_SIDE = 260

local function presetRow(f, model)
    return f:row {
        f:edit_field {
            value = bind "saveName", width_in_chars = 18, immediate = true,
            placeholder_string = LOC "$$$/GPEN/Dialog/SaveName=Name of a new preset",
        },
        f:push_button {
            title = LOC "$$$/GPEN/Dialog/SaveAs=Save As",
            enabled = bind { key = "saveName", transform = function(name) return name ~= nil and name ~= "" end },
            action = function() model:saveAs(model.properties.saveName) end,
        },
    }
end

local function picture(f, title, key)
    return f:column {
        f:static_text { title = title },
        f:picture { value = bind(key), width = PICTURE_SIDE, height = PICTURE_SIDE, frame_width = 1 },
    }
end

local function previewColumn(f)
    return f:column {
        spacing = f:control_spacing(),
        picture(f, LOC "$$$/GPEN/Preview/Before=Before", "previewBefore"),
        picture(f, LOC "$$$/GPEN/Preview/After=After", "previewAfter"),
        f:static_text { title = bind "previewState", width_in_chars = 34, height_in_lines = 2, wrap = true },
    }
end

local function stateRow(f, model)
    return f:row {
        f:static_text { title = bind "bridgeState", width_in_chars = 60, truncation = "end" },
        f:push_button {
            title = LOC "$$$/GPEN/Bridge/Start=Start Bridge",
            visible = bind "isAway",
            action = function() model:refresh(true) end,
        },
    }
end

local function contents(f, model)
    return f:column {
        bind_to_object = model.properties,
        spacing = f:dialog_spacing(),
        f:row {
            spacing = f:dialog_spacing(),
            f:column {
                spacing = f:control_spacing(),
                f:group_box {
                    title = LOC "$$$/GPEN/Dialog/Restoration=Restoration",
                    fill_horizontal = 1,
                    Controls.parameters(f),
                    presetRow(f, model),
                },
                f:group_box {
                    title = LOC "$$$/GPEN/Dialog/File=Result",
                    fill_horizontal = 1,
                    Controls.file(f),
                },
                f:group_box {
                    title = LOC "$$$/GPEN/Dialog/Catalog=In the Catalog",
                    fill_horizontal = 1,
                    Controls.catalog(f),
                },
            },
            previewColumn(f),
        },
        stateRow(f, model),
    }
end

--- Show the dialog and keep what was chosen.
-- @param photos the selection; the first one is previewed.
-- @return settings; nil when the user cancels.
function SettingsDialog.choose(photos, context)
    local properties = LrBinding.makePropertyTable(context)
    local model = DialogModel.attach(properties, Prefs.settings())
    properties.previewState = ""
    local preview = Preview.begin {
        context = context,
        photo = photos[1],
        bridge = function() return Connection.open(function() return model.isClosed or false end) end,
        properties = properties,
        settings = function() return model:settings() end,
    }
    for _, key in ipairs(Preview.KEYS) do
        properties:addObserver(key, function() preview:changed() end)
    end
    context:addCleanupHandler(function()
        model:close()
        preview:close()
    end)
    model:refresh(false)
    local result = LrDialogs.presentModalDialog {
        title = LOC("$$$/GPEN/Dialog/Title=GPEN Enhance: ^1 Photos", #photos),
        contents = contents(LrView.osFactory(), model),
        actionVerb = LOC "$$$/GPEN/Verb/Enhance=Enhance",
    }
    local settings = model:settings()
    model:close()
    preview:close()
    if result ~= "ok" then return nil end
    Prefs.keepSettings(settings)
    return settings
end

return SettingsDialog
