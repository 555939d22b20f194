-- The catalog as the plug-in sees it: photos, keywords, collections and the gates in front of them.
-- The data lies in Python (catalog.py), so that it outlives a killed host.

local py, K, surface = ...

local cache = { photo = {}, keyword = {}, collection = {} }
local makers = {}
local catalog

-- The one object of an id, so that objects can be keys and compared.
local function object(kind, id)
    if id == nil then return nil end
    local found = cache[kind][id]
    if not found then
        found = makers[kind]({ id = id, kind = kind })
        cache[kind][id] = found
    end
    return found
end
K.object = object

local function readable(state)
    if py.born_in_gate(state.id) then
        error("an object that was made in this gate cannot be read before it closes", 3)
    end
    if not py.is_there(state.kind, state.id) then error("the " .. state.kind .. " is gone", 3) end
end

local function value(key, raw)
    if key == "keywords" then
        local list = {}
        for index = 1, #raw do list[index] = object("keyword", raw[index]) end
        return list
    elseif key == "masterPhoto" then
        return object("photo", raw)
    end
    return raw
end

local function known(keys, key, what)
    if not keys[key] then error("Unknown key: " .. what .. " " .. tostring(key), 3) end
end

local function rawOf(state, key)
    known(surface.raw, key, "raw")
    return value(key, py.raw(state.id, key))
end

local function formattedOf(state, key)
    known(surface.formatted, key, "formatted")
    return py.formatted(state.id, key)
end

makers.photo = K.class("LrPhoto", {
    addKeyword = function(state, keyword) py.add_keyword(state.id, K.state(keyword, "a keyword").id) end,
    checkPhotoAvailability = function(state) readable(state); return py.available(state.id) end,
    getDevelopSettings = function(state) readable(state); return py.develop(state.id) end,
    getFormattedMetadata = function(state, key) readable(state); return formattedOf(state, key) end,
    getRawMetadata = function(state, key) readable(state); return rawOf(state, key) end,
    getPropertyForPlugin = function(state, plugin, field)
        readable(state)
        return py.property(state.id, type(plugin) == "string" and plugin or plugin.id, field)
    end,
    setPropertyForPlugin = function(state, plugin, field, content)
        if plugin ~= K.plugin then error("setPropertyForPlugin takes _PLUGIN", 2) end
        local problem = py.set_property(state.id, field, content)
        if problem then error(problem, 2) end
    end,
    setRawMetadata = function(state, key, content)
        known(surface.writable, key, "writable")
        local problem = py.set_raw(state.id, key, content)
        if problem then error(problem, 2) end
    end,
}, {
    catalog = function() return catalog end,
    localIdentifier = function(state) return state.id end,
})

makers.keyword = K.class("LrKeyword", {
    getName = function(state) readable(state); return py.keyword_name(state.id) end,
}, { localIdentifier = function(state) return state.id end })

local function idsOf(photos)
    local ids = {}
    for index, photo in ipairs(photos) do ids[index] = K.state(photo, "a photo").id end
    return ids
end

local function photosOf(ids)
    local photos = {}
    for index = 1, #ids do photos[index] = object("photo", ids[index]) end
    return photos
end

makers.collection = K.class("LrCollection", {
    addPhotos = function(state, photos)
        if py.collection_is_smart(state.id) then error("addPhotos on a smart collection", 2) end
        py.collection_add(state.id, idsOf(photos))
    end,
    getName = function(state) readable(state); return py.collection_name(state.id) end,
    getPhotos = function(state) readable(state); return photosOf(py.collection_photos(state.id)) end,
    isSmartCollection = function(state) readable(state); return py.collection_is_smart(state.id) end,
    removeAllPhotos = function(state) py.collection_set(state.id, {}) end,
    removePhotos = function(state, photos) py.collection_remove(state.id, idsOf(photos)) end,
}, { localIdentifier = function(state) return state.id end })

-- --- gates -------------------------------------------------------------------

-- Gates are exclusive and never nested; an error inside undoes everything.
local function gate(kind, f, options)
    if K.gate and K.gate.task == K.current then error("a gate inside a gate", 3) end
    if K.gate or py.gate_blocked() then
        if not options then
            error("could not execute action: blocked by another write access call, and no timeout parameters were provided", 3)
        end
        local limit = py.now() + (options.timeout or error("timeoutParams need a timeout", 3))
        while K.gate or py.gate_blocked() do
            if py.now() >= limit then return "aborted" end
            K.sleep(0.05)
            if K.dead then error("the host was killed", 0) end
        end
    end
    K.gate = { kind = kind, task = K.current }
    py.gate_open(kind)
    local fine, why = K.pcall(f, {})
    K.gate = nil
    -- A killed host leaves its open gate behind: the database undoes it at the next start.
    local committed = fine and not K.dead
    py.gate_close(committed)
    if not fine then error(why, 0) end
    return "executed"
end

-- --- the catalog -------------------------------------------------------------

local function batch(photos, keys, reader)
    local out = {}
    for _, photo in ipairs(photos) do
        local state = K.state(photo, "a photo")
        readable(state)
        local values = {}
        for _, key in ipairs(keys) do values[key] = reader(state, key) end
        out[photo] = values
    end
    return out
end

local newCatalog = K.class("LrCatalog", {
    addPhoto = function(_, path, stackWith, position)
        local id, problem = py.add_photo(path, stackWith and K.state(stackWith, "a photo").id, position or "below")
        if not id then error(problem, 2) end
        return object("photo", id)
    end,
    batchGetRawMetadata = function(_, photos, keys) return batch(photos, keys, rawOf) end,
    batchGetFormattedMetadata = function(_, photos, keys) return batch(photos, keys, formattedOf) end,
    batchGetPropertyForPlugin = function(_, photos, plugin, fields)
        return batch(photos, fields, function(state, field)
            return py.property(state.id, type(plugin) == "string" and plugin or plugin.id, field)
        end)
    end,
    createCollection = function(_, name, _, returnPrior)
        local id, prior = py.create_collection(name)
        if prior and not returnPrior then return nil end
        return object("collection", id)
    end,
    createKeyword = function(_, name, synonyms, _, parent, returnExisting)
        if type(synonyms) ~= "table" then error("createKeyword needs a table of synonyms", 2) end
        local id, existed = py.create_keyword(name, parent and K.state(parent, "a keyword").id)
        if existed and not returnExisting then return false end
        return object("keyword", id)
    end,
    findPhotoByPath = function(_, path, caseSensitive) return object("photo", py.find_path(path, caseSensitive)) end,
    findPhotoByUuid = function(_, uuid) return object("photo", py.find_uuid(uuid)) end,
    findPhotosWithProperty = function(_, plugin, field)
        if type(plugin) ~= "string" then error("findPhotosWithProperty takes the plug-in's id", 2) end
        return photosOf(py.find_property(plugin, field))
    end,
    getChildCollections = function()
        local list = {}
        local ids = py.collections()
        for index = 1, #ids do list[index] = object("collection", ids[index]) end
        return list
    end,
    getPath = function() return py.catalog_path() end,
    getTargetPhoto = function() return object("photo", py.active_photo()) end,
    getTargetPhotos = function() return photosOf(py.target_photos()) end,
    setSelectedPhotos = function(_, active, others)
        py.select(K.state(active, "a photo").id, idsOf(others))
    end,
    withWriteAccessDo = function(_, name, f, options)
        if type(name) ~= "string" then error("withWriteAccessDo needs a name for the undo step", 2) end
        return gate("write", f, options)
    end,
    withPrivateWriteAccessDo = function(_, f, options)
        if type(f) ~= "function" then error("withPrivateWriteAccessDo takes the function first", 2) end
        return gate("private", f, options)
    end,
}, { hasWriteAccess = function() return K.gate ~= nil end })

catalog = newCatalog({})
K.catalog = catalog
K.imports.LrApplication = K.namespace("LrApplication", {
    activeCatalog = function() return catalog end,
    versionString = function() return "15.3 (emulated)" end,
})
