-- The host's core: tasks on real coroutines, function contexts, the sandbox and the guarded surface.
-- Loaded by host.py with `py` (services in Python) and `surface` (what exists) as arguments.

local py, surface = ...
local K = { tasks = {}, gate = nil, dead = false }

-- --- yielding as the host does it --------------------------------------------

-- A pcall that may be yielded through: Lua 5.1's own may not, and the plug-in must know the difference.
function K.pcall(f, ...)
    local co = coroutine.create(f)
    local function step(fine, ...)
        if not fine then
            K.trace = K.trace or debug.traceback(co)
            return false, ...
        end
        if coroutine.status(co) == "dead" then return true, ... end
        return step(coroutine.resume(co, coroutine.yield(...)))
    end
    return step(coroutine.resume(co, ...))
end

function K.pause() coroutine.yield("soon") end

function K.sleep(seconds) coroutine.yield("at", py.now() + seconds) end

function K.waitFor(ready)
    while not ready() do coroutine.yield("poll") end
end

function K.spawn(name, f, quiet)
    table.insert(K.tasks, { name = name, quiet = quiet, co = coroutine.create(f), at = 0 })
end

-- Resume every task that is due. Returns how many live, and when the next one is due (nil: at once).
local function step()
    local alive, soonest, busy = {}, nil, false
    local current = K.tasks
    K.tasks = {}
    for _, task in ipairs(current) do
        if K.dead then break end
        if task.at <= py.now() then
            K.current, K.trace = task, nil
            local fine, what, value = coroutine.resume(task.co)
            K.current = nil
            if not fine then
                if not K.dead and not K.isCanceled(what) and not task.quiet then
                    py.task_failed(task.name, tostring(what) .. "\n" .. (K.trace or debug.traceback(task.co)))
                end
            elseif coroutine.status(task.co) ~= "dead" then
                task.at = what == "at" and value or 0
                if what == "poll" then task.at = py.now() + 0.02 end
                if what == "soon" then busy = true end
                table.insert(alive, task)
            end
        else
            table.insert(alive, task)
        end
    end
    for _, task in ipairs(K.tasks) do table.insert(alive, task); busy = true end
    K.tasks = alive
    for _, task in ipairs(alive) do
        if not soonest or task.at < soonest then soonest = task.at end
    end
    return #alive, not busy and soonest or nil
end

-- On a coroutine of its own: what Python does to tables inside a callback happens on the main stack, whose
-- top frame must be empty for it (lupa counts results from the bottom of the frame).
K.step = coroutine.wrap(function()
    while true do coroutine.yield(step()) end
end)

-- --- errors ------------------------------------------------------------------

local CANCELED = setmetatable({}, { __tostring = function() return "AgExportOperation: canceled" end })
function K.isCanceled(value) return value == CANCELED end
function K.throwCanceled() error(CANCELED, 0) end

-- --- the guarded surface -----------------------------------------------------

local function marksOf(text)
    local marks = {}
    for word in text:gmatch("%S+") do
        local name, flags = word:match("^([%w_]+)(.*)$")
        marks[name] = flags
    end
    return marks
end
K.marksOf = marksOf

-- A function of the SDK as the plug-in may call it.
function K.guarded(label, flags, f)
    local task, yields = flags:find("!", 1, true), flags:find("~", 1, true)
    local write, private = flags:find("w", 1, true), flags:find("p", 1, true)
    return function(...)
        if K.dead then error("the host was killed", 0) end
        py.called(label)
        if K.dead then error("the host was killed", 0) end
        if task and not K.current then error(label .. " must be called from a task", 2) end
        if write and not (K.gate and K.gate.kind == "write" and K.gate.task == K.current) then
            error(label .. " needs write access to the catalog", 2)
        end
        if private and not (K.gate and K.gate.task == K.current) then
            error(label .. " needs private write access to the catalog", 2)
        end
        if yields then
            if K.gate and K.gate.task == K.current and not write and not private and not K.fineInGate[label] then
                error(label .. " inside a gate: on Windows the host hangs here", 2)
            end
            if K.current then coroutine.yield("soon") elseif task then error("yield outside a task", 2) end
        end
        if K.dead then error("the host was killed", 0) end
        return f(...)
    end
end
K.fineInGate = { ["LrPhoto.getRawMetadata"] = true, ["LrPhoto.getFormattedMetadata"] = true }

local function refuse(label)
    return function(_, key) error(label .. "." .. tostring(key) .. " does not exist in the SDK", 2) end
end

-- A namespace with exactly the functions that the surface names.
function K.namespace(name, implementation)
    local marks = marksOf(surface.namespaces[name] or error("no namespace " .. name))
    local out = {}
    for key, flags in pairs(marks) do
        local f = implementation[key] or error("the emulator lacks " .. name .. "." .. key)
        out[key] = K.guarded(name .. "." .. key, flags, f)
    end
    for key in pairs(implementation) do
        if not marks[key] then error("the surface does not name " .. name .. "." .. key) end
    end
    return setmetatable(out, { __index = refuse(name), __newindex = refuse(name) })
end

-- A class: `K.class(name, methods)` gives a function that makes objects of a state table.
-- A property is a function of the state in `properties`.
function K.class(name, methods, properties)
    local marks = marksOf(surface.classes[name] or error("no class " .. name))
    local allowed = marksOf(surface.properties[name] or "")
    local out = {}
    for key, flags in pairs(marks) do
        local f = methods[key] or error("the emulator lacks " .. name .. ":" .. key)
        out[key] = K.guarded(name .. "." .. key, flags, function(object, ...)
            local state = K.states[object]
            if not state then error(name .. ":" .. key .. " was called without its object", 3) end
            return f(state, ...)
        end)
    end
    properties = properties or {}
    return function(state)
        local object = setmetatable({}, {
            __index = function(_, key)
                if out[key] then return out[key] end
                if allowed[key] and properties[key] then return properties[key](state) end
                error(name .. "." .. tostring(key) .. " does not exist in the SDK", 2)
            end,
            __newindex = refuse(name),
        })
        K.states[object] = state
        state.object = object
        return object
    end
end
K.states = setmetatable({}, { __mode = "k" })

function K.state(object, what)
    return K.states[object] or error("expected " .. what .. ", got " .. tostring(object), 3)
end

-- --- function contexts -------------------------------------------------------

local newContext = K.class("functionContext", {
    addCleanupHandler = function(state, f) table.insert(state.cleanup, f) end,
    addFailureHandler = function(state, f) table.insert(state.failure, f) end,
})

function K.withContext(name, f, ...)
    local state = { cleanup = {}, failure = {}, name = name }
    local results = { K.pcall(f, newContext(state), ...) }
    if not results[1] then
        for index = #state.failure, 1, -1 do K.pcall(state.failure[index], false, results[2]) end
    end
    for index = #state.cleanup, 1, -1 do
        local fine, why = K.pcall(state.cleanup[index], results[1], results[2])
        if not fine and not K.dead then py.task_failed(name .. " cleanup", tostring(why)) end
    end
    for _, scope in ipairs(state.scopes or {}) do scope.done = true end
    if results[1] then return unpack(results, 2) end
    if state.showErrors and not K.isCanceled(results[2]) then
        py.message("error", tostring(results[2]), "")
        return
    end
    error(results[2], 0)
end

-- --- the sandbox -------------------------------------------------------------

function K.sandbox(given, packages, imports)
    local env = {}
    for name in surface.globals:gmatch("%S+") do env[name] = _G[name] end
    env.string, env.math = string, math
    env.table = {
        concat = table.concat, insert = table.insert, remove = table.remove, sort = table.sort,
    }
    env.coroutine = { running = coroutine.running, canYield = function() return K.current ~= nil end }
    env.debug = { getinfo = debug.getinfo }
    for name, value in pairs(given) do env[name] = value end
    env._G = env
    function env.import(name)
        return imports[name] or error("import: there is no " .. tostring(name), 2)
    end
    local loaded = {}
    function env.require(name)
        if loaded[name] == nil then
            local value = packages(name)(env)
            loaded[name] = value == nil and true or value
        end
        return loaded[name]
    end
    return setmetatable(env, {
        __index = function(_, name)
            if name == "WIN_ENV" or name == "MAC_ENV" then return nil end
            error("Access to undefined global: " .. tostring(name), 2)
        end,
        __newindex = function(_, name) error("a new global: " .. tostring(name), 2) end,
    })
end

-- A chunk that runs in an environment: compiled once, set free of ours.
function K.chunk(source, name)
    local f, problem = loadstring(source, "@" .. name)
    if not f then error(problem, 0) end
    return function(env) return setfenv(f, env)() end
end

-- --- LrTasks, LrFunctionContext, LrErrors ------------------------------------

K.imports = {
    LrTasks = K.namespace("LrTasks", {
        canYield = function() return K.current ~= nil end,
        execute = function(command)
            local ticket = py.execute(command)
            K.waitFor(function() return py.executed(ticket) end)
            return py.execute_status(ticket)
        end,
        pcall = function(f, ...) return K.pcall(f, ...) end,
        sleep = K.sleep,
        startAsyncTask = function(f, name) K.spawn(name or "task", f) end,
        startAsyncTaskWithoutErrorHandler = function(f, name) K.spawn(name or "task", f, true) end,
        yield = function() end,
    }),
    LrFunctionContext = K.namespace("LrFunctionContext", {
        callWithContext = function(name, f, ...) return K.withContext(name, f, ...) end,
        postAsyncTaskWithContext = function(name, f)
            K.spawn(name, function() return K.withContext(name, f) end)
        end,
    }),
    LrErrors = K.namespace("LrErrors", {
        throwUserError = function(text) error(text, 0) end,
        throwCanceled = function() K.throwCanceled() end,
        isCanceledError = function(value) return K.isCanceled(value) end,
    }),
}

return K
