--- What the steps of EnhanceRun.lua do in Lightroom: renders, the bridge, the catalogue, the journal.
-- Wires rooms together and decides nothing that could be tested without a host.

local LrDate = import "LrDate"
local LrTasks = import "LrTasks"

local Catalog = require "Catalog"
local Connection = require "Connection"
local Courier = require "Courier"
local Files = require "Files"
local Log = require "Log"
local Messages = require "Messages"
local Naming = require "Naming"
local Renderer = require "Renderer"
local Settings = require "Settings"
local Tasks = require "Tasks"

local RunEffects = {}

local RESTART_SECONDS = 60

-- Paths that runs have chosen, by their lower-case form: two runs may go on at once, and names that differ by
-- case only would be one file on most disks. { path =, isPending = not yet written }
local claimed = {}

local function isTaken(folder)
    return function(name)
        local path = Files.child(folder, name)
        local claim = claimed[path:lower()]
        return Files.exists(path) or (claim and (claim.isPending or Files.exists(claim.path))) or false
    end
end

--- Whether the name that a photo's result would like is taken already.
function RunEffects.wouldClash(fact, settings)
    local stem = RunEffects.stemFor(settings, { stem = fact.stem, index = 1 })
    return isTaken(fact.folder)(stem .. "." .. Settings.extension(settings))
end

--- The stem of a result's name by the user's template.
function RunEffects.stemFor(settings, item)
    return Naming.stem(settings.naming, {
        stem = item.stem,
        preset = settings.preset,
        date = LrDate.timeToUserFormat(LrDate.currentTime(), "%Y-%m-%d"),
        counter = string.format("%04d", item.index),
    })
end

-- The path of a result: the one that a replaced result has, or a free one. Claimed until it is written.
local function chooseTarget(settings, item)
    local extension = Settings.extension(settings)
    if item.replaces and item.replaces.path:lower():sub(-#extension - 1) == "." .. extension then
        return item.replaces.path
    end
    local name = Naming.free(RunEffects.stemFor(settings, item), extension, isTaken(item.folder))
    local path = Files.child(item.folder, name)
    claimed[path:lower()] = { path = path, isPending = true }
    return path
end

-- Put the fetched file where the result belongs; an earlier one that it replaces goes to the trash.
local function placeResult(item, fetched)
    if item.replaces and item.path == item.replaces.path and Files.isFile(item.path) then
        local gone, stays = Files.trash(item.path)
        if not gone then return nil, stays end
    end
    if not Files.isFile(item.path) and not Files.makeFolder(item.folder) then
        return nil, { code = "disk_full", detail = item.folder, retryable = true }
    end
    return Files.place(fetched, item.path)
end

--- The effects of one run.
-- @param host { run = the journal's record, journal =, bridge =, progress = LrProgressScope,
--   beginRender = function(item, wrong) -> ticket, or nil when nothing is to be rendered; `wrong`: as in
--   EnhanceRun.lua }
function RunEffects.new(host)
    local run, journal, bridge = host.run, host.journal, host.bridge
    local settings = run.settings
    local tickets, submissions = {}, {}
    local lastStart = -RESTART_SECONDS
    local effects = {}

    function effects.isCanceled() return host.progress:isCanceled() end

    function effects.now() return LrDate.currentTime() end

    effects.sleep = LrTasks.sleep
    effects.pcall = LrTasks.pcall

    local function await(f, ...) return Tasks.await(effects.isCanceled, f, ...) end

    local function keepJob() return journal:keepJob(run) end

    function effects.render(item, wrong) tickets[item] = host.beginRender(item, wrong) end

    function effects.rendered(item)
        local ticket = tickets[item]
        if not ticket then return nil, { code = "source_gone" } end
        if not ticket.finished then return "wait" end
        local path, problem = Renderer.outcome(ticket)
        if not path then return nil, problem end
        item.rendered = path
        return "rendered"
    end

    function effects.submit(item)
        local submission = Tasks.begin("GPEN Enhance: hand over", Courier.submit, bridge, run, item, keepJob)
        submissions[item] = submission
        local fine, problem = Tasks.wait(effects.isCanceled, submission)
        if not fine then return nil, problem end
        return "submitted"
    end

    function effects.poll(item)
        -- Placed just before a crash: the name was recorded, and the file has left the work folder.
        if item.fetching and not Courier.isFetched(item) and Files.wasPlaced(item.path, item.bytes) then
            return "fetched"
        end
        local state, problem = await(Courier.look, bridge, item)
        if not state then return nil, problem end
        if state ~= "done" then return "wait" end
        local fetched, whyNot = await(Courier.fetch, bridge, item)
        if not fetched then return nil, whyNot end
        if not item.path then item.path = chooseTarget(settings, item) end
        item.fetching = true
        local recorded, unrecorded = effects.record(item)
        if not recorded then return nil, unrecorded end
        local placed, unplaced = placeResult(item, fetched)
        if not placed then return nil, unplaced end
        claimed[item.path:lower()] = { path = item.path }
        return "fetched"
    end

    function effects.add(item)
        local stackWith = item.stacks and settings.stack ~= "none" and item.uuid or nil
        local added, problem = Catalog.add(item.path, stackWith, settings.stack)
        if not added then return nil, problem end
        item.resultUuid = added.uuid
        item.unstacked = settings.stack ~= "none" and not added.stacked or nil
        return "added"
    end

    function effects.describe(item)
        local keywords = {}
        if settings.keyword ~= "" then table.insert(keywords, settings.keyword) end
        if settings.reviewKeyword then table.insert(keywords, LOC "$$$/GPEN/ReviewKeyword=GPEN review") end
        local fine, problem = Catalog.describeResult(item.resultUuid, {
            sourceUuid = item.uuid,
            label = settings.label,
            metadata = run.metadata,
            keywords = keywords,
            collection = settings.collect and LOC "$$$/GPEN/Collection=GPEN Enhanced" or nil,
            properties = {
                sourceUuid = item.uuid,
                jobId = item.job .. "/" .. string.format("%d", item.number),
                preset = settings.preset,
                parameters = Settings.fingerprint(settings),
                checkpoint = item.checkpoint or "",
                bridgeVersion = run.bridgeVersion or "",
                sourceEdits = item.edits,
                verdict = "open",
            },
        })
        if not fine then return nil, problem end
        local old = item.replaces
        if old and old.uuid ~= item.resultUuid then Catalog.reject(old.uuid) end
        return "described"
    end

    function effects.acknowledge(item)
        local fine, problem = await(Courier.acknowledge, bridge, item)
        if not fine then return nil, problem end
        return "acknowledged"
    end

    function effects.record(item) return journal:save(run, item) end

    function effects.forget(item)
        Files.removeTree(item.work)
        journal:forget(run, item)
    end

    -- Nothing waits for this: the bridge is told in the background, and a render that goes on clears up itself.
    function effects.abandon(item)
        local ticket = tickets[item]
        if ticket then ticket.isGivenUp = true end
        if item.path and not item.resultUuid and not item.replaces then Files.delete(item.path) end
        if item.path then claimed[item.path:lower()] = nil end
        if not ticket or ticket.rendered then
            Files.removeTree(item.work)
            Files.removeIfEmpty(Files.parent(item.work))
        end
        if item.job or submissions[item] then
            Tasks.begin("GPEN Enhance: clear up", function()
                Courier.withdraw(bridge, run, item, submissions[item])
                journal:forget(run, item)
                journal:finish(run)
            end)
        else
            journal:forget(run, item)
        end
    end

    -- The bridge has gone: start it again, once in a while and in the background.
    function effects.reconnect()
        if effects.now() - lastStart < RESTART_SECONDS then return end
        lastStart = effects.now()
        Tasks.begin("GPEN Enhance: start the bridge", function()
            local bridgeIsBack, problem = Connection.open(effects.isCanceled)
            if not bridgeIsBack then Log.warn("the bridge is away:", problem.code) end
        end)
    end

    function effects.progress(settled, total, outcomes)
        host.progress:setPortionComplete(settled, total)
        local caption = LOC("$$$/GPEN/Progress/Counts=^1 of ^2", settled, total)
        if #outcomes.failed > 0 then
            caption = caption .. LOC("$$$/GPEN/Progress/Failed=, ^1 failed", #outcomes.failed)
        end
        host.progress:setCaption(caption)
    end

    function effects.log(outcome, item, problem)
        if problem then
            Log.warn(item.fileName, outcome, problem.code, Messages.full(problem))
        else
            Log.info(item.fileName, outcome, item.path or "")
        end
    end

    return effects
end

return RunEffects
