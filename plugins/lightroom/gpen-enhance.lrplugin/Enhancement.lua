--- One picture through the bridge, waited for: for exports, where the host asks for file after file.
-- Selections go through EnhanceRun.lua, which keeps several on their way and a journal.

local LrDate = import "LrDate"
local LrTasks = import "LrTasks"

local Courier = require "Courier"
local Files = require "Files"
local Settings = require "Settings"
local Tasks = require "Tasks"
local Workspace = require "Workspace"

local Enhancement = {}

local POLL_SECONDS = 0.25
local RETRY_SECONDS = 0.5
local PATIENCE_SECONDS = 120

--- What the pictures of one export have in common.
-- @param output the form of the results as the bridge takes it.
-- @param count how many they are.
function Enhancement.run(bridge, settings, output, count)
    local endpoint = bridge:endpoint()
    return {
        id = Workspace.newRunId(),
        root = Workspace.root(endpoint),
        settings = settings,
        preset = settings.preset,
        parameters = Settings.parameters(settings),
        output = output,
        name = LOC "$$$/GPEN/Filter/Job=Export from Lightroom",
        priority = Courier.priority(count),
    }
end

--- A picture of it.
function Enhancement.item(run, index, fileName)
    return {
        index = index,
        fileName = fileName,
        key = run.id .. "-" .. index,
        work = Files.child(Workspace.runFolder(run.root, run.id), tostring(index)),
    }
end

-- Do it again until it is not refused for a passing reason any more.
-- @param begin function() -> the ticket of a try.
local function patiently(isCanceled, begin)
    local since = LrDate.currentTime()
    while true do
        local value, problem = Tasks.wait(isCanceled, begin())
        if value or not problem.retryable or LrDate.currentTime() - since >= PATIENCE_SECONDS then
            return value, problem
        end
        LrTasks.sleep(RETRY_SECONDS)
    end
end

-- An export is not resumed: the host asks for the file anew.
local function nowhere() return true end

local function through(bridge, item, isCanceled, submit)
    local fine, problem = patiently(isCanceled, submit)
    if not fine then return nil, problem end
    while true do
        local state, whyNot = patiently(isCanceled, function()
            return Tasks.begin("GPEN Enhance: look", Courier.look, bridge, item)
        end)
        if not state then return nil, whyNot end
        if state == "done" then break end
        LrTasks.sleep(POLL_SECONDS)
    end
    return patiently(isCanceled, function() return Tasks.begin("GPEN Enhance: fetch", Courier.fetch, bridge, item) end)
end

--- Enhance the rendered picture of an item.
-- @return the path of the result in the item's work folder, to be moved away; or nil and a problem: one that is
--   retryable has lasted for two minutes.
function Enhancement.one(bridge, run, item, isCanceled)
    local submission
    local path, problem = through(bridge, item, isCanceled, function()
        submission = Tasks.begin("GPEN Enhance: hand over", Courier.submit, bridge, run, item, nowhere)
        return submission
    end)
    if not path then
        Tasks.begin("GPEN Enhance: clear up", Courier.withdraw, bridge, run, item, submission)
        return nil, problem
    end
    Courier.acknowledge(bridge, item)
    return path
end

return Enhancement
