-- Views, bindings, dialogs and progress. A person is a Python generator (host.py) who sets values,
-- presses buttons and closes the dialog; nothing of it is drawn.

local py, K, surface = ...
local imports = K.imports

-- --- observable tables -------------------------------------------------------

local newTable

function newTable()
    local values, observers = {}, {}
    local methods = {}
    function methods.addObserver(_, key, a, b) table.insert(observers, { key = key, f = b or a }) end
    function methods.removeObserver(_, key)
        for index = #observers, 1, -1 do
            if observers[index].key == key then table.remove(observers, index) end
        end
    end
    function methods.pairs() return pairs(values) end
    local properties = {}
    return setmetatable(properties, {
        __index = function(_, key)
            if methods[key] then return methods[key] end
            return values[key]
        end,
        -- A metamethod: an observer that yields raises here, as in the host.
        __newindex = function(_, key, value)
            if K.dead then error("the host was killed", 0) end
            if values[key] == value then return end
            values[key] = value
            for _, observer in ipairs(observers) do
                if observer.key == key then observer.f(properties, key, value) end
            end
        end,
    })
end
K.newTable = newTable

imports.LrBinding = K.namespace("LrBinding", {
    makePropertyTable = function(context)
        K.state(context, "a function context")
        return newTable()
    end,
})

-- --- views -------------------------------------------------------------------

local factory = {}
for kind, keys in pairs(surface.controls) do
    factory[kind] = function(self, arguments)
        if self ~= factory then error("f:" .. kind .. " was called with a dot", 2) end
        local view = { kind = kind, arguments = {}, children = {} }
        for key, value in pairs(arguments) do
            if type(key) == "number" then
                if type(value) ~= "table" or not value.kind then error("a child of " .. kind .. " is no view", 2) end
            elseif not keys[key] then
                error("f:" .. kind .. " knows no " .. tostring(key), 2)
            else
                view.arguments[key] = value
            end
        end
        for index = 1, #arguments do view.children[index] = arguments[index] end
        return view
    end
end
for name in surface.factory_functions:gmatch("%S+") do factory[name] = function() return 8 end end
setmetatable(factory, { __index = function(_, kind) error("f:" .. tostring(kind) .. " does not exist", 2) end })
K.factory = factory

imports.LrView = K.namespace("LrView", {
    osFactory = function() return factory end,
    bind = function(what)
        if type(what) == "string" then return { bound = true, key = what } end
        if not what.key and not what.keys then error("LrView.bind needs a key", 2) end
        return { bound = true, key = what.key, keys = what.keys, object = what.bind_to_object,
            transform = what.transform, operation = what.operation }
    end,
    conditionalItem = function(condition, view) return condition and view or factory:spacer {} end,
})

-- What an argument of a view shows now. `object`: what the view or one around it is bound to.
function K.shown(argument, object)
    if type(argument) ~= "table" or not argument.bound then return argument end
    local from = argument.object or object
    if argument.keys then
        local values = {}
        for _, key in ipairs(argument.keys) do
            local name = type(key) == "table" and key.key or key
            values[name] = ((type(key) == "table" and key.bind_to_object) or from)[name]
        end
        return argument.operation({}, values, false)
    end
    local value = from[argument.key]
    if argument.transform then return argument.transform(value, true) end
    return value
end

-- Every view below one, with what it is bound to: list of { view, object }.
function K.walk(view, object, out)
    out = out or {}
    object = view.arguments.bind_to_object or object
    table.insert(out, { view, object })
    for _, child in ipairs(view.children) do K.walk(child, object, out) end
    return out
end

function K.set(argument, object, value)
    if argument.transform then value = argument.transform(value, false) end
    (argument.object or object)[argument.key] = value
end

K.dialogs = {}

-- --- dialogs -----------------------------------------------------------------

imports.LrDialogs = K.namespace("LrDialogs", {
    confirm = function(message, info, action, cancel, other)
        return py.confirm(message, info or "", action or "OK", cancel or "Cancel", other or "")
    end,
    message = function(message, info, style) py.message(style or "warning", message, info or "") end,
    presentModalDialog = function(arguments)
        local known = { title = 1, contents = 1, actionVerb = 1, cancelVerb = 1, otherVerb = 1, resizable = 1,
            save_frame = 1, accessoryView = 1, actionBinding = 1 }
        for key in pairs(arguments) do
            if not known[key] then error("presentModalDialog knows no " .. key, 2) end
        end
        local dialog = { arguments = arguments, views = K.walk(arguments.contents) }
        if arguments.accessoryView then K.walk(arguments.accessoryView, nil, dialog.views) end
        local ticket = py.modal(arguments.title)
        K.dialogs[ticket] = dialog
        local result
        K.waitFor(function()
            result = py.modal_result(ticket)
            return result ~= nil
        end)
        return result
    end,
    runOpenPanel = function(arguments) return py.open_panel(arguments.title or "") end,
    showBezel = function(text) py.message("bezel", text, "") end,
    attachErrorDialogToFunctionContext = function(context) K.state(context, "a function context").showErrors = true end,
})

-- --- progress ----------------------------------------------------------------

local newProgress = K.class("LrProgressScope", {
    cancel = function(state) state.canceled = true end,
    done = function(state) state.done = true; py.progress_done(state.ticket) end,
    isCanceled = function(state) return state.canceled or py.progress_canceled(state.ticket) end,
    setCancelable = function() end,
    setCaption = function(state, text) py.progress_caption(state.ticket, text) end,
    setPortionComplete = function(state, done, total) py.progress(state.ticket, done, total or 1) end,
})
function K.newProgress(title, context)
    local state = { ticket = py.progress_begin(title or "") }
    if context then
        local owner = K.state(context, "a function context")
        owner.scopes = owner.scopes or {}
        table.insert(owner.scopes, state)
        table.insert(owner.cleanup, function() if not state.done then state.done = true; py.progress_done(state.ticket) end end)
    end
    return newProgress(state)
end
imports.LrProgressScope = function(arguments)
    return K.newProgress(arguments.title, arguments.functionContext)
end
