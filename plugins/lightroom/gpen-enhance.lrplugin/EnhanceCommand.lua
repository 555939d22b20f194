--- The command behind every menu item: selection -> pre-flight -> run -> one summary.
-- Owns the order of things and what the user is told; the rooms do the rest.

local LrDialogs = import "LrDialogs"
local LrFunctionContext = import "LrFunctionContext"
local LrProgressScope = import "LrProgressScope"

local Catalog = require "Catalog"
local Connection = require "Connection"
local Courier = require "Courier"
local EnhanceRun = require "EnhanceRun"
local Files = require "Files"
local Log = require "Log"
local Messages = require "Messages"
local Preflight = require "Preflight"
local PreflightDialog = require "PreflightDialog"
local Prefs = require "Prefs"
local Renderer = require "Renderer"
local Report = require "Report"
local RunEffects = require "RunEffects"
local Settings = require "Settings"
local Tasks = require "Tasks"
local Workspace = require "Workspace"

local EnhanceCommand = {}

local TITLE = LOC "$$$/GPEN/Name=GPEN Enhance"

--- Tell what went wrong before anything was begun, with what to do.
function EnhanceCommand.refuse(problem)
    if problem.code == "cancelled" then return end
    Log.error(problem.code, problem.detail or "")
    local advice = problem.hint or ""
    if problem.code == "bridge_missing" then
        advice = LOC("$$$/GPEN/Advice/Missing=Install the bridge, then run: ^1 Or enter a start command in the Plug-in Manager.",
            "gpen-bridge plugins install lightroom.")
    end
    LrDialogs.message(Messages.sentence(problem), (problem.detail and problem.detail .. "\n" or "") .. advice, "critical")
end

-- --- pre-flight --------------------------------------------------------------

--- What the pre-flight finds.
-- @param resultFolder where all results go, or nil: beside their originals.
function EnhanceCommand.examine(facts, settings, root, resultFolder)
    return Preflight.examine(facts, {
        fingerprint = Settings.fingerprint(settings),
        format = settings.resultFormat,
        isWritable = Files.isWritable,
        freeBytes = Files.freeBytes,
        workFolder = root,
        resultFolder = resultFolder,
        isTaken = function(fact) return RunEffects.wouldClash(fact, settings) end,
    })
end

--- Look before the first render, and ask once if there is anything to ask.
-- @return items of Preflight.decide and what is left out; or nil when the user does not want to.
function EnhanceCommand.preflight(facts, settings, root)
    local report = EnhanceCommand.examine(facts, settings, root)
    local decision = { conflict = settings.conflict, smartPreviews = false }
    if Preflight.needsDecision(report, settings) then
        decision = PreflightDialog.ask(report, settings)
        if not decision then return nil end
    elseif decision.conflict == "ask" then
        decision.conflict = "new"
    end
    return Preflight.decide(report, decision)
end

-- --- the run -----------------------------------------------------------------

local function newItems(accepted, runFolder, runId)
    local items = {}
    for index, one in ipairs(accepted) do
        items[index] = {
            index = index,
            uuid = one.fact.uuid,
            fileName = one.fact.fileName,
            stem = one.fact.stem,
            edits = one.fact.edits,
            folder = one.folder,
            stacks = one.stacks,
            replaces = one.replaces and { uuid = one.replaces.uuid, path = one.replaces.path } or nil,
            key = runId .. "-" .. index,
            work = Files.child(runFolder, tostring(index)),
        }
    end
    return items
end

local function newRun(job, root, progress)
    local first, health = job.accepted[1], Tasks.await(function() return progress:isCanceled() end, function()
        return job.bridge:health()
    end)
    return {
        id = Workspace.newRunId(),
        catalog = Catalog.path(),
        root = root,
        settings = job.settings,
        preset = job.settings.preset,
        parameters = Settings.parameters(job.settings),
        output = Settings.output(job.settings),
        name = Files.leaf(first.fact.folder),
        priority = Courier.priority(#job.accepted),
        bridgeVersion = health and health.version,
        metadata = job.metadata,
    }
end

-- Render from the catalogue, each photo into its own folder.
local function fromCatalog(run)
    return function(item)
        local photo = Catalog.photo(item.uuid)
        return photo and Renderer.begin(photo, Renderer.settings(item.work, run.settings.colorSpace, run.metadata))
    end
end

--- Run items to their end, with progress, journal and clearing up.
-- @param job { context =, bridge =, settings =, items = or accepted =, run = of a journal (under way already) or nil,
--   rendersOf = function(run, items) -> the beginRender of RunEffects.lua, or nil: from the catalogue,
--   progress = or nil, metadata = what the user chose for the export, or nil }
-- @return outcomes of EnhanceRun.run; or nil and a problem.
function EnhanceCommand.execute(job)
    local endpoint, problem = job.bridge:endpoint()
    if not endpoint then return nil, problem end
    local progress = job.progress or LrProgressScope { title = TITLE, functionContext = job.context }
    local journal = job.journal or Workspace.journal()
    local root = Workspace.root(endpoint)
    local run = job.run or newRun(job, root, progress)
    local runFolder = Workspace.runFolder(run.root, run.id)
    local items = job.items or newItems(job.accepted, runFolder, run.id)
    if not job.run then
        Workspace.keepUnderWay(job.context, run.id)
        local begun, whyNot = journal:begin(run, items)
        if not begun then return nil, whyNot end
    end
    job.context:addCleanupHandler(function()
        journal:finish(run)
        Files.removeIfEmpty(runFolder)
    end)
    local outcomes = EnhanceRun.run(items, RunEffects.new {
        run = run,
        journal = journal,
        bridge = job.bridge,
        progress = progress,
        beginRender = (job.rendersOf or fromCatalog)(run, items),
    })
    progress:done()
    Log.info(Report.headline(outcomes, {}))
    return outcomes
end

--- One summary at the end; the only dialog about single photos.
function EnhanceCommand.summarise(outcomes, left)
    local lines = Report.details(outcomes, left)
    for _, line in ipairs(lines) do Log.info(line) end
    if #lines == 0 and (#outcomes.done == 1 or outcomes.wasCanceled) then
        return LrDialogs.showBezel(Report.headline(outcomes, left))
    end
    local verb = LrDialogs.confirm(Report.headline(outcomes, left), Report.text(lines),
        LOC "$$$/GPEN/Verb/Show=Show in Library", LOC "$$$/GPEN/Verb/Close=Close",
        #lines > 0 and LOC "$$$/GPEN/Verb/Log=Show Log" or nil)
    if verb == "ok" then
        local uuids = {}
        for _, entry in ipairs(outcomes.done) do table.insert(uuids, entry.item.resultUuid) end
        Catalog.reveal(uuids)
    elseif verb == "other" then
        require("HelpItems").showLog()
    end
end

local function enhanceSelection(context, settings, photos)
    -- Before anything waits: a second click finds them taken.
    local mine = Workspace.claim(context, Catalog.uuids(photos))
    if not next(mine) then
        return LrDialogs.message(LOC "$$$/GPEN/UnderWay=These photos are being enhanced already.", nil, "info")
    end
    local progress = LrProgressScope { title = TITLE, functionContext = context }
    progress:setCaption(LOC "$$$/GPEN/Progress/Bridge=Looking for the bridge")
    local function isCanceled() return progress:isCanceled() end
    local bridge, problem = Connection.open(isCanceled)
    if not bridge then return EnhanceCommand.refuse(problem) end
    progress:setCaption(LOC "$$$/GPEN/Progress/Preflight=Looking at the photos")
    local endpoint = bridge:endpoint()
    local facts = Catalog.describe(photos, mine)
    local accepted, left = EnhanceCommand.preflight(facts, settings, Workspace.root(endpoint))
    if not accepted then return end
    local outcomes = { done = {}, failed = {}, pending = {}, cancelled = {} }
    if #accepted > 0 then
        local whyNot
        outcomes, whyNot = EnhanceCommand.execute {
            context = context, bridge = bridge, settings = settings, accepted = accepted, progress = progress,
        }
        if not outcomes then return EnhanceCommand.refuse(whyNot) end
    end
    EnhanceCommand.summarise(outcomes, left)
end

--- Enhance the selection.
-- @param choose function(photos, context) -> settings, or nil when the user does not want to.
function EnhanceCommand.start(choose)
    LrFunctionContext.postAsyncTaskWithContext("GPEN Enhance", function(context)
        LrDialogs.attachErrorDialogToFunctionContext(context)
        local photos = Catalog.selection()
        if #photos == 0 then
            return LrDialogs.message(LOC "$$$/GPEN/Select=Select the photos to enhance first.", nil, "info")
        end
        local settings = choose(photos, context)
        if settings then enhanceSelection(context, settings, photos) end
    end)
end

--- Enhance the selection with the last settings and a built-in preset's parameters.
function EnhanceCommand.startWithPreset(name)
    EnhanceCommand.start(function() return Settings.withPreset(Prefs.settings(), Settings.builtIn(name)) end)
end

return EnhanceCommand
