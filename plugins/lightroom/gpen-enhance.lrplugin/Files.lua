--- The only door to the disk. Paths may hold any script; results appear whole or not at all.
-- Never yields.

local LrFileUtils = import "LrFileUtils"
local LrPathUtils = import "LrPathUtils"

local Files = {}

local stagings = 0

Files.child = LrPathUtils.child
Files.leaf = LrPathUtils.leafName
Files.parent = LrPathUtils.parent

--- A folder or file below another, by its parts.
function Files.below(folder, ...)
    for index = 1, select("#", ...) do
        folder = LrPathUtils.child(folder, (select(index, ...)))
    end
    return folder
end

--- Whether a file lies there.
function Files.isFile(path)
    return LrFileUtils.exists(path) == "file"
end

--- Whether anything lies there; names differ by more than case on no system that we trust.
function Files.exists(path)
    return LrFileUtils.exists(path) ~= false
end

--- The size of a file in bytes; nil when there is none.
function Files.size(path)
    local attributes = Files.isFile(path) and LrFileUtils.fileAttributes(path)
    return attributes and attributes.fileSize or nil
end

--- The bytes of a file; nil when there is none.
function Files.read(path)
    if not Files.isFile(path) then return nil end
    return LrFileUtils.readFile(path)
end

--- A reader of a file's pieces.
-- @return function(offset, count) -> at most `count` bytes; nil behind the end, and where there is no file.
function Files.pieces(path)
    local whole
    return function(offset, count)
        local file = not whole and io.open(path, "rb")
        if file then
            file:seek("set", offset)
            local bytes = file:read(count)
            file:close()
            return bytes
        end
        -- On Windows io.open takes no letters beyond the code page; the host does, but reads all at once.
        whole = whole or Files.read(path) or ""
        return offset < #whole and whole:sub(offset + 1, offset + count) or nil
    end
end

--- Make a folder and those above it.
function Files.makeFolder(path)
    LrFileUtils.createAllDirectories(path)
    return LrFileUtils.exists(path) == "directory"
end

local function namesIn(folder, entries)
    local names = {}
    if LrFileUtils.exists(folder) ~= "directory" then return names end
    -- To the very end: a loop that is left early keeps the folder open.
    for path in entries(folder) do names[#names + 1] = LrPathUtils.leafName(path) end
    table.sort(names)
    return names
end

--- The names of all that lies in a folder, sorted.
function Files.list(folder)
    return namesIn(folder, LrFileUtils.directoryEntries)
end

--- Delete a file or an empty folder; nothing happens when there is none.
function Files.delete(path)
    if not Files.exists(path) then return true end
    return LrFileUtils.delete(path)
end

--- Delete a folder if nothing is left in it.
function Files.removeIfEmpty(folder)
    if LrFileUtils.exists(folder) == "directory" and #Files.list(folder) == 0 then LrFileUtils.delete(folder) end
end

--- Delete a folder with all that lies in it.
function Files.removeTree(folder)
    for _, name in ipairs(Files.list(folder)) do
        local path = LrPathUtils.child(folder, name)
        if LrFileUtils.exists(path) == "directory" then
            Files.removeTree(path)
        else
            LrFileUtils.delete(path)
        end
    end
    return Files.delete(folder)
end

local function problem(detail)
    return { code = "disk_full", detail = tostring(detail or ""), retryable = true }
end

local function writeDirectly(path, bytes)
    local file, why = io.open(path, "wb")
    if not file then return nil, why end
    local written, whyNot = file:write(bytes)
    local closed, whyNotClosed = file:close()
    if written and closed then return true end
    LrFileUtils.delete(path)
    return nil, whyNot or whyNotClosed
end

-- Where a file can be written whose own path Lua cannot open: on Windows io.open takes no letters
-- beyond the code page. The host's own functions move it to its place then.
local function writeElsewhere(path, bytes)
    local folders = { LrPathUtils.getStandardFilePath("temp"), _PLUGIN.path, "C:\\Users\\Public" }
    local why
    for _, folder in ipairs(folders) do
        stagings = stagings + 1
        local staging = LrPathUtils.child(folder, "gpen-enhance-" .. tostring(os.time()) .. "-" .. stagings .. ".part")
        local written
        written, why = writeDirectly(staging, bytes)
        if written then
            local moved, whyNot = LrFileUtils.move(staging, path)
            if moved then return true end
            LrFileUtils.delete(staging)
            return nil, whyNot
        end
    end
    return nil, why
end

--- Write a new file.
-- @return true; or nil and a problem, and then there is no file.
function Files.write(path, bytes)
    local written, why = writeDirectly(path, bytes)
    if not written and WIN_ENV then written, why = writeElsewhere(path, bytes) end
    if written then return true end
    return nil, problem(why)
end

--- Bring a finished file to its place, through a name beside it, so that it appears whole.
-- @return true; or nil and a problem, and then the file lies where it was and `target` is as before.
function Files.place(source, target)
    local part = target .. ".part"
    if not Files.isFile(source) then return nil, problem(source) end
    Files.delete(part)
    local moved, why = LrFileUtils.move(source, part)
    if not moved then
        if Files.isFile(source) then Files.delete(part) end
        return nil, problem(why)
    end
    moved, why = LrFileUtils.move(part, target)
    if moved then return true end
    -- It may be the only copy by now: where it cannot go back, it stays.
    LrFileUtils.move(part, source)
    return nil, problem(why)
end

--- Whether a file of `bytes` bytes was brought to its place before a crash; finishes what the crash interrupted.
function Files.wasPlaced(target, bytes)
    local part = target .. ".part"
    if not Files.exists(target) and Files.size(part) == bytes then return LrFileUtils.move(part, target) and true end
    return Files.size(target) == bytes
end

--- Move a file to the system's trash.
-- @return true; or nil and a problem, and then it lies where it was: a volume may have no trash, a program the file.
function Files.trash(path)
    local _, why = LrFileUtils.moveToTrash(path)
    if not Files.exists(path) then return true end
    return nil, { code = "trash_failed", detail = tostring(why or path), retryable = true }
end

--- Whether files can be made in a folder.
function Files.isWritable(folder)
    return LrFileUtils.isWritable(folder) and true or false
end

--- Free bytes on the volume of a path; nil when the host cannot tell.
function Files.freeBytes(path)
    local attributes = LrFileUtils.volumeAttributes(path)
    return attributes and attributes.fileSystemFreeSize or nil
end

--- The plug-in's own folder in the user's home, beside bridge.json.
function Files.home(...)
    return Files.below(LrPathUtils.getStandardFilePath("home"), ".gpen-enhance", ...)
end

--- Where results of read-only folders go.
-- @param chosen the user's folder, or "" for one among the pictures.
function Files.fallbackFolder(chosen)
    if chosen ~= "" then return chosen end
    return Files.child(LrPathUtils.getStandardFilePath("pictures"), "GPEN Enhanced")
end

--- The system's folder for temporary files.
function Files.temp(...)
    return Files.below(LrPathUtils.getStandardFilePath("temp"), ...)
end

return Files
