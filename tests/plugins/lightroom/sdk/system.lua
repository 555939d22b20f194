-- Paths, files, HTTP, preferences, passwords, log, language, shell: what the host gives besides photos.

local py, K = ...
local imports = K.imports

-- --- paths and files ---------------------------------------------------------

local paths = {}
for name in K.marksOf(py.surface_of("LrPathUtils")) and py.surface_of("LrPathUtils"):gmatch("[%a]+") do
    paths[name] = function(...) return py.path(name, ...) end
end
imports.LrPathUtils = K.namespace("LrPathUtils", paths)

-- The iterator keeps a handle open until it has come to its end.
local function entries(kind)
    return function(folder)
        local list = py.entries(kind, folder)
        local handle = py.opened(folder)
        local index = 0
        return function()
            index = index + 1
            if list[index] == nil then py.closed(handle) end
            return list[index]
        end
    end
end

imports.LrFileUtils = K.namespace("LrFileUtils", {
    chooseUniqueFileName = py.unique_name,
    copy = py.copy,
    createAllDirectories = py.make_folders,
    delete = py.delete,
    directoryEntries = entries("all"),
    exists = py.exists,
    fileAttributes = function(path) return py.attributes(path) end,
    files = entries("files"),
    isWritable = py.is_writable,
    move = py.move,
    moveToTrash = py.trash,
    readFile = py.read_file,
    volumeAttributes = function(path) return { fileSystemFreeSize = py.free_bytes(path) } end,
})

K.io = {
    open = function(path, mode)
        if K.dead then error("the host was killed", 0) end
        py.called("io.open")
        if K.dead then error("the host was killed", 0) end
        local real, problem = py.io_path(path, mode or "r")
        if not real then return nil, problem end
        return io.open(real, mode)
    end,
}

-- --- HTTP --------------------------------------------------------------------

local function headersOf(list)
    local out = {}
    for index, header in ipairs(list or {}) do
        if type(header) ~= "table" or type(header.field) ~= "string" or type(header.value) ~= "string" then
            error("headers are a list of { field =, value = }", 3)
        end
        out[index] = { header.field, header.value }
    end
    return out
end

local function exchange(method, url, body, headers, timeout)
    if K.gate and K.gate.task == K.current then error("HTTP inside a gate", 3) end
    local ticket = py.http(method, url, body, headers, timeout or 60)
    K.waitFor(function() return py.http_done(ticket) end)
    local content, status, fields, failure = py.http_result(ticket)
    if failure == "nothing" then return nil, nil end
    if content == nil then return nil, { error = { errorCode = failure, name = failure, nativeCode = -1 } } end
    local answered = { status = status }
    for index = 1, #fields do answered[index] = { field = fields[index][1], value = fields[index][2] } end
    return content, answered
end

imports.LrHttp = K.namespace("LrHttp", {
    get = function(url, headers, timeout)
        if headers ~= nil and type(headers) ~= "table" then error("get's second argument is headers", 2) end
        return exchange("GET", url, nil, headersOf(headers), timeout)
    end,
    post = function(url, body, headers, method, timeout)
        if type(body) ~= "string" then error("this emulator's post takes a string body", 2) end
        return exchange(method or "POST", url, body, headersOf(headers), timeout)
    end,
    openUrlInBrowser = function(url) py.opened_url(url) end,
})

-- --- preferences and passwords -----------------------------------------------

local function copied(value)
    if type(value) ~= "table" then return value end
    local copy = {}
    for key, inner in pairs(value) do copy[key] = copied(inner) end
    return copy
end

-- Nested tables are kept as they were when assigned: changing one in place saves nothing.
local prefs = setmetatable({}, {
    __index = function(_, key) return copied(py.pref(key)) end,
    __newindex = function(_, key, value) py.set_pref(key, copied(value)) end,
})

imports.LrPrefs = K.namespace("LrPrefs", { prefsForPlugin = function() return prefs end })

imports.LrPasswords = K.namespace("LrPasswords", {
    store = function(key, password, salt) py.store_password(key, password, salt or "") end,
    retrieve = function(key, salt) return py.password(key, salt or "") end,
})

-- --- the rest ----------------------------------------------------------------

local function logLine(level)
    return function(state, ...)
        local words = {}
        for index = 1, select("#", ...) do words[index] = tostring(select(index, ...)) end
        if state.enabled then py.log(level, table.concat(words, " ")) end
    end
end

local newLogger = K.class("LrLogger", {
    enable = function(state) state.enabled = true end,
    trace = logLine("trace"), debug = logLine("debug"), info = logLine("info"),
    warn = logLine("warn"), error = logLine("error"),
})
imports.LrLogger = function(name) return newLogger({ name = name }) end

imports.LrDate = K.namespace("LrDate", {
    currentTime = function() return py.now() end,
    timeToUserFormat = function(time, format) return py.date(time, format) end,
    timeToW3CDate = function(time) return py.date(time, "%Y-%m-%dT%H:%M:%S") end,
})

imports.LrLocalization = K.namespace("LrLocalization", { currentLanguage = py.language })

imports.LrShell = K.namespace("LrShell", {
    revealInShell = function(path) py.revealed(path) end,
    openFilesInApp = function(files) py.revealed(files[1]) end,
})

local newPlugin = K.class("LrPlugin", {
    hasResource = function(_, name) return py.has_resource(name) end,
    resourceId = function(_, name) return name end,
}, {
    id = function() return py.plugin_id() end,
    path = function() return py.plugin_path() end,
    enabled = function() return true end,
})
K.plugin = newPlugin({})

imports.LrColor = function(...) return { color = { ... } } end
