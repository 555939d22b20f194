--- Pre-flight and outcome in words: short for the dialog, whole for the log. Pure; never yields.

local Messages = require "Messages"

local Report = {}

local MOST_LINES = 12

local function add(lines, text) lines[#lines + 1] = text end

local function gigabytes(bytes)
    return string.format("%.1f", bytes / 1e9)
end

-- At most a dozen lines; the rest is a number.
local function shortened(lines)
    if #lines <= MOST_LINES then return lines end
    local short = {}
    for index = 1, MOST_LINES - 1 do short[index] = lines[index] end
    add(short, LOC("$$$/GPEN/Report/More=^. and ^1 more (see the log)", #lines - #short))
    return short
end

--- Where space is short, a line each.
function Report.space(report)
    local lines = {}
    for _, short in ipairs(report.short) do
        add(lines, LOC("$$$/GPEN/Preflight/Space=Space is short: about ^1 GB needed, ^2 GB free in ^3",
            gigabytes(short.needs), gigabytes(short.free), short.folder))
    end
    return lines
end

--- What the pre-flight found, a line each. No line about nothing.
function Report.preflight(report)
    local lines, counts = {}, report.counts
    local function line(what, text)
        if counts[what] then add(lines, LOC(text, counts[what])) end
    end
    line("video", "$$$/GPEN/Preflight/Video=^1 videos are left out.")
    line("result", "$$$/GPEN/Preflight/Result=^1 are results of GPEN Enhance themselves and are left out.")
    line("under_way", "$$$/GPEN/Preflight/UnderWay=^1 are being enhanced already and are left out.")
    line("offline", "$$$/GPEN/Preflight/Offline=^1 originals are offline and are left out.")
    line("smart_preview", "$$$/GPEN/Preflight/SmartPreview=^1 originals are offline, but have a smart preview (2560 pixels).")
    line("virtual_copy", "$$$/GPEN/Preflight/VirtualCopy=^1 are virtual copies: each is enhanced with its own edits.")
    line("done", "$$$/GPEN/Preflight/Done=^1 were enhanced with the same edits and parameters before.")
    line("clash", "$$$/GPEN/Preflight/Clash=^1 results get a number, because their names are taken.")
    line("read_only", "$$$/GPEN/Preflight/ReadOnly=^1 lie in folders that cannot be written to.")
    for _, text in ipairs(Report.space(report)) do add(lines, text) end
    return shortened(lines)
end

--- One line about a run that has ended.
function Report.headline(outcomes, left)
    local done, failed = #outcomes.done, #outcomes.failed
    local text = ""
    if outcomes.stopped then
        text = LOC("$$$/GPEN/Summary/Stopped=The run was stopped: ^1", Messages.sentence(outcomes.stopped)) .. " "
    end
    if outcomes.wasCanceled then
        text = text .. LOC("$$$/GPEN/Summary/Cancelled=Cancelled: ^1 of ^2 photos were finished.", done,
            done + failed + #outcomes.pending + #outcomes.cancelled)
    elseif done == 1 then
        text = text .. LOC "$$$/GPEN/Summary/One=One photo enhanced."
    else
        text = text .. LOC("$$$/GPEN/Summary/Done=^1 photos enhanced.", done)
    end
    if failed > 0 then text = text .. " " .. LOC("$$$/GPEN/Summary/Failed=^1 failed.", failed) end
    if #outcomes.pending > 0 then
        text = text .. " " .. LOC("$$$/GPEN/Summary/Pending=^1 wait to be finished.", #outcomes.pending)
    end
    if #left > 0 then text = text .. " " .. LOC("$$$/GPEN/Summary/Left=^1 were left out.", #left) end
    return text
end

--- All that went otherwise than hoped, a line each.
function Report.details(outcomes, left)
    local lines = {}
    for _, entry in ipairs(outcomes.failed) do
        add(lines, entry.item.fileName .. ": " .. Messages.full(entry.problem))
    end
    if #outcomes.pending > 0 then
        add(lines, LOC "$$$/GPEN/Summary/Resume=Finish them later with Finish Interrupted GPEN Runs.")
    end
    for _, entry in ipairs(outcomes.pending) do
        -- What stopped the run is said once, in the headline.
        if entry.problem ~= outcomes.stopped then
            add(lines, entry.item.fileName .. ": " .. Messages.full(entry.problem))
        end
    end
    for _, one in ipairs(left) do
        add(lines, one.fact.fileName .. ": " .. Messages.reason(one.reason))
    end
    for _, entry in ipairs(outcomes.done) do
        if entry.item.unstacked then
            add(lines, entry.item.fileName .. ": "
                .. LOC "$$$/GPEN/Summary/Unstacked=not stacked, since it lies in another folder; linked by its GPEN fields")
        end
        for _, warning in ipairs(entry.item.warnings or {}) do add(lines, entry.item.fileName .. ": " .. warning) end
    end
    return lines
end

--- The details as text for a dialog.
function Report.text(lines)
    return table.concat(shortened(lines), "\n")
end

return Report
