--- Menu item: rejected results into one collection, for clearing out; the bridge learns the verdicts.

local LrDialogs = import "LrDialogs"
local LrFunctionContext = import "LrFunctionContext"

local Catalog = require "Catalog"
local Connection = require "Connection"
local EnhanceCommand = require "EnhanceCommand"
local Log = require "Log"

-- The verdicts help the studio's statistics: worth a try, never worth a complaint.
local function tellBridge(verdicts)
    local bridge = Connection.bridge()
    if not bridge:health() then return end
    for verdict, results in pairs(verdicts) do
        for _, result in ipairs(results) do
            local job, number = (result.jobId or ""):match("^(.+)/(%d+)$")
            if job then
                local fine, problem = bridge:review(job, tonumber(number), verdict)
                if not fine then Log.info("no review of", result.jobId, problem.code) end
            end
        end
    end
end

LrFunctionContext.postAsyncTaskWithContext("GPEN Enhance: rejected", function(context)
    LrDialogs.attachErrorDialogToFunctionContext(context)
    local name = LOC "$$$/GPEN/Rejected=GPEN Rejected"
    local verdicts, problem = Catalog.collectRejected(name)
    if not verdicts then return EnhanceCommand.refuse(problem) end
    LrDialogs.message(LOC("$$$/GPEN/Collect/Done=^1 rejected results are in the collection ^2.", #verdicts.rejected, name),
        LOC "$$$/GPEN/Collect/Info=Nothing was deleted. Results count as rejected by their GPEN verdict or their flag.",
        "info")
    tellBridge(verdicts)
end)
