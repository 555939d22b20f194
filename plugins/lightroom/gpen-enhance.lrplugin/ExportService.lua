--- The export service: a batch export whose pictures are enhanced on the way; results beside their originals and
-- in the catalogue, or in a folder. Nobody is asked anything while it runs.

local LrDialogs = import "LrDialogs"
local LrView = import "LrView"

local Catalog = require "Catalog"
local Connection = require "Connection"
local Controls = require "Controls"
local DialogModel = require "DialogModel"
local EnhanceCommand = require "EnhanceCommand"
local Files = require "Files"
local Log = require "Log"
local Messages = require "Messages"
local Naming = require "Naming"
local Preflight = require "Preflight"
local Renderer = require "Renderer"
local Report = require "Report"
local Settings = require "Settings"
local Workspace = require "Workspace"

local bind = LrView.bind

local function fields()
    local list = { { key = "serviceFolder", default = "" } }
    for key, field in pairs(Settings.FIELDS) do table.insert(list, { key = key, default = field.default }) end
    table.sort(list, function(one, other) return one.key < other.key end)
    return list
end

local function settingsOf(properties)
    local given = {}
    for key in pairs(Settings.FIELDS) do given[key] = properties[key] end
    local settings = Settings.clamped(given)
    if settings.conflict == "ask" then settings.conflict = "new" end
    return settings
end

-- The host's settings of what is rendered for us. Metadata stays as the user chose, also when the run is resumed.
local function updateExportSettings(export)
    local wanted = Renderer.settings("", settingsOf(export).colorSpace)
    for _, key in ipairs { "LR_format", "LR_export_bitDepth", "LR_export_colorSpace", "LR_tiff_compressionMethod",
        "LR_tiff_preserveTransparency", "LR_enableHDRDisplay", "LR_size_doConstrain", "LR_outputSharpeningOn",
        "LR_useWatermark", "LR_includeVideoFiles", "LR_reimportExportedPhoto" } do
        export[key] = wanted[key]
    end
end

-- --- the dialog --------------------------------------------------------------

local function chooseFolder(properties)
    local chosen = LrDialogs.runOpenPanel {
        title = LOC "$$$/GPEN/Service/Choose=Folder for the results",
        canChooseFiles = false, canChooseDirectories = true, canCreateDirectories = true,
        allowsMultipleSelection = false,
    }
    if chosen then properties.serviceFolder = chosen[1] end
end

local function placeRow(f, properties)
    return f:row {
        f:static_text {
            title = bind {
                key = "serviceFolder",
                transform = function(folder)
                    if folder == "" then return LOC "$$$/GPEN/Service/Beside=Beside the originals" end
                    return folder
                end,
            },
            width_in_chars = 40, truncation = "middle",
        },
        f:push_button { title = LOC "$$$/GPEN/Service/Folder=Folder^.", action = function() chooseFolder(properties) end },
        f:push_button {
            title = LOC "$$$/GPEN/Service/BesideVerb=Beside Originals",
            action = function() properties.serviceFolder = "" end,
        },
    }
end

local function sections(f, properties)
    return {
        {
            title = LOC "$$$/GPEN/Dialog/Restoration=Restoration",
            synopsis = bind { key = "preset", bind_to_object = properties },
            bind_to_object = properties,
            Controls.parameters(f),
            f:static_text { title = bind "bridgeState", width_in_chars = 60, truncation = "end" },
        },
        {
            title = LOC "$$$/GPEN/Dialog/File=Result",
            bind_to_object = properties,
            placeRow(f, properties),
            Controls.file(f),
            Controls.catalog(f),
        },
    }
end

-- --- the export --------------------------------------------------------------

local function photosOf(session)
    local photos = {}
    for photo in session:photosToExport() do table.insert(photos, photo) end
    return photos
end

-- What can be enhanced; the rest leaves the session before its first render.
local function accept(context, exportContext, settings, root, folder)
    local photos = photosOf(exportContext.exportSession)
    local facts = Catalog.describe(photos, Workspace.claim(context, Catalog.uuids(photos)))
    local report = EnhanceCommand.examine(facts, settings, root, folder)
    for _, line in ipairs(Report.space(report)) do
        Log.warn(line)
        LrDialogs.showBezel(line)
    end
    local items, left = Preflight.decide(report, {
        conflict = settings.conflict,
        smartPreviews = false,
        fallbackFolder = folder or Files.fallbackFolder(settings.fallbackFolder),
    })
    for _, one in ipairs(left) do exportContext.exportSession:removePhoto(one.fact.photo) end
    if folder then
        for _, item in ipairs(items) do item.folder, item.stacks = folder, false end
    end
    return items, left
end

-- The host's file of an item, taken over into its work folder.
local function take(rendition, item)
    local path, problem = Renderer.waitFor(rendition)
    if not path then
        rendition:uploadFailed(Messages.sentence(problem))
        return nil, problem
    end
    if not Files.makeFolder(item.work) then return nil, { code = "disk_full" } end
    local taken = Files.child(item.work, Naming.legal(Files.leaf(path)))
    local placed, whyNot = Files.place(path, taken)
    if not placed then return nil, whyNot end
    return taken
end

-- The host renders in its own order, each photo once, and into its own folder, which it deletes at the end: each file
-- is taken over as soon as it is there. On the export's own task: a rendition is not passed to another one.
local function fromHost(exportContext, isCanceled, items)
    local step, state, at = exportContext:renditions { stopIfCanceled = false }
    local byPhoto, tickets = {}, {}
    for _, item in ipairs(items) do byPhoto[item.uuid] = item end
    -- Go on to the next file, whosever it is; false when there is none.
    local function takeNext()
        local rendition
        at, rendition = step(state, at)
        if not rendition then return false end
        local item = byPhoto[rendition.photo:getRawMetadata("uuid")]
        if item then
            local path, problem = take(rendition, item)
            tickets[item] = { finished = true, rendered = true, path = path, problem = problem }
        end
        return true
    end
    return function(item, wrong)
        if wrong then
            tickets[item].path, tickets[item].problem = nil, wrong
            return tickets[item]
        end
        while not tickets[item] and not isCanceled() and takeNext() do end
        tickets[item] = tickets[item] or { finished = true, rendered = true, problem = { code = "render_skipped" } }
        return tickets[item]
    end
end

local function process(context, exportContext)
    local settings = settingsOf(exportContext.propertyTable)
    local folder = exportContext.propertyTable.serviceFolder
    if folder == "" then folder = nil end
    local progress = exportContext:configureProgress { title = LOC "$$$/GPEN/Name=GPEN Enhance" }
    local function isCanceled() return progress:isCanceled() end
    local bridge, problem = Connection.open(isCanceled)
    if not bridge then return EnhanceCommand.refuse(problem) end
    local accepted, left = accept(context, exportContext, settings, Workspace.root(bridge:endpoint()), folder)
    local outcomes = { done = {}, failed = {}, pending = {}, cancelled = {} }
    if #accepted > 0 then
        outcomes, problem = EnhanceCommand.execute {
            context = context, bridge = bridge, settings = settings, accepted = accepted, progress = progress,
            metadata = Renderer.metadataOf(exportContext.propertyTable),
            rendersOf = function(_, items) return fromHost(exportContext, isCanceled, items) end,
        }
        if not outcomes then return EnhanceCommand.refuse(problem) end
    end
    EnhanceCommand.summarise(outcomes, left)
end

return {
    exportPresetFields = fields(),
    hideSections = {
        "exportLocation", "fileNaming", "fileSettings", "imageSettings", "outputSharpening", "video", "watermarking",
    },
    allowFileFormats = { "TIFF" },
    canExportVideo = false,
    startDialog = function(properties)
        properties.gpenModel = DialogModel.attach(properties, settingsOf(properties))
        properties.gpenModel:refresh(false)
    end,
    endDialog = function(properties)
        if properties.gpenModel then properties.gpenModel:close() end
    end,
    sectionsForTopOfDialog = sections,
    updateExportSettings = updateExportSettings,
    processRenderedPhotos = process,
}
