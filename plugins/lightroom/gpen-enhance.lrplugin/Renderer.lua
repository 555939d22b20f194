--- Photo -> rendered file, in the background. Owns the settings of our own export sessions.
-- A render cannot be stopped, only given up: then its files go as soon as the host is done with them.

local LrExportSession = import "LrExportSession"
local LrTasks = import "LrTasks"

local Files = require "Files"
local Naming = require "Naming"
local Tasks = require "Tasks"

local Renderer = {}

local SETTLE_SECONDS = 0.25
local SETTLE_LOOKS = 3
local SETTLE_PATIENCE = 40

-- What an export's user may decide of the metadata in the file.
local METADATA = {
    "LR_embeddedMetadataOption", "LR_minimizeEmbeddedMetadata", "LR_metadata_keywordOptions",
    "LR_removeLocationMetadata", "LR_removeFaceMetadata",
}

--- What the settings of an export say of metadata: plain data, for `settings`.
function Renderer.metadataOf(export)
    local metadata = {}
    for _, key in ipairs(METADATA) do metadata[key] = export[key] end
    return metadata
end

--- The export settings of a 16-bit intermediate. A whitelist: nothing of the user's last export comes in.
-- @param colorSpace the host's name of the colour space.
-- @param metadata as `metadataOf` gives it, or nil: all of it is kept.
function Renderer.settings(folder, colorSpace, metadata)
    local settings = {
        LR_format = "TIFF",
        LR_export_bitDepth = 16,
        LR_export_colorSpace = colorSpace,
        LR_tiff_compressionMethod = "compressionMethod_None",
        LR_tiff_preserveTransparency = false,
        LR_enableHDRDisplay = false,
        LR_size_doConstrain = false,
        LR_outputSharpeningOn = false,
        LR_useWatermark = false,
        LR_embeddedMetadataOption = "all",
        LR_minimizeEmbeddedMetadata = false,
        LR_metadata_keywordOptions = "lightroomHierarchical",
        LR_removeLocationMetadata = false,
        LR_includeVideoFiles = false,
        LR_reimportExportedPhoto = false,
        LR_export_destinationType = "specificFolder",
        LR_export_destinationPathPrefix = folder,
        LR_export_useSubfolder = false,
        LR_collisionHandling = "rename",
        LR_renamingTokensOn = false,
    }
    for key, value in pairs(metadata or {}) do settings[key] = value end
    return settings
end

--- The same for a look: 8 bit, and no side longer than `longest` pixels.
function Renderer.previewSettings(folder, longest)
    local settings = Renderer.settings(folder, "sRGB")
    settings.LR_export_bitDepth = 8
    settings.LR_size_doConstrain = true
    settings.LR_size_doNotEnlarge = true
    settings.LR_size_resizeType = "longEdge"
    settings.LR_size_maxWidth = longest
    settings.LR_size_maxHeight = longest
    settings.LR_size_units = "pixels"
    return settings
end

--- Wait until a file that the host calls finished has stopped growing.
-- @return true; or nil and a problem.
function Renderer.settle(path)
    local size, same = -1, 0
    for _ = 1, SETTLE_PATIENCE do
        local now = Files.size(path)
        if now and now > 8 and now == size then same = same + 1 else same = 0 end
        if same >= SETTLE_LOOKS - 1 then return true end
        size = now or -1
        LrTasks.sleep(SETTLE_SECONDS)
    end
    return nil, { code = "render_empty" }
end

--- Wait for one rendition of whatever session.
-- @return its path; or nil and a problem.
function Renderer.waitFor(rendition)
    if rendition.wasSkipped then return nil, { code = "render_skipped" } end
    local rendered, pathOrMessage = rendition:waitForRender()
    if rendition.wasSkipped then return nil, { code = "render_skipped" } end
    if not rendered then return nil, { code = "render_failed", detail = pathOrMessage } end
    local settled, problem = Renderer.settle(pathOrMessage)
    if not settled then return nil, problem end
    return pathOrMessage
end

-- The bridge takes names that every system takes.
local function legallyNamed(path)
    local name = Files.leaf(path)
    local legal = Naming.legal(name)
    if legal == name then return path end
    local renamed = Files.child(Files.parent(path), legal)
    local fine, problem = Files.place(path, renamed)
    if not fine then return nil, problem end
    return renamed
end

local function render(photo, settings)
    if not Files.makeFolder(settings.LR_export_destinationPathPrefix) then return nil, { code = "disk_full" } end
    local session = LrExportSession { photosToExport = { photo }, exportSettings = settings }
    local path, problem = nil, { code = "render_failed" }
    for _, rendition in session:renditions {} do
        path, problem = Renderer.waitFor(rendition)
    end
    if not path then return nil, problem end
    return legallyNamed(path)
end

--- Begin to render a photo.
-- @return a ticket: finished, path or problem.
function Renderer.begin(photo, settings)
    local ticket = {}
    local work = Tasks.begin("GPEN Enhance: render", function()
        ticket.path, ticket.problem = render(photo, settings)
        ticket.rendered = true
        if ticket.isGivenUp then
            local folder = settings.LR_export_destinationPathPrefix
            Files.removeTree(folder)
            Files.removeIfEmpty(Files.parent(folder))
        end
    end)
    return setmetatable(ticket, { __index = function(_, key)
        if key == "finished" then return work.finished end
        if key == "failure" then return work.failure end
        return nil
    end })
end

--- What a finished render came to: its path; or nil and a problem.
function Renderer.outcome(ticket)
    if ticket.path then return ticket.path end
    return nil, ticket.problem or { code = "render_failed", detail = ticket.failure and tostring(ticket.failure) }
end

return Renderer
