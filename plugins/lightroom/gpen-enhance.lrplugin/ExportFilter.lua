--- The post-process action: any export of files, enhanced on its way. What the host asked for is what it gets:
-- a file of that format at that path, or a failure that says why.

local LrProgressScope = import "LrProgressScope"
local LrView = import "LrView"

local Connection = require "Connection"
local Controls = require "Controls"
local DialogModel = require "DialogModel"
local Enhancement = require "Enhancement"
local Files = require "Files"
local Log = require "Log"
local Messages = require "Messages"
local Renderer = require "Renderer"
local Settings = require "Settings"
local Workspace = require "Workspace"

local FIELDS = { "preset", "strength", "denoise", "sharpen", "mode", "faces", "checkpoint" }

local REFUSAL = LOC "$$$/GPEN/Filter/Refusal=GPEN Enhance can write JPEG, TIFF and PNG, without a limit of the file size."

local function presetFields()
    local fields = {}
    for index, key in ipairs(FIELDS) do fields[index] = { key = key, default = Settings.FIELDS[key].default } end
    return fields
end

-- The bridge's output for the host's export settings; nil for a form that the bridge cannot write.
local function outputFor(export)
    if export.LR_format == "JPEG" and not export.LR_jpeg_useLimitSize then
        return { format = "jpeg", depth = 8, quality = math.floor((export.LR_jpeg_quality or 0.9) * 100 + 0.5) }
    elseif export.LR_format == "TIFF" or export.LR_format == "PNG" then
        return { format = export.LR_format:lower(), depth = export.LR_export_bitDepth == 16 and 16 or 8 }
    end
    return nil
end

-- What is rendered for us instead: the whole depth, with no loss; everything else stays as the user set it.
local function asIntermediate(settings, folder)
    settings.LR_format = "TIFF"
    settings.LR_export_bitDepth = 16
    settings.LR_tiff_compressionMethod = "compressionMethod_None"
    settings.LR_export_destinationPathPrefix = folder
end

-- One picture of the export. A trouble that did not pass while one was waited for is not waited for again.
local function satisfy(work, item, source, wanted)
    if work.isCanceled() then return nil, { code = "cancelled" } end
    if work.stopped then return nil, work.stopped end
    local path, problem = Renderer.waitFor(source)
    if not path then return nil, problem end
    item.rendered = path
    item.uuid = source.photo:getRawMetadata("uuid")
    local enhanced, whyNot = Enhancement.one(work.bridge, work.run, item, work.isCanceled)
    if not enhanced then
        if whyNot.retryable then work.stopped = whyNot end
        return nil, whyNot
    end
    Files.delete(wanted.destinationPath)
    return Files.place(enhanced, wanted.destinationPath)
end

local function refuseAll(filterContext, problem)
    Log.error("export not enhanced:", problem.code, problem.detail or "")
    for _, rendition in ipairs(filterContext.renditionsToSatisfy) do
        rendition:renditionIsDone(false, Messages.sentence(problem))
    end
end

local function postProcess(context, filterContext)
    local export = filterContext.propertyTable
    local output = outputFor(export)
    if not output then return refuseAll(filterContext, { code = "export_format", title = REFUSAL }) end
    local progress = LrProgressScope { title = LOC "$$$/GPEN/Name=GPEN Enhance", functionContext = context }
    progress:setCaption(LOC "$$$/GPEN/Progress/Bridge=Looking for the bridge")
    local function isCanceled() return progress:isCanceled() end
    local bridge, problem = Connection.open(isCanceled)
    if not bridge then return refuseAll(filterContext, problem) end
    local total = #filterContext.renditionsToSatisfy
    local run = Enhancement.run(bridge, Settings.clamped(export), output, total)
    Workspace.keepUnderWay(context, run.id)
    context:addCleanupHandler(function() Files.removeTree(Workspace.runFolder(run.root, run.id)) end)
    local index, item = 0, nil
    local renditions = filterContext:renditions {
        filterSettings = function(wanted, settings)
            index = index + 1
            item = Enhancement.item(run, index, Files.leaf(wanted.destinationPath))
            Files.makeFolder(item.work)
            asIntermediate(settings, item.work)
            return Files.child(item.work, "rendered.tif")
        end,
    }
    local work = { bridge = bridge, run = run, isCanceled = isCanceled }
    -- To the very end, also after a cancel: the host is told of each.
    for source, wanted in renditions do
        progress:setPortionComplete(index - 1, total)
        progress:setCaption(LOC("$$$/GPEN/Progress/Counts=^1 of ^2", index - 1, total))
        local fine, whyNot = satisfy(work, item, source, wanted)
        if fine then
            wanted:renditionIsDone(true)
        else
            Log.warn(item.fileName, whyNot.code, whyNot.detail or "")
            wanted:renditionIsDone(false, Messages.full(whyNot))
        end
        Files.removeTree(item.work)
    end
end

-- While the chosen format is one that cannot be done, the Export button says why.
local function watchFormat(properties)
    local function check()
        properties.LR_cantExportBecause = not outputFor(properties) and REFUSAL or nil
    end
    for _, key in ipairs { "LR_format", "LR_jpeg_useLimitSize" } do properties:addObserver(key, check) end
    check()
end

return {
    exportPresetFields = presetFields(),
    startDialog = function(properties)
        local given = {}
        for _, key in ipairs(FIELDS) do given[key] = Settings.clamp(key, properties[key]) end
        properties.gpenModel = DialogModel.attach(properties, given)
        properties.gpenModel:refresh(false)
        watchFormat(properties)
    end,
    endDialog = function(properties)
        if properties.gpenModel then properties.gpenModel:close() end
    end,
    sectionForFilterInDialog = function(f, properties)
        return {
            title = LOC "$$$/GPEN/Filter/Title=GPEN Enhance",
            synopsis = LrView.bind { key = "preset", bind_to_object = properties },
            bind_to_object = properties,
            Controls.parameters(f),
            f:static_text { title = LrView.bind "bridgeState", width_in_chars = 60, truncation = "end" },
        }
    end,
    postProcessRenderedPhotos = postProcess,
}
