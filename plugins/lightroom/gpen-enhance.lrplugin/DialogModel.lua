--- What stands behind the controls: presets and state from the bridge, a preset's values on the sliders.
-- Observers only set values and flags; whatever waits runs in a task of its own.

local Connection = require "Connection"
local Controls = require "Controls"
local Log = require "Log"
local Messages = require "Messages"
local Settings = require "Settings"
local Tasks = require "Tasks"

local DialogModel = {}
DialogModel.__index = DialogModel

--- Put settings into a property table and keep them together.
-- @param properties an observable table.
function DialogModel.attach(properties, settings)
    local model = setmetatable({ properties = properties, own = {} }, DialogModel)
    for key, value in pairs(settings) do properties[key] = value end
    properties.presetItems = Controls.presetItems()
    properties.checkpointItems = Controls.checkpointItems()
    properties.bridgeState = LOC "$$$/GPEN/Bridge/Looking=Looking for the bridge^."
    properties.isAway = false
    properties.saveName = ""
    properties:addObserver("preset", function(_, _, name) model:takeOver(name) end)
    return model
end

--- The settings as the controls stand.
function DialogModel:settings()
    local values = {}
    for key in pairs(Settings.FIELDS) do values[key] = self.properties[key] end
    return Settings.clamped(values)
end

-- A preset was chosen: its values go onto the controls.
function DialogModel:takeOver(name)
    local preset = Settings.builtIn(name) or self.own[name]
    if not preset then return end
    local changed = Settings.withPreset(self:settings(), preset)
    for _, key in ipairs { "strength", "denoise", "sharpen", "mode", "faces", "checkpoint" } do
        self.properties[key] = changed[key]
    end
end

--- Ask the bridge for its presets and its state, in the background.
-- @param mayStart whether a bridge that does not run is to be started.
function DialogModel:refresh(mayStart)
    Tasks.begin("GPEN Enhance: bridge state", function() self:load(mayStart) end)
end

function DialogModel:load(mayStart)
    local bridge, problem = Connection.bridge(), nil
    if mayStart then
        self.properties.bridgeState = LOC "$$$/GPEN/Bridge/Starting=Starting the bridge^."
        bridge, problem = Connection.open(function() return self.isClosed or false end)
    else
        local health, whyNot = bridge:health()
        if not health then bridge, problem = nil, whyNot end
    end
    if self.isClosed then return end
    if not bridge then
        self.properties.isAway = true
        self.properties.bridgeState = Messages.sentence(problem)
        return
    end
    self.properties.isAway = false
    self:loadPresets(bridge)
    self:loadState(bridge)
end

function DialogModel:loadPresets(bridge)
    local list = bridge:presets()
    if not list or self.isClosed then return end
    self.own = {}
    local own = {}
    for _, preset in ipairs(list) do
        if not preset.built_in then
            local entry = { name = preset.name }
            for key, value in pairs(preset.parameters) do entry[key] = value end
            self.own[preset.name] = entry
            table.insert(own, entry)
        end
    end
    self.properties.presetItems = Controls.presetItems(own)
end

function DialogModel:loadState(bridge)
    local can, problem = bridge:capabilities()
    local stats = bridge:stats()
    if self.isClosed then return end
    if not can then
        self.properties.bridgeState = Messages.sentence(problem)
        return
    end
    local names = {}
    for _, checkpoint in ipairs(can.checkpoints) do
        if checkpoint.installed then table.insert(names, checkpoint.name) end
    end
    self.properties.checkpointItems = Controls.checkpointItems(names)
    local installed = #names > 0 and table.concat(names, ", ") or LOC "$$$/GPEN/Bridge/NoCheckpoint=no checkpoint"
    self.properties.bridgeState = LOC("$$$/GPEN/Bridge/State=Bridge ^1: ^2 on ^3, ^4 in the queue", can.version,
        installed, tostring(can.device), stats and stats.in_flight or 0)
end

--- Save the parameters as a preset of the user's, in the background.
function DialogModel:saveAs(name)
    name = name:match("^%s*(.-)%s*$")
    if name == "" then return end
    Tasks.begin("GPEN Enhance: save preset", function()
        local bridge = Connection.bridge()
        local saved, problem = bridge:savePreset(name, Settings.parameters(self:settings()))
        if self.isClosed then return end
        if not saved then
            Log.warn("the preset was not saved:", problem.code, problem.detail or "")
            self.properties.bridgeState = Messages.full(problem)
            return
        end
        self:loadPresets(bridge)
        self.properties.preset = name
        self.properties.saveName = ""
    end)
end

--- The dialog has closed: what is under way changes nothing any more.
function DialogModel:close() self.isClosed = true end

return DialogModel
