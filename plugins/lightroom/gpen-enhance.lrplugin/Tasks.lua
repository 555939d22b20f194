--- Waiting that a cancel ends: a call that takes its time runs in a task of its own.

local LrTasks = import "LrTasks"
local LrFunctionContext = import "LrFunctionContext"

local Tasks = {}

local LEAST_SECONDS, MOST_SECONDS = 0.01, 0.1

--- Run a function in the background; its errors end up in what `problem` gives, never in a dialog.
-- @return a ticket: finished, results (a list), failure (what was raised).
function Tasks.begin(name, f, ...)
    local arguments = { ... }
    local ticket = { finished = false }
    LrFunctionContext.postAsyncTaskWithContext(name, function(context)
        context:addCleanupHandler(function() ticket.finished = true end)
        local results = { LrTasks.pcall(f, unpack(arguments)) }
        if results[1] then
            ticket.results = { unpack(results, 2) }
        else
            ticket.failure = results[2]
        end
    end)
    return ticket
end

--- Wait for what was begun, unless `isCanceled` says so first; then it goes on unwatched.
-- @return what its function returns; or nil and a problem.
function Tasks.wait(isCanceled, ticket)
    local seconds = LEAST_SECONDS
    LrTasks.yield()
    while not ticket.finished do
        if isCanceled() then return nil, { code = "cancelled" } end
        LrTasks.sleep(seconds)
        seconds = math.min(seconds * 1.5, MOST_SECONDS)
    end
    if ticket.failure then return nil, { code = "internal", detail = tostring(ticket.failure) } end
    return unpack(ticket.results, 1, 3)
end

--- Call a function and wait for it: `begin` and `wait` in one.
function Tasks.await(isCanceled, f, ...)
    return Tasks.wait(isCanceled, Tasks.begin("GPEN Enhance: waiting", f, ...))
end

return Tasks
