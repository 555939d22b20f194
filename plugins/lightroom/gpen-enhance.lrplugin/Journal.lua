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

--- Begin a run with all its photos: after a crash the whole batch goes on. The run's own record is what its photos
-- have in common; it comes last, so that a run is recorded whole or not at all.
-- @return true; or nil and a problem, and then nothing is recorded.
function Journal:begin(run, items)
    local folder = self.files.child(self.folder, run.id)
    self.files.makeFolder(folder)
    local fine, problem = true, nil
    for _, item in ipairs(items) do
        if fine then fine, problem = self:save(run, item) end
    end
    if fine then fine, problem = self.files.write(self.files.child(folder, "run.json"), Json.encode(run)) end
    if fine then return true end
    self:drop(run)
    return nil, problem
end

--- Record which job at the bridge is the run's: more photos go into the same one after a crash.
-- @return true; or nil and a problem.
function Journal:keepJob(run)
    local folder = self.files.child(self.folder, run.id)
    local name = "job-" .. run.job .. ".json"
    local fine, problem = self.files.write(self.files.child(folder, name), Json.encode({ job = run.job }))
    if not fine then return nil, problem end
    for _, other in ipairs(self.files.list(folder)) do
        if other:find("^job%-") and other ~= name then self.files.delete(self.files.child(folder, other)) end
    end
    return true
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
        if name:find("^%d") then return end
    end
    self:drop(run)
end

--- Give up a run with all its photos.
function Journal:drop(run)
    local folder = self.files.child(self.folder, run.id)
    -- The run's own record goes first: without it nothing of the rest counts.
    self.files.delete(self.files.child(folder, "run.json"))
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
                for _, other in ipairs(self.files.list(folder)) do
                    run.job = other:match("^job%-(.+)%.json$") or run.job
                end
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
