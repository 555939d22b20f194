--- What is on its way, on disk: after a crash of Lightroom or the bridge a run goes on from here.
-- One folder a run, one small file a photo. A file is never changed: each step gets a new one, and the
-- one before goes only then, so that a crash at any moment leaves the older or the newer step whole.
-- Knows nothing of photos or of the bridge; the disk is passed in. Never yields by itself.

local Json = require "Json"

local Journal = {}
Journal.__index = Journal

--- A journal in a folder.
-- @param files { write(path, bytes) -> true|nil, problem; read(path); list(folder) -> names; delete(path);
--   makeFolder(path); child(folder, name) }
function Journal.open(folder, files)
    files.makeFolder(folder)
    return setmetatable({ folder = folder, files = files, written = {} }, Journal)
end

local function nameOf(item, generation)
    return string.format("%06d.%d.json", item.index, generation)
end

--- Begin a run. Its record is what all its photos have in common.
-- @return true; or nil and a problem, and then nothing may be begun.
function Journal:begin(run)
    local folder = self.files.child(self.folder, run.id)
    self.files.makeFolder(folder)
    return self.files.write(self.files.child(folder, "run.json"), Json.encode(run))
end

--- Record the step that a photo has reached.
-- @return true; or nil and a problem.
function Journal:save(run, item)
    local folder = self.files.child(self.folder, run.id)
    local key = run.id .. "/" .. item.index
    local before = self.written[key]
    local generation = (before or 0) + 1
    local path = self.files.child(folder, nameOf(item, generation))
    local fine, problem = self.files.write(path, Json.encode(item))
    if not fine then return nil, problem end
    self.written[key] = generation
    if before then self.files.delete(self.files.child(folder, nameOf(item, before))) end
    return true
end

--- A photo is finished with, one way or another.
function Journal:forget(run, item)
    local folder = self.files.child(self.folder, run.id)
    local key = run.id .. "/" .. item.index
    local generation = self.written[key]
    if not generation then return end
    self.files.delete(self.files.child(folder, nameOf(item, generation)))
    self.written[key] = nil
end

--- End a run: it goes if no photo of it is left.
function Journal:finish(run)
    local folder = self.files.child(self.folder, run.id)
    for _, name in ipairs(self.files.list(folder)) do
        if name ~= "run.json" then return end
    end
    self.files.delete(self.files.child(folder, "run.json"))
    self.files.delete(folder)
end

--- Give up a run with all its photos.
function Journal:drop(run)
    local folder = self.files.child(self.folder, run.id)
    for _, name in ipairs(self.files.list(folder)) do
        self.files.delete(self.files.child(folder, name))
    end
    self.files.delete(folder)
end

function Journal:read(path)
    local text = self.files.read(path)
    local value = text and Json.decode(text)
    return Json.isObject(value) and value or nil
end

-- The photos of a run's folder, the latest readable step of each; older and torn files go.
function Journal:items(run, folder)
    local latest = {}
    for _, name in ipairs(self.files.list(folder)) do
        local index, generation = name:match("^(%d+)%.(%d+)%.json$")
        if index then
            index, generation = tonumber(index), tonumber(generation)
            local path = self.files.child(folder, name)
            local item = self:read(path)
            local known = latest[index]
            if item and (not known or generation > known.generation) then
                if known then self.files.delete(known.path) end
                latest[index] = { generation = generation, path = path, item = item }
            else
                self.files.delete(path)
            end
        end
    end
    local items = {}
    for index, found in pairs(latest) do
        self.written[run.id .. "/" .. index] = found.generation
        table.insert(items, found.item)
    end
    table.sort(items, function(one, other) return one.index < other.index end)
    return items
end

--- The runs that did not come to their end, oldest first.
-- @param active run ids that are under way right now: { [id] = true }.
-- @return list of { run =, items = { ... } }; a run without photos is cleared away.
function Journal:interrupted(active)
    local found = {}
    for _, name in ipairs(self.files.list(self.folder)) do
        if not active[name] then
            local folder = self.files.child(self.folder, name)
            local run = self:read(self.files.child(folder, "run.json"))
            if run and run.id == name then
                local items = self:items(run, folder)
                if #items > 0 then
                    table.insert(found, { run = run, items = items })
                else
                    self:drop(run)
                end
            else
                self:drop({ id = name })
            end
        end
    end
    table.sort(found, function(one, other) return one.run.id < other.run.id end)
    return found
end

return Journal
