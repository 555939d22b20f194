--- Where runs keep what is on its way: the journal, and a work folder a photo; and where a preview keeps its pictures.
-- The work folders of a local bridge lie in its exchange folder, so that pictures are handed over by name.

local LrDate = import "LrDate"

local Files = require "Files"
local Journal = require "Journal"

local Workspace = {}

local RUN, PREVIEW = "lightroom-", "preview-"

local counter = 0
local underWay = {}
local workedOn = {}

--- The journal of all runs.
function Workspace.journal()
    return Journal.open(Files.home("lightroom", "journal"), Files)
end

--- A new run's id: later runs sort behind earlier ones.
function Workspace.newRunId()
    counter = counter + 1
    return string.format("%.0f-%d-%04d", LrDate.currentTime() * 1000, counter, math.random(0, 9999))
end

--- Ids of the runs and previews that go on right now.
function Workspace.underWay() return underWay end

--- A run or a preview goes on until the context ends.
function Workspace.keepUnderWay(context, id)
    underWay[id] = true
    context:addCleanupHandler(function() underWay[id] = nil end)
end

--- Take photos for a command until its context ends. What another command works on is not given.
-- @return the set of uuids that are the caller's now: { [uuid] = true }.
function Workspace.claim(context, uuids)
    local mine = {}
    for _, uuid in ipairs(uuids) do
        if not workedOn[uuid] then mine[uuid], workedOn[uuid] = true, true end
    end
    context:addCleanupHandler(function()
        for uuid in pairs(mine) do workedOn[uuid] = nil end
    end)
    return mine
end

--- Where work folders lie for a bridge.
-- @param endpoint of the bridge: isLocal, exchange.
function Workspace.root(endpoint)
    if endpoint.isLocal and endpoint.exchange then return endpoint.exchange end
    return Files.temp("gpen-enhance")
end

--- The folder of a run; that of its photo `index` is a child.
function Workspace.runFolder(root, runId)
    return Files.child(root, RUN .. runId)
end

--- The folder of a preview.
function Workspace.previewFolder(id)
    return Files.temp("gpen-enhance", PREVIEW .. id)
end

--- The name of a file below the exchange folder as the wire has it: with /.
function Workspace.exchangeName(root, path)
    return (path:sub(#root + 2):gsub("\\", "/"))
end

--- The folders of runs and previews below a root: list of { path =, id = }.
function Workspace.folders(root)
    local found = {}
    for _, name in ipairs(Files.list(root)) do
        for _, prefix in ipairs { RUN, PREVIEW } do
            if name:sub(1, #prefix) == prefix then
                table.insert(found, { path = Files.child(root, name), id = name:sub(#prefix + 1) })
            end
        end
    end
    return found
end

--- Clear away the folders that nobody remembers and nobody uses.
-- @param remembered ids to keep: { [id] = true }.
function Workspace.sweep(root, remembered)
    for _, folder in ipairs(Workspace.folders(root)) do
        if not remembered[folder.id] and not underWay[folder.id] then Files.removeTree(folder.path) end
    end
end

return Workspace
