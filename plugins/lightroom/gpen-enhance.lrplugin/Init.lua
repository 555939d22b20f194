--- Runs when the plug-in is loaded: offers to finish what a crash interrupted.

local LrFunctionContext = import "LrFunctionContext"

-- With a context of its own: a bare task would end with that of this script.
LrFunctionContext.postAsyncTaskWithContext("GPEN Enhance: start", function(context)
    require("ResumeCommand").atStart(context)
end)
