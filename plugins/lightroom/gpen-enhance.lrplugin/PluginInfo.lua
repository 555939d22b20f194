--- The plug-in's panel in the Plug-in Manager: the bridge's state, pairing, diagnosis, cache.
-- Loaded again each time the manager opens, so it does nothing by itself.

local LrDialogs = import "LrDialogs"
local LrLocalization = import "LrLocalization"
local LrView = import "LrView"

local Connection = require "Connection"
local Diagnosis = require "Diagnosis"
local DialogModel = require "DialogModel"
local HelpItems = require "HelpItems"
local Messages = require "Messages"
local Prefs = require "Prefs"
local Tasks = require "Tasks"

local bind = LrView.bind

local FIELD_CHARS = 40

local function keep(properties)
    Prefs.keepConnection { remoteUrl = properties.remoteUrl, startCommand = properties.startCommand }
end

local pairing

-- The code counts once: a click while it is on its way does nothing.
local function pair(properties)
    if pairing and not pairing.finished then return end
    pairing = Tasks.begin("GPEN Enhance: pair", function()
        local fine, problem = Connection.pair(properties.pairUrl, properties.pairCode)
        if not fine then return LrDialogs.message(Messages.sentence(problem), problem.hint, "critical") end
        properties.remoteUrl = Prefs.connection().remoteUrl
        properties.pairCode = ""
        properties.model:refresh(false)
    end)
end

local function forget(properties)
    properties.remoteUrl = ""
    keep(properties)
    properties.model:refresh(false)
end

local function bridgeSection(f, properties)
    return {
        title = LOC "$$$/GPEN/Manager/Bridge=GPEN Bridge",
        synopsis = bind { key = "bridgeState", bind_to_object = properties },
        bind_to_object = properties,
        f:static_text { title = bind "bridgeState", width_in_chars = 70, wrap = true },
        f:row {
            f:push_button {
                title = LOC "$$$/GPEN/Bridge/Start=Start Bridge",
                action = function()
                    keep(properties)
                    properties.model:refresh(true)
                end,
            },
            f:push_button {
                title = LOC "$$$/GPEN/Manager/Diagnose=Diagnose",
                action = function()
                    Tasks.begin("GPEN Enhance: diagnose", function()
                        LrDialogs.message(LOC "$$$/GPEN/Manager/Diagnosis=Diagnosis", Diagnosis.text(), "info")
                    end)
                end,
            },
            f:push_button { title = LOC "$$$/GPEN/Verb/Log=Show Log", action = function() HelpItems.showLog() end },
            f:push_button { title = LOC "$$$/GPEN/Verb/Help=Help", action = function() HelpItems.showHelp() end },
        },
        f:row {
            f:static_text { title = LOC "$$$/GPEN/Manager/Command=Start command:" },
            f:edit_field {
                value = bind "startCommand", width_in_chars = FIELD_CHARS,
                placeholder_string = LOC "$$$/GPEN/Manager/CommandHint=As installed",
            },
        },
    }
end

local function remoteSection(f, properties)
    return {
        title = LOC "$$$/GPEN/Manager/Remote=Bridge on Another Computer",
        synopsis = bind { key = "remoteUrl", bind_to_object = properties },
        bind_to_object = properties,
        f:row {
            f:static_text { title = LOC "$$$/GPEN/Manager/Address=Address:" },
            f:edit_field { value = bind "pairUrl", width_in_chars = FIELD_CHARS, immediate = true },
        },
        f:row {
            f:static_text { title = LOC "$$$/GPEN/Manager/Code=Pairing code:" },
            f:edit_field { value = bind "pairCode", width_in_chars = 12, immediate = true },
            f:push_button { title = LOC "$$$/GPEN/Manager/Pair=Pair", action = function() pair(properties) end },
            f:push_button {
                title = LOC "$$$/GPEN/Manager/Local=Use This Computer",
                action = function() forget(properties) end,
            },
        },
        f:static_text { title = LOC "$$$/GPEN/Manager/PairHint=The bridge shows the code when it starts and in its console.",
            width_in_chars = 70, wrap = true },
    }
end

local function moreSection(f, properties)
    return {
        title = LOC "$$$/GPEN/Manager/More=Language and Temporary Files",
        bind_to_object = properties,
        f:static_text {
            title = LOC("$$$/GPEN/Manager/Language=Language: ^1 (follows Lightroom; after a change restart Lightroom)",
                LrLocalization.currentLanguage()),
        },
        f:row {
            f:static_text { title = bind "cache", width_in_chars = FIELD_CHARS },
            f:push_button {
                title = LOC "$$$/GPEN/Manager/Clear=Clear",
                action = function()
                    Diagnosis.clearCache()
                    properties.cache = Diagnosis.cacheLine()
                end,
            },
        },
    }
end

return {
    startDialog = function(properties)
        local connection = Prefs.connection()
        properties.remoteUrl = connection.remoteUrl
        properties.pairUrl = connection.remoteUrl
        properties.pairCode = ""
        properties.startCommand = connection.startCommand
        properties.cache = Diagnosis.cacheLine()
        properties.model = DialogModel.attach(properties, {})
        properties.model:refresh(false)
    end,
    endDialog = function(properties)
        keep(properties)
        properties.model:close()
    end,
    sectionsForTopOfDialog = function(f, properties)
        return { bridgeSection(f, properties), remoteSection(f, properties), moreSection(f, properties) }
    end,
}
