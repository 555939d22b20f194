--- Finds the bridge, starts it when it is not running, and pairs with a remote one.
-- Knows where bridge.json lies and what a start command looks like; speaks through Bridge.lua.

local LrDate = import "LrDate"
local LrTasks = import "LrTasks"

local Bridge = require "Bridge"
local Files = require "Files"
local Http = require "Http"
local Json = require "Json"
local Log = require "Log"
local Prefs = require "Prefs"
local Protocol = require "Protocol"
local Tasks = require "Tasks"

local Connection = {}

local START_SECONDS = 45
local LOOK_SECONDS = 0.5

--- What bridge.json says: { url =, token =, protocol =, exchange = }; nil when there is none to read.
function Connection.announced()
    local text = Files.read(Files.home("bridge.json"))
    local found = text and Json.decode(text)
    if not Json.isObject(found) or type(found.url) ~= "string" or type(found.token) ~= "string" then return nil end
    return {
        url = found.url,
        token = found.token,
        protocol = found.protocol,
        exchange = found.exchange_dir,
        isLocal = true,
    }
end

-- The remote bridge that the user has set; nil without one.
local function remote()
    local url = Prefs.connection().remoteUrl:gsub("/+$", "")
    if url == "" then return nil end
    return { url = url, token = Prefs.token(), protocol = Protocol.VERSION, isLocal = false }
end

--- The bridge to speak to now; nil and a problem when there is none.
function Connection.endpoint()
    local found = remote()
    if found then
        if not found.token then return nil, { code = "not_paired" } end
        return found
    end
    found = Connection.announced()
    if not found then return nil, { code = "bridge_unreachable", retryable = true } end
    if found.protocol ~= Protocol.VERSION then
        return nil, { code = "protocol_mismatch", detail = Connection.versions(found.protocol) }
    end
    return found
end

--- The versions of both sides in one sentence.
function Connection.versions(theirs)
    return LOC("$$$/GPEN/Connection/Versions=The bridge speaks protocol ^1, this plug-in ^2.", tostring(theirs),
        Protocol.VERSION)
end

--- A client of whatever bridge there is at the moment of each call.
function Connection.bridge()
    return Connection.clientOf(Connection.endpoint)
end

--- A client of the bridge at an endpoint.
function Connection.clientOf(endpoint)
    return Bridge.new {
        request = Http.request, now = LrDate.currentTime, endpoint = endpoint,
    }
end

-- --- starting ----------------------------------------------------------------

-- The command that `gpen-bridge plugins install` left beside the plug-in: { program, argument, ... }.
local function installedCommand()
    local text = Files.read(Files.child(_PLUGIN.path, "installed.json"))
    local found = text and Json.decode(text)
    if Json.isObject(found) and Json.isArray(found.command) and #found.command > 0 then return found.command end
    return nil
end

local function quoted(word)
    if WIN_ENV then return '"' .. word .. '"' end
    return "'" .. word:gsub("'", "'\\''") .. "'"
end

--- The line that starts the bridge and comes back at once; nil when nothing is known to start.
function Connection.startLine()
    local line = Prefs.connection().startCommand
    if line == "" then
        local command = installedCommand()
        if not command then return nil end
        local words = {}
        for index, word in ipairs(command) do words[index] = quoted(word) end
        line = table.concat(words, " ")
    end
    -- cmd takes the outermost quotes off, so a line that has quotes needs a pair more.
    if WIN_ENV then return '"start "GPEN Enhance" /min ' .. line .. '"' end
    return line .. " >/dev/null 2>&1 &"
end

-- Nobody answers at the address of bridge.json, or something that is not our bridge: then that has ended.
local AWAY = { bridge_unreachable = true, timed_out = true, bridge_foreign = true, unauthorized = true }

local function isAway(problem)
    return AWAY[problem.code] == true
end

--- Start the local bridge and wait until it answers.
-- @return true; or nil and a problem.
function Connection.start(bridge, isCanceled)
    local line = Connection.startLine()
    if not line then return nil, { code = "bridge_missing" } end
    Log.info("starting the bridge")
    local status = LrTasks.execute(line)
    if status ~= 0 then
        return nil, { code = "bridge_missing", detail = LOC("$$$/GPEN/Connection/Status=(status ^1)", status) }
    end
    local waited = 0
    while waited < START_SECONDS do
        if isCanceled() then return nil, { code = "cancelled" } end
        local health, problem = Tasks.await(isCanceled, bridge.health, bridge)
        if health then return true end
        if not isAway(problem) then return nil, problem end
        LrTasks.sleep(LOOK_SECONDS)
        waited = waited + LOOK_SECONDS
    end
    return nil, { code = "bridge_start" }
end

--- A bridge that answers and speaks our protocol, started if need be.
-- @param isCanceled asked while waiting.
-- @return the bridge; or nil and a problem.
function Connection.open(isCanceled)
    local bridge = Connection.bridge()
    local health, problem = Tasks.await(isCanceled, bridge.health, bridge)
    if health then return bridge end
    if not isAway(problem) or remote() then return nil, problem end
    local started, whyNot = Connection.start(bridge, isCanceled)
    if started then return bridge end
    -- A program in the bridge's place says more than that none can be started.
    if whyNot.code == "bridge_missing" and problem.code == "bridge_foreign" then return nil, problem end
    return nil, whyNot
end

-- --- pairing -----------------------------------------------------------------

--- Pair with the bridge at an address by the code that it shows; keeps the token.
-- @return true; or nil and a problem.
function Connection.pair(url, code)
    url = url:gsub("/+$", "")
    local bridge = Connection.clientOf(function()
        return { url = url, protocol = Protocol.VERSION, isLocal = false }
    end)
    local health, problem = bridge:health()
    if not health then return nil, problem end
    local paired, whyNot = bridge:pair(code)
    if not paired then return nil, whyNot end
    Prefs.keepToken(paired.token)
    local connection = Prefs.connection()
    connection.remoteUrl = url
    Prefs.keepConnection(connection)
    Log.info("paired with a remote bridge")
    return true
end

return Connection
