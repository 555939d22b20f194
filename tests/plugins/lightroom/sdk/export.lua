-- Renders: sessions of the plug-in's own, the export service and the post-process action.

local py, K, surface = ...
local imports = K.imports

local EXTENSIONS = { TIFF = "tif", JPEG = "jpg", PSD = "psd", DNG = "dng", PNG = "png", AVIF = "avif" }

local function checked(settings)
    local copy = {}
    for key, value in pairs(settings) do
        if type(key) == "string" and key:find("^LR_") and not surface.export_keys[key] then
            error("unknown export setting " .. key, 3)
        end
        copy[key] = value
    end
    if copy.LR_jpeg_quality and (copy.LR_jpeg_quality < 0 or copy.LR_jpeg_quality > 1) then
        error("LR_jpeg_quality is a fraction", 3)
    end
    if copy.LR_export_bitDepth and type(copy.LR_export_bitDepth) ~= "number" then
        error("LR_export_bitDepth is a number", 3)
    end
    return copy
end

local newRendition = K.class("LrExportRendition", {
    skipRender = function(state)
        if state.begun then error("skipRender after the loop began", 2) end
        state.skipped = true
    end,
    uploadFailed = function(state, message) state.failure = message; py.rendition_failed(state.photo, message) end,
    renditionIsDone = function(state, success, message)
        state.settled, state.success = true, success
        if not success then py.rendition_failed(state.photo, message or "") end
    end,
    waitForRender = function(state)
        if state.skipped then return true end
        if state.result then return unpack(state.result) end
        local lag, outcome = py.render_plan(state.photo)
        K.sleep(lag)
        if K.dead then error("the host was killed", 0) end
        if outcome == "skip" then
            state.skipped = true
            state.result = { true }
        elseif outcome ~= "ok" and outcome ~= "late" and outcome ~= "empty" then
            state.result = { false, outcome }
        else
            local path, problem = py.render(state.photo, state.settings, state.path, outcome)
            if not path then
                state.result = { false, problem }
            else
                if outcome == "late" then
                    K.spawn("the host's writer", function() K.sleep(0.4); py.render_rest(path) end)
                end
                state.result = { true, path }
            end
        end
        return unpack(state.result)
    end,
}, {
    destinationPath = function(state) return state.path end,
    photo = function(state) return K.object("photo", state.photo) end,
    wasSkipped = function(state) return state.skipped or false end,
})

local function iterate(states)
    local index = 0
    for _, state in ipairs(states) do
        if not state.made then state.made = newRendition(state) end
    end
    return function()
        index = index + 1
        local state = states[index]
        if not state then return nil end
        state.begun = true
        return index, state.made
    end
end

local function renditionStates(photos, settings)
    local states = {}
    for index, photo in ipairs(photos) do
        local id = K.state(photo, "a photo").id
        local extension = EXTENSIONS[settings.LR_format] or error("LR_format " .. tostring(settings.LR_format), 3)
        states[index] = { photo = id, settings = settings, path = py.destination(id, settings, extension) }
    end
    return states
end

local newSession = K.class("LrExportSession", {
    countRenditions = function(state) return #state.photos end,
    photosToExport = function(state)
        local index = 0
        return function() index = index + 1; return state.photos[index] end
    end,
    removePhoto = function(state, photo)
        for index = #state.photos, 1, -1 do
            if state.photos[index] == photo then table.remove(state.photos, index) end
        end
    end,
    renditions = function(state, arguments)
        if arguments and arguments.stopIfCanceled and not arguments.progressScope then
            error("stopIfCanceled is ignored without progressScope", 2)
        end
        state.states = state.states or renditionStates(state.photos, state.settings)
        return iterate(state.states)
    end,
})

imports.LrExportSession = function(arguments)
    py.called("LrExportSession")
    if K.dead then error("the host was killed", 0) end
    if not K.current then error("LrExportSession outside a task", 2) end
    if K.gate and K.gate.task == K.current then error("an export inside a gate", 2) end
    return newSession({ photos = arguments.photosToExport, settings = checked(arguments.exportSettings) })
end

-- --- export service ----------------------------------------------------------

local function backwards(list)
    local out = {}
    for index = #list, 1, -1 do table.insert(out, list[index]) end
    return out
end

local newExportContext = K.class("LrExportContext", {
    configureProgress = function(state, arguments)
        state.progress = K.newProgress(arguments.title, state.functionContext)
        return state.progress
    end,
    renditions = function(state)
        local states = renditionStates(K.state(state.session, "a session").photos, state.settings)
        return iterate(py.renders_backwards() and backwards(states) or states)
    end,
}, {
    exportSession = function(state) return state.session end,
    propertyTable = function(state) return state.settings end,
})

local function copiedList(photos)
    local list = {}
    for index, photo in ipairs(photos) do list[index] = photo end
    return list
end

-- Export `photos` through an export service: renders go to a folder that the host deletes afterwards.
function K.runService(provider, photos, settings)
    K.spawn("export", function()
        K.withContext("export", function(context)
            if provider.updateExportSettings then provider.updateExportSettings(settings) end
            local session = newSession({ photos = copiedList(photos), settings = checked(settings) })
            settings.LR_export_destinationPathPrefix = py.host_temp()
            provider.processRenderedPhotos(context, newExportContext({
                session = session, settings = settings, functionContext = context,
            }))
        end)
        py.drop_host_temp()
    end)
end

-- --- post-process action -----------------------------------------------------

local newFilterContext = K.class("LrFilterContext", {
    renditions = function(state, arguments)
        local index = 0
        local adjust = arguments and arguments.filterSettings
        return function()
            index = index + 1
            local wanted = state.states[index]
            if not wanted then return nil end
            local settings = {}
            for key, value in pairs(wanted.settings) do settings[key] = value end
            local path = adjust and adjust(wanted.made, settings) or wanted.path
            local source = { photo = wanted.photo, settings = checked(settings), path = path }
            return newRendition(source), wanted.made
        end
    end,
}, {
    propertyTable = function(state) return state.settings end,
    renditionsToSatisfy = function(state)
        local list = {}
        for index, one in ipairs(state.states) do list[index] = one.made end
        return list
    end,
})

-- Export `photos` as files through a post-process action; tells per photo what the host then has.
function K.runFilter(provider, photos, settings, tell)
    K.spawn("export", function()
        local states = renditionStates(photos, checked(settings))
        for _, state in ipairs(states) do state.made = newRendition(state) end
        K.withContext("export", function(context)
            provider.postProcessRenderedPhotos(context, newFilterContext({ states = states, settings = settings }))
        end)
        for _, state in ipairs(states) do tell(state.path, not (state.settled and not state.success)) end
    end)
end
