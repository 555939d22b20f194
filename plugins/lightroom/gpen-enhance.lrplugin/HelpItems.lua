--- Help and log, as the menus, the Plug-in Manager and the summary offer them.

local LrDialogs = import "LrDialogs"
local LrHttp = import "LrHttp"
local LrLocalization = import "LrLocalization"
local LrPathUtils = import "LrPathUtils"
local LrShell = import "LrShell"

local Log = require "Log"

local HelpItems = {}

-- Pages that come with the plug-in: help needs no network.
local PAGES = { zh_cn = "help_zh_cn.html" }
local ENGLISH = "help.html"

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

--- Open the help page of the user's language in the browser.
function HelpItems.showHelp()
    local page = PAGES[LrLocalization.currentLanguage()] or ENGLISH
    local path = LrPathUtils.child(_PLUGIN.path, page):gsub("\\", "/"):gsub(" ", "%%20")
    if path:sub(1, 1) ~= "/" then path = "/" .. path end
    LrHttp.openUrlInBrowser("file://" .. path)
end

return HelpItems
