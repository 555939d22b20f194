--- Interrupted runs: finished results are offered for write-back, the rest goes on where it stopped.

local LrDialogs = import "LrDialogs"
local LrFunctionContext = import "LrFunctionContext"
local LrProgressScope = import "LrProgressScope"

local Catalog = require "Catalog"
local Connection = require "Connection"
local Courier = require "Courier"
local EnhanceCommand = require "EnhanceCommand"
local Files = require "Files"
local Log = require "Log"
local Settings = require "Settings"
local Workspace = require "Workspace"

local ResumeCommand = {}

-- Runs of the open catalogue, which are the caller's until the context ends; what lies in work folders that no run
-- remembers goes.
local function interrupted(context, journal)
    local all, mine, remembered, roots = journal:interrupted(Workspace.underWay()), {}, {}, {}
    local path = Catalog.path()
    for _, found in ipairs(all) do
        remembered[found.run.id] = true
        found.run.settings = Settings.clamped(found.run.settings)
        if found.run.catalog == path then
            table.insert(mine, found)
            Workspace.keepUnderWay(context, found.run.id)
        end
    end
    local announced = Connection.announced()
    if announced and announced.exchange then roots[announced.exchange] = true end
    roots[Files.temp("gpen-enhance")] = true
    for root in pairs(roots) do Workspace.sweep(root, remembered) end
    return mine
end

-- How many photos the user has to be asked about: what only waits for the bridge's nod is none.
local function countOpen(runs)
    local count = 0
    for _, found in ipairs(runs) do
        for _, item in ipairs(found.items) do
            if item.step ~= "described" then count = count + 1 end
        end
    end
    return count
end

local function merge(outcomes, more)
    for _, name in ipairs { "done", "failed", "pending", "cancelled" } do
        for _, entry in ipairs(more[name]) do table.insert(outcomes[name], entry) end
    end
    outcomes.wasCanceled = more.wasCanceled
    outcomes.stopped = more.stopped
end

local function uuidsOf(runs)
    local uuids = {}
    for _, found in ipairs(runs) do
        for _, item in ipairs(found.items) do table.insert(uuids, item.uuid) end
    end
    return uuids
end

local function open(context)
    local progress = LrProgressScope { title = LOC "$$$/GPEN/Name=GPEN Enhance", functionContext = context }
    progress:setCaption(LOC "$$$/GPEN/Progress/Bridge=Looking for the bridge")
    local bridge, problem = Connection.open(function() return progress:isCanceled() end)
    progress:done()
    return bridge, problem
end

local function finish(context, journal, runs)
    Workspace.claim(context, uuidsOf(runs))
    local bridge, problem = open(context)
    if not bridge then return EnhanceCommand.refuse(problem) end
    local outcomes = { done = {}, failed = {}, pending = {}, cancelled = {} }
    for _, found in ipairs(runs) do
        Log.info("going on with run", found.run.id)
        local more, whyNot = EnhanceCommand.execute {
            context = context, bridge = bridge, journal = journal, run = found.run, items = found.items,
        }
        if not more then return EnhanceCommand.refuse(whyNot) end
        merge(outcomes, more)
        -- The other runs wait like what is left of this one.
        if outcomes.stopped or outcomes.wasCanceled then break end
    end
    EnhanceCommand.summarise(outcomes, {})
end

-- Give a photo up: a result that is not in the catalog goes, and the bridge need not go on.
local function giveUp(bridge, run, item)
    if item.path and not item.replaces and not Catalog.has(item.path) then Files.delete(item.path) end
    if bridge and (item.job or item.step == "rendered") then
        local fine, problem = Courier.withdraw(bridge, run, item)
        if not fine then Log.info("not withdrawn:", problem.code) end
    end
end

local function discard(journal, runs)
    local bridge = Connection.bridge()
    if not bridge:health() then bridge = nil end
    for _, found in ipairs(runs) do
        for _, item in ipairs(found.items) do giveUp(bridge, found.run, item) end
        Files.removeTree(Workspace.runFolder(found.run.root, found.run.id))
        journal:drop(found.run)
    end
end

local function offer(context, journal, runs)
    local count = countOpen(runs)
    if count == 0 then return finish(context, journal, runs) end
    local verb = LrDialogs.confirm(
        LOC("$$$/GPEN/Resume/Question=^1 photos of an interrupted GPEN run are not finished. Finish them now?", count),
        LOC "$$$/GPEN/Resume/Info=Finished results are added to the catalog; nothing is enhanced twice.",
        LOC "$$$/GPEN/Verb/Finish=Finish", LOC "$$$/GPEN/Verb/Later=Later", LOC "$$$/GPEN/Verb/Discard=Discard")
    if verb == "ok" then
        finish(context, journal, runs)
    elseif verb == "other" then
        discard(journal, runs)
    end
end

--- At the start of the program: ask only if there is something to finish.
function ResumeCommand.atStart(context)
    local journal = Workspace.journal()
    local runs = interrupted(context, journal)
    if #runs > 0 then offer(context, journal, runs) end
end

--- From the menu: also say that there is nothing.
function ResumeCommand.start()
    LrFunctionContext.postAsyncTaskWithContext("GPEN Enhance: finish", function(context)
        LrDialogs.attachErrorDialogToFunctionContext(context)
        local journal = Workspace.journal()
        local goesOn = next(Workspace.underWay()) ~= nil
        local runs = interrupted(context, journal)
        if #runs == 0 then
            local sentence = goesOn and LOC "$$$/GPEN/Resume/UnderWay=A GPEN run is under way; no other was interrupted."
                or LOC "$$$/GPEN/Resume/None=No GPEN run was interrupted."
            return LrDialogs.message(sentence, nil, "info")
        end
        offer(context, journal, runs)
    end)
end

return ResumeCommand
