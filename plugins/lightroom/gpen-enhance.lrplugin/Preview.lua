--- Before and after of the first photo's largest face, while the dialog is open.
-- The photo is rendered once; then only the crop travels, and only when the sliders rest.
-- Yields in tasks of its own; the dialog's properties are all that it shares: previewBefore, previewAfter (paths of
-- pictures) and previewState (a sentence).

local LrTasks = import "LrTasks"

local Crop = require "Crop"
local Files = require "Files"
local Json = require "Json"
local Log = require "Log"
local Messages = require "Messages"
local Protocol = require "Protocol"
local Renderer = require "Renderer"
local Settings = require "Settings"
local Tasks = require "Tasks"
local Workspace = require "Workspace"

local Preview = {}
Preview.__index = Preview

local REST_SECONDS = 0.4
local LONGEST_SIDE = 2560
local LEAST_CROP = 320
local NOTHING = { strength = 0, denoise = 0, sharpen = 0 }

--- The settings that the picture depends on; a change of any other refreshes nothing.
Preview.KEYS = { "strength", "denoise", "sharpen", "mode", "checkpoint" }

--- Begin to show previews.
-- @param options { context = the dialog's, photo =, bridge = function() -> bridge or nil, problem, properties =,
--   settings = function() }
function Preview.begin(options)
    local id = Workspace.newRunId()
    Workspace.keepUnderWay(options.context, id)
    local preview = setmetatable({
        options = options,
        folder = Workspace.previewFolder(id),
        wanted = 1,
        shown = 0,
        pictures = 0,
    }, Preview)
    preview.work = Tasks.begin("GPEN Enhance: preview", function() preview:loop() end)
    return preview
end

--- A slider moved: show again when it rests.
function Preview:changed()
    self.wanted = self.wanted + 1
end

--- The dialog has closed: what is under way is cancelled, and the files go.
function Preview:close()
    if self.isClosed then return end
    self.isClosed = true
    if self.requestId and self.bridge then
        Tasks.begin("GPEN Enhance: end the preview", function() self.bridge:cancelRequest(self.requestId) end)
    end
    local work, folder = self.work, self.folder
    Tasks.begin("GPEN Enhance: clear the preview up", function()
        while not work.finished do LrTasks.sleep(0.1) end
        Files.removeTree(folder)
    end)
end

function Preview:tell(sentence)
    if not self.isClosed then self.options.properties.previewState = sentence end
end

function Preview:loop()
    local fine, problem = self:prepare()
    if not fine then
        Log.warn("no preview:", problem.code, problem.detail or "")
        return self:tell(Messages.sentence(problem))
    end
    while not self.isClosed do
        local wanted = self.wanted
        if wanted ~= self.shown then
            LrTasks.sleep(REST_SECONDS)
            if wanted == self.wanted and not self.isClosed then self:refresh(wanted) end
        else
            LrTasks.sleep(0.1)
        end
    end
end

-- Render the photo, find its largest face, and cut it out. Fills in crop and face.
function Preview:prepare()
    self:tell(LOC "$$$/GPEN/Preview/Rendering=Rendering the first photo^.")
    local problem
    self.bridge, problem = self.options.bridge()
    if not self.bridge then return nil, problem end
    local ticket = Renderer.begin(self.options.photo, Renderer.previewSettings(self.folder, LONGEST_SIDE))
    while not ticket.finished do
        if self.isClosed then
            ticket.isGivenUp = true -- it may end after the folder was cleared up
            return nil, { code = "cancelled" }
        end
        LrTasks.sleep(0.1)
    end
    local path
    path, problem = Renderer.outcome(ticket)
    if not path then return nil, problem end
    self:tell(LOC "$$$/GPEN/Preview/Looking=Looking for faces^.")
    local bytes = Files.read(path)
    local found
    found, problem = self.bridge:faces(bytes)
    if not found then return nil, problem end
    local frame
    frame, problem = self.bridge:enhancePixels(bytes, { params = NOTHING, output = { format = "frame" } })
    if not frame then return nil, problem end
    return self:cutOut(frame, found.faces[1])
end

function Preview:cutOut(frame, face)
    local image = Protocol.payload(frame, "image")
    if not image or image.depth ~= "u8" or image.channels ~= 3 then return nil, { code = "pixels_unsupported" } end
    -- Without a face the middle of the picture shows at least denoise and sharpen.
    local box = face and face.box or { image.width * 0.35, image.height * 0.35, image.width * 0.65, image.height * 0.65 }
    local left, top, width, height = Crop.around(box, image.width, image.height, LEAST_CROP)
    local pixels = Crop.cut(image.content, image.width, left, top, width, height)
    self.crop = Crop.tiff(pixels, width, height)
    self.faces = Json.array { face and Crop.moved(face, left, top) }
    self.hasFace = face ~= nil
    local before, problem = self:picture(NOTHING)
    if not before then return nil, problem end
    if not self.isClosed then self.options.properties.previewBefore = before end
    return true
end

-- The crop with these parameters as a picture on disk. The name alternates: hosts keep an overwritten one in memory.
function Preview:picture(parameters)
    self.requestId = Preview.uuid()
    local bytes, problem = self.bridge:enhanceFile(self.crop, {
        params = parameters,
        faces = self.faces,
        output = { format = "jpeg", quality = 95 },
    }, self.requestId)
    self.requestId = nil
    if not bytes then return nil, problem end
    self.pictures = self.pictures + 1
    local path = Files.child(self.folder, "preview-" .. self.pictures .. ".jpg")
    local written, why = Files.write(path, bytes)
    if not written then return nil, why end
    return path
end

function Preview:refresh(wanted)
    self.shown = wanted
    self:tell(LOC "$$$/GPEN/Preview/Working=Enhancing^.")
    local parameters = Settings.parameters(self.options.settings())
    parameters.select = nil
    local path, problem = self:picture(parameters)
    if not path then return self:tell(Messages.sentence(problem)) end
    if self.isClosed then return end
    local before = self.options.properties.previewAfter
    self.options.properties.previewAfter = path
    if before then Files.delete(before) end
    self:tell(self.hasFace and LOC "$$$/GPEN/Preview/Face=The largest face of the first photo"
        or LOC "$$$/GPEN/Preview/NoFace=No face was found in the first photo")
end

--- A random UUID (version 4) for a request.
function Preview.uuid()
    local digits = ("xxxxxxxx-xxxx-4xxx-8xxx-xxxxxxxxxxxx"):gsub("x", function()
        return string.format("%x", math.random(0, 15))
    end)
    return digits
end

return Preview
