--- One picture through the bridge, waited for: for exports, where the host asks for file after file.
-- Selections go through EnhanceRun.lua, which keeps several on their way and a journal.

local LrTasks = import "LrTasks"

local Courier = require "Courier"
local Files = require "Files"
local Settings = require "Settings"
local Workspace = require "Workspace"

local Enhancement = {}

local POLL_SECONDS = 0.25
local PATIENCE_SECONDS = 120

--- What the pictures of one export have in common.
-- @param output the form of the results as the bridge takes it.
function Enhancement.run(bridge, settings, output)
    local endpoint = bridge:endpoint()
    return {
        id = Workspace.newRunId(),
        root = Workspace.root(endpoint),
        settings = settings,
        preset = settings.preset,
        parameters = Settings.parameters(settings),
        output = output,
        name = LOC "$$$/GPEN/Filter/Job=Export from Lightroom",
        priority = "batch",
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

-- Call until it is not refused for a passing reason any more.
local function patiently(isCanceled, f)
    local waited = 0
    while true do
        local value, problem = f()
        if value or not problem.retryable or waited >= PATIENCE_SECONDS then return value, problem end
        if isCanceled() then return nil, { code = "cancelled" } end
        LrTasks.sleep(1)
        waited = waited + 1
    end
end

-- An export is not resumed: the host asks for the file anew.
local function nowhere() return true end

--- Enhance the rendered picture of an item.
-- @return the path of the result in the item's work folder, to be moved away; or nil and a problem.
function Enhancement.one(bridge, run, item, isCanceled)
    local fine, problem = patiently(isCanceled, function() return Courier.submit(bridge, run, item, nowhere) end)
    if not fine then return nil, problem end
    while true do
        local state, whyNot = patiently(isCanceled, function() return Courier.look(bridge, item) end)
        if not state then return nil, whyNot end
        if state == "done" then break end
        if isCanceled() then
            Courier.cancel(bridge, item)
            return nil, { code = "cancelled" }
        end
        LrTasks.sleep(POLL_SECONDS)
    end
    local path, lost = patiently(isCanceled, function() return Courier.fetch(bridge, item) end)
    if not path then return nil, lost end
    Courier.acknowledge(bridge, item)
    return path
end

return Enhancement
