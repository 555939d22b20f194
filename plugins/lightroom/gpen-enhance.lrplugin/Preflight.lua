--- What stands in the way of a batch, found before the first render, and one decision about it.
-- Knows no host and no words: facts in, a report out. Pure; never yields.
--
-- A photo's facts, as Catalog.lua tells them: uuid, photo, fileName, stem, folder, isVideo, isVirtualCopy,
-- isAvailable, hasSmartPreview, isResult, isUnderWay (another command works on it), megapixels, edits, earlier
-- (results of the same photo, each with uuid, path, edits, fingerprint).

local Preflight = {}

-- A rendered 16-bit RGB pixel has 6 bytes; a handful of photos are on their way at once.
local RENDERED_BYTES = 6
local ON_THEIR_WAY = 4
local RESULT_BYTES = { tiff16 = 6, tiff8 = 3, jpeg = 1 }

-- The latest result of the same edits with the same parameters; nil when there is none.
local function sameWork(fact, fingerprint)
    local found
    for _, earlier in ipairs(fact.earlier) do
        if earlier.edits == fact.edits and earlier.fingerprint == fingerprint then found = earlier end
    end
    return found
end

local function reasonToLeaveOut(fact)
    if fact.isVideo then return "video" end
    if fact.isResult then return "result" end
    if fact.isUnderWay then return "under_way" end
    if not fact.isAvailable and not fact.hasSmartPreview then return "offline" end
    return nil
end

local function megabytesOf(candidates, bytesPerPixel)
    local total, largest = 0, 0
    for _, candidate in ipairs(candidates) do
        local megapixels = candidate.fact.megapixels or 0
        total = total + megapixels * bytesPerPixel
        largest = math.max(largest, megapixels)
    end
    return total, largest
end

--- Sort the photos of a selection.
-- @param facts list of photos' facts.
-- @param options { fingerprint =, format =, isWritable = function(folder), freeBytes = function(folder),
--   workFolder =, resultFolder = where all results go, or nil: beside their originals,
--   isTaken = function(fact) -> whether the wanted name exists already }
-- @return report: candidates (each { fact, smartPreview?, done?, readOnly?, clash? }), left (each { fact,
--   reason }), counts, short (volumes with too little space, by one of their folders: { folder, needs, free } in
--   bytes).
function Preflight.examine(facts, options)
    local report = { candidates = {}, left = {}, short = {}, counts = {} }
    local writable = {}
    local function count(what)
        report.counts[what] = (report.counts[what] or 0) + 1
    end
    for _, fact in ipairs(facts) do
        local reason = reasonToLeaveOut(fact)
        if reason then
            table.insert(report.left, { fact = fact, reason = reason })
            count(reason)
        else
            if writable[fact.folder] == nil then writable[fact.folder] = options.isWritable(fact.folder) end
            local candidate = {
                fact = fact,
                smartPreview = not fact.isAvailable,
                done = sameWork(fact, options.fingerprint),
                readOnly = not writable[fact.folder],
                clash = options.isTaken(fact),
            }
            table.insert(report.candidates, candidate)
            if fact.isVirtualCopy then count("virtual_copy") end
            if candidate.smartPreview then count("smart_preview") end
            if candidate.done then count("done") end
            if candidate.readOnly then count("read_only") end
            if candidate.clash and not candidate.done then count("clash") end
        end
    end
    Preflight.measure(report, options)
    return report
end

--- Add to the report where space is short. The host does not tell volumes apart: folders with exactly as much free
-- space are taken to lie on the same one.
function Preflight.measure(report, options)
    local byFolder, folders = {}, {}
    for _, candidate in ipairs(report.candidates) do
        local folder = options.resultFolder or candidate.fact.folder
        if not byFolder[folder] then
            byFolder[folder] = {}
            table.insert(folders, folder)
        end
        table.insert(byFolder[folder], candidate)
    end
    table.sort(folders)
    local volumes, found = {}, {}
    local function need(folder, megabytes)
        local free = options.freeBytes(folder)
        if not free then return end
        if not volumes[free] then
            volumes[free] = { folder = folder, needs = 0, free = free }
            table.insert(found, volumes[free])
        end
        volumes[free].needs = volumes[free].needs + megabytes * 1e6
    end
    for _, folder in ipairs(folders) do
        need(folder, (megabytesOf(byFolder[folder], RESULT_BYTES[options.format])))
    end
    local _, largest = megabytesOf(report.candidates, RENDERED_BYTES)
    -- Rendered files and results meet in the work folder, each twice at the most.
    need(options.workFolder, largest * RENDERED_BYTES * ON_THEIR_WAY * 2)
    for _, volume in ipairs(found) do
        if volume.free < volume.needs then table.insert(report.short, volume) end
    end
end

--- Whether there is anything to tell or to ask before the start.
function Preflight.needsDecision(report, settings)
    if #report.left > 0 or #report.short > 0 or report.counts.smart_preview or report.counts.read_only then
        return true
    end
    return report.counts.done ~= nil and settings.conflict == "ask"
end

--- The work that is left after the decision.
-- @param decision { conflict = "skip"|"new"|"replace", smartPreviews = boolean, fallbackFolder = path or nil }
-- @return items (each { fact, folder, stacks, replaces }), and left: all that is left out, with reasons.
function Preflight.decide(report, decision)
    local items, left = {}, {}
    for _, one in ipairs(report.left) do table.insert(left, one) end
    local function leaveOut(candidate, reason)
        table.insert(left, { fact = candidate.fact, reason = reason })
    end
    for _, candidate in ipairs(report.candidates) do
        if candidate.smartPreview and not decision.smartPreviews then
            leaveOut(candidate, "smart_preview")
        elseif candidate.done and decision.conflict == "skip" then
            leaveOut(candidate, "done")
        elseif candidate.readOnly and not decision.fallbackFolder then
            leaveOut(candidate, "read_only")
        else
            table.insert(items, {
                fact = candidate.fact,
                folder = candidate.readOnly and decision.fallbackFolder or candidate.fact.folder,
                stacks = not candidate.readOnly,
                replaces = decision.conflict == "replace" and candidate.done or nil,
            })
        end
    end
    return items, left
end

return Preflight
