--- The only door to the photographer's pictures: reads the selection, adds results, writes what belongs to them.
-- Never changes an original. Every change is a short write gate with nothing else inside: what the gate needs is
-- read before it, and what was made in a gate is read only after it has closed.
-- Yields: call it inside a task, never inside a plain pcall.

local LrApplication = import "LrApplication"
local LrTasks = import "LrTasks"

local Edits = require "Edits"
local Files = require "Files"
local Log = require "Log"
local WriteBack = require "WriteBack"

local LrPathUtils = import "LrPathUtils"

local Catalog = {}

local GATE_SECONDS = 20

local RAW = { "uuid", "path", "isVideo", "isVirtualCopy", "smartPreviewInfo", "croppedDimensions", "fileFormat" }
local EARLIER = { "sourceUuid", "sourceEdits", "parameters" }

local function active()
    return LrApplication.activeCatalog()
end

-- Run `change` with write access.
-- @return true; or nil and a problem.
local function gate(title, change)
    local fine, status = LrTasks.pcall(function()
        return active():withWriteAccessDo(title, change, { timeout = GATE_SECONDS })
    end)
    if fine and status == "executed" then return true end
    if fine then return nil, { code = "catalog_busy", retryable = true } end
    Log.error("a change of the catalog failed:", tostring(status))
    return nil, { code = "import_failed", detail = tostring(status), retryable = true }
end

--- The catalogue's own path: a journal belongs to one catalogue.
function Catalog.path()
    return active():getPath()
end

-- --- reading -----------------------------------------------------------------

--- The selected photos. Nothing selected is no selection, never the whole filmstrip.
function Catalog.selection()
    if not active():getTargetPhoto() then return {} end
    return active():getTargetPhotos()
end

--- The photo of that uuid; nil when it has left the catalogue.
function Catalog.photo(uuid)
    return active():findPhotoByUuid(uuid)
end

--- The uuids of photos, in their order.
function Catalog.uuids(photos)
    local raw, uuids = active():batchGetRawMetadata(photos, { "uuid" }), {}
    for index, photo in ipairs(photos) do uuids[index] = raw[photo].uuid end
    return uuids
end

-- Every earlier result by the uuid of its original.
local function earlierResults()
    local found = {}
    local photos = active():findPhotosWithProperty(_PLUGIN.id, "sourceUuid")
    if #photos == 0 then return found, {} end
    local properties = active():batchGetPropertyForPlugin(photos, _PLUGIN, EARLIER)
    local raw = active():batchGetRawMetadata(photos, { "uuid", "path" })
    local isResult = {}
    for _, photo in ipairs(photos) do
        local kept = properties[photo]
        isResult[raw[photo].uuid] = true
        local list = found[kept.sourceUuid] or {}
        found[kept.sourceUuid] = list
        table.insert(list, {
            uuid = raw[photo].uuid,
            path = raw[photo].path,
            edits = kept.sourceEdits,
            fingerprint = kept.parameters,
        })
    end
    return found, isResult
end

--- What the pre-flight has to know of photos (Preflight.lua lists the facts).
-- @param mine the uuids that no other command works on: { [uuid] = true }.
function Catalog.describe(photos, mine)
    local earlier, isResult = earlierResults()
    local raw = active():batchGetRawMetadata(photos, RAW)
    local formatted = active():batchGetFormattedMetadata(photos, { "fileName", "copyName" })
    local facts = {}
    for index, photo in ipairs(photos) do
        local of, size = raw[photo], raw[photo].croppedDimensions or {}
        local isVideo = of.isVideo or of.fileFormat == "VIDEO"
        facts[index] = {
            photo = photo,
            uuid = of.uuid,
            fileName = formatted[photo].fileName,
            stem = LrPathUtils.removeExtension(formatted[photo].fileName),
            folder = Files.parent(of.path),
            isVideo = isVideo,
            isVirtualCopy = of.isVirtualCopy or false,
            isAvailable = isVideo or photo:checkPhotoAvailability() and true or false,
            hasSmartPreview = next(of.smartPreviewInfo or {}) ~= nil,
            isResult = isResult[of.uuid] or false,
            isUnderWay = not mine[of.uuid],
            megapixels = (size.width or 0) * (size.height or 0) / 1e6,
            edits = isVideo and "" or Edits.fingerprint(photo:getDevelopSettings()),
            earlier = earlier[of.uuid] or {},
        }
    end
    return facts
end

-- Raw and formatted values of a photo by key, as WriteBack.lua compares them.
local function metadataOf(photo)
    local keys = { "colorNameForLabel", "dateTimeOriginal", "dateTimeOriginalISO8601", "keywords" }
    for _, key in ipairs(WriteBack.VALUES) do table.insert(keys, key) end
    local values = active():batchGetRawMetadata({ photo }, keys)[photo]
    for key, text in pairs(active():batchGetFormattedMetadata({ photo }, WriteBack.TEXTS)[photo]) do
        values[key] = text
    end
    return values
end

-- --- writing back ------------------------------------------------------------

--- The first gate: take a result into the catalogue, stacked on its original where the host can.
-- A result that is in the catalogue already is left where it is: this may be called again after a crash.
-- @param stackWith the original's uuid, or nil; only one in the same folder stacks.
-- @param position "above" or "below".
-- @return { uuid =, stacked = boolean }; or nil and a problem.
function Catalog.add(path, stackWith, position)
    local photo = active():findPhotoByPath(path, false)
    if not photo then
        local original = stackWith and Catalog.photo(stackWith)
        if original and Files.parent(original:getRawMetadata("path")) ~= Files.parent(path) then original = nil end
        local fine, problem = gate(LOC "$$$/GPEN/Undo/Add=Add GPEN result", function()
            photo = active():addPhoto(path, original, position)
        end)
        if not fine then return nil, problem end
    end
    return { uuid = photo:getRawMetadata("uuid"), stacked = photo:getRawMetadata("isInStackInFolder") or false }
end

--- The second gate: keywords, metadata, custom fields and the collection of a result.
-- Calling it again changes nothing.
-- @param wish { sourceUuid =, label =, keywords = { names }, collection = name or nil, properties = { id = text },
--   metadata = what the user chose for the export, or nil }
-- @return true; or nil and a problem.
function Catalog.describeResult(uuid, wish)
    local result = Catalog.photo(uuid)
    if not result then return nil, { code = "import_failed" } end
    local source = Catalog.photo(wish.sourceUuid)
    local from, to = source and metadataOf(source) or {}, metadataOf(result)
    local changes = WriteBack.metadata(from, to, wish.label, wish.metadata)
    local properties = WriteBack.properties(wish.properties)
    local keywords = WriteBack.keeps("keywords", wish.metadata) and from.keywords or {}
    return gate(LOC "$$$/GPEN/Undo/Describe=Describe GPEN result", function()
        for _, change in ipairs(changes) do result:setRawMetadata(change.key, change.value) end
        for _, keyword in ipairs(keywords) do result:addKeyword(keyword) end
        for _, name in ipairs(wish.keywords) do
            result:addKeyword(active():createKeyword(name, {}, false, nil, true))
        end
        for id, text in pairs(properties) do result:setPropertyForPlugin(_PLUGIN, id, text) end
        if wish.collection then active():createCollection(wish.collection, nil, true):addPhotos { result } end
    end)
end

--- Whether a file is in the catalogue.
function Catalog.has(path)
    return active():findPhotoByPath(path, false) ~= nil
end

--- Mark an earlier result as rejected, so that *Collect rejected results* finds it.
function Catalog.reject(uuid)
    local photo = Catalog.photo(uuid)
    if not photo then return true end
    return gate(LOC "$$$/GPEN/Undo/Reject=Reject earlier GPEN result", function()
        photo:setPropertyForPlugin(_PLUGIN, "verdict", "rejected")
    end)
end

--- Put every rejected result (by verdict or by flag) into one collection, and nothing else.
-- @return { rejected =, accepted = lists of { jobId = } }; or nil and a problem.
function Catalog.collectRejected(name)
    local photos = active():findPhotosWithProperty(_PLUGIN.id, "sourceUuid")
    local verdicts = { rejected = {}, accepted = {} }
    if #photos == 0 then return verdicts end
    local properties = active():batchGetPropertyForPlugin(photos, _PLUGIN, { "verdict", "jobId" })
    local raw = active():batchGetRawMetadata(photos, { "pickStatus" })
    local rejected = {}
    for _, photo in ipairs(photos) do
        local verdict = properties[photo].verdict
        if raw[photo].pickStatus == -1 then verdict = "rejected" end
        if verdict == "rejected" then table.insert(rejected, photo) end
        if verdicts[verdict] then table.insert(verdicts[verdict], { jobId = properties[photo].jobId }) end
    end
    local collection
    local fine, problem = gate(LOC "$$$/GPEN/Undo/Collect=Collect rejected GPEN results", function()
        collection = active():createCollection(name, nil, true)
        if #rejected > 0 then collection:addPhotos(rejected) end
    end)
    if not fine then return nil, problem end
    local stays, stale = {}, {}
    for _, photo in ipairs(rejected) do stays[photo] = true end
    for _, photo in ipairs(collection:getPhotos()) do
        if not stays[photo] then table.insert(stale, photo) end
    end
    if #stale > 0 then
        fine, problem = gate(LOC "$$$/GPEN/Undo/Collect=Collect rejected GPEN results", function()
            collection:removePhotos(stale)
        end)
        if not fine then return nil, problem end
    end
    return verdicts
end

--- Select photos by uuid: only when the user asked to see them.
function Catalog.reveal(uuids)
    local photos = {}
    for _, uuid in ipairs(uuids) do table.insert(photos, Catalog.photo(uuid)) end
    if #photos > 0 then active():setSelectedPhotos(photos[1], photos) end
end

return Catalog
