--- Help and log, as the menus, the Plug-in Manager and the summary offer them.

local LrDialogs = import "LrDialogs"
local LrHttp = import "LrHttp"
local LrShell = import "LrShell"

local Log = require "Log"

local HelpItems = {}

local HELP_URL = "https://github.com/gpen-enhance/gpen-enhance/blob/main/docs/lightroom.md"

--- Show the log in the system's file browser.
function HelpItems.showLog()
    local path = Log.path()
    if path then
        LrShell.revealInShell(path)
    else
        LrDialogs.message(LOC "$$$/GPEN/Log/None=There is no log yet.",
            LOC "$$$/GPEN/Log/Where=Lightroom writes it into the folder LrClassicLogs as GPENEnhance.log.", "info")
    end
end

--- Open the documentation.
function HelpItems.showHelp()
    LrHttp.openUrlInBrowser(HELP_URL)
end

return HelpItems
