--- The pre-flight report on screen, and the one decision that it asks for.

local LrBinding = import "LrBinding"
local LrDialogs = import "LrDialogs"
local LrFunctionContext = import "LrFunctionContext"
local LrView = import "LrView"

local Files = require "Files"
local Report = require "Report"

local PreflightDialog = {}

local bind = LrView.bind

-- What the user may choose, as rows; only what this report asks for.
local function choices(f, report, fallback)
    local counts, rows = report.counts, {}
    if counts.done then
        table.insert(rows, f:row {
            f:static_text { title = LOC "$$$/GPEN/Preflight/Again=Photos enhanced before:" },
            f:popup_menu {
                value = bind "conflict",
                items = {
                    { value = "skip", title = LOC "$$$/GPEN/Conflict/Skip=Skip" },
                    { value = "new", title = LOC "$$$/GPEN/Conflict/New=New version" },
                    { value = "replace", title = LOC "$$$/GPEN/Conflict/Replace=Replace the earlier result" },
                },
            },
        })
    end
    if counts.smart_preview then
        table.insert(rows, f:checkbox {
            title = LOC "$$$/GPEN/Preflight/UseSmartPreviews=Use smart previews of offline originals: smaller results",
            value = bind "smartPreviews",
        })
    end
    if counts.read_only then
        table.insert(rows, f:checkbox {
            title = LOC("$$$/GPEN/Preflight/UseFallback=Save results of read-only folders to ^1: not stacked", fallback),
            value = bind "useFallback",
        })
    end
    return rows
end

--- Show the report and ask.
-- @return the decision for Preflight.decide; nil when the user does not start.
function PreflightDialog.ask(report, settings)
    return LrFunctionContext.callWithContext("GPEN pre-flight", function(context)
        local f = LrView.osFactory()
        local properties = LrBinding.makePropertyTable(context)
        properties.conflict = settings.conflict == "ask" and "skip" or settings.conflict
        properties.smartPreviews = false
        properties.useFallback = true
        local fallback = Files.fallbackFolder(settings.fallbackFolder)
        local contents = { bind_to_object = properties, spacing = f:control_spacing() }
        table.insert(contents, f:static_text {
            title = LOC("$$$/GPEN/Preflight/Ready=^1 photos can be enhanced.", #report.candidates),
        })
        for _, line in ipairs(Report.preflight(report)) do
            table.insert(contents, f:static_text { title = line, width_in_chars = 60, wrap = true })
        end
        for _, row in ipairs(choices(f, report, fallback)) do table.insert(contents, row) end
        local result = LrDialogs.presentModalDialog {
            title = LOC "$$$/GPEN/Preflight/Title=GPEN Enhance: Before You Start",
            contents = f:column(contents),
            actionVerb = LOC "$$$/GPEN/Verb/Start=Start",
        }
        if result ~= "ok" then return nil end
        return {
            conflict = properties.conflict,
            smartPreviews = properties.smartPreviews,
            fallbackFolder = properties.useFallback and fallback or nil,
        }
    end)
end

return PreflightDialog
