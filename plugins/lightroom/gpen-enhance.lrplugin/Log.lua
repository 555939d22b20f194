--- The plug-in's log, through the host's logger. Tokens and pixels never come in here.

local LrLogger = import "LrLogger"
local LrPathUtils = import "LrPathUtils"
local LrFileUtils = import "LrFileUtils"

local Log = {}

local NAME = "GPENEnhance"

local logger = LrLogger(NAME)
logger:enable("logfile")

function Log.info(...) logger:info(...) end

function Log.warn(...) logger:warn(...) end

function Log.error(...) logger:error(...) end

--- Where the host keeps the log: it has moved between versions, so this looks for it.
-- @return the log's path; nil when no place has it yet.
function Log.path()
    local home = LrPathUtils.getStandardFilePath("home")
    local documents = LrPathUtils.getStandardFilePath("documents")
    local folders = {
        { documents, "LrClassicLogs" },
        { home, "Library", "Logs", "Adobe", "Lightroom", "LrClassicLogs" },
        { home, "AppData", "Local", "Adobe", "Lightroom", "Logs", "LrClassicLogs" },
    }
    for _, parts in ipairs(folders) do
        local path = parts[1]
        for index = 2, #parts do path = LrPathUtils.child(path, parts[index]) end
        path = LrPathUtils.child(path, NAME .. ".log")
        if LrFileUtils.exists(path) == "file" then return path end
    end
    return nil
end

return Log
