--- What a supporter would ask first, answered in lines; and the temporary files that runs have left.

local LrApplication = import "LrApplication"

local Connection = require "Connection"
local Files = require "Files"
local Log = require "Log"
local Messages = require "Messages"
local Prefs = require "Prefs"
local Workspace = require "Workspace"

local Diagnosis = {}

local function roots()
    local found = { Files.temp("gpen-enhance") }
    local announced = Connection.announced()
    if announced and announced.exchange then table.insert(found, announced.exchange) end
    return found
end

-- Ids of runs that have photos to finish: their files stay.
local function remembered()
    local ids = {}
    for _, found in ipairs(Workspace.journal():interrupted(Workspace.underWay())) do ids[found.run.id] = true end
    return ids
end

--- How many folders of runs and previews there are, in words.
function Diagnosis.cacheLine()
    local count = 0
    for _, root in ipairs(roots()) do count = count + #Workspace.folders(root) end
    return LOC("$$$/GPEN/Manager/Cache=Temporary folders: ^1", count)
end

--- Clear away what no run needs any more.
function Diagnosis.clearCache()
    local keep = remembered()
    for _, root in ipairs(roots()) do Workspace.sweep(root, keep) end
end

local function bridgeLines(add)
    local bridge = Connection.bridge()
    local health, problem = bridge:health()
    if not health then return add(Messages.full(problem)) end
    add(LOC("$$$/GPEN/Diagnosis/Bridge=The bridge answers: version ^1, ^2", health.version, health.status))
    local ready, whyNot = bridge:ready()
    if not ready then return add(Messages.full(whyNot)) end
    for _, reason in ipairs(ready.reasons or {}) do add(tostring(reason.code) .. ": " .. tostring(reason.detail)) end
    local can = bridge:capabilities()
    for _, checkpoint in ipairs(can and can.checkpoints or {}) do
        if checkpoint.installed then
            add(LOC("$$$/GPEN/Diagnosis/Checkpoint=Checkpoint ^1 on ^2", checkpoint.name, tostring(can.device)))
        end
    end
end

--- Everything in lines. Yields.
function Diagnosis.text()
    local lines = {}
    local function add(line) lines[#lines + 1] = line end
    add("Lightroom Classic " .. LrApplication.versionString())
    local announced, remoteUrl = Connection.announced(), Prefs.connection().remoteUrl
    if remoteUrl ~= "" then
        add(LOC("$$$/GPEN/Diagnosis/Remote=Remote bridge: ^1", remoteUrl))
    elseif announced then
        add(LOC("$$$/GPEN/Diagnosis/Local=Local bridge: ^1", announced.url))
        if announced.exchange and not Files.isWritable(announced.exchange) then
            add(LOC("$$$/GPEN/Diagnosis/Exchange=Its exchange folder cannot be written to: ^1", announced.exchange))
        end
    else
        add(LOC "$$$/GPEN/Diagnosis/None=No bridge has announced itself in the home folder.")
    end
    if not Connection.startLine() then
        add(LOC "$$$/GPEN/Diagnosis/NoCommand=Nothing is known to start: run gpen-bridge plugins install lightroom.")
    end
    bridgeLines(add)
    add(LOC("$$$/GPEN/Diagnosis/Log=Log: ^1", Log.path() or "-"))
    return table.concat(lines, "\n")
end

return Diagnosis
