--- Error code -> sentence, in the user's language; and the sentences about photos.
-- Every code of the bridge has words here or falls back on the bridge's own English.
-- Knows no dialogs. Pure; never yields.

local Messages = {}

local SENTENCES = {
    already_running = LOC "$$$/GPEN/Error/AlreadyRunning=Another bridge already runs on this computer.",
    bridge_foreign = LOC "$$$/GPEN/Error/Foreign=Another program answers at the bridge's address.",
    bridge_missing = LOC "$$$/GPEN/Error/Missing=The GPEN bridge is not installed, or Lightroom does not know how to start it.",
    bridge_start = LOC "$$$/GPEN/Error/Start=The GPEN bridge was started but does not answer.",
    bridge_unreachable = LOC "$$$/GPEN/Error/Unreachable=The GPEN bridge does not answer.",
    busy = LOC "$$$/GPEN/Error/Busy=The bridge has as much work as it accepts. Try again in a moment.",
    cancelled = LOC "$$$/GPEN/Error/Cancelled=Cancelled.",
    catalog_busy = LOC "$$$/GPEN/Error/CatalogBusy=The catalog was busy for too long.",
    checkpoint_not_installed = LOC "$$$/GPEN/Error/NotInstalled=This checkpoint is not installed on the bridge.",
    checkpoint_unknown = LOC "$$$/GPEN/Error/CheckpointUnknown=The bridge knows no checkpoint of that name.",
    crash_loop = LOC "$$$/GPEN/Error/CrashLoop=The bridge died whenever it worked on this photo.",
    disk_full = LOC "$$$/GPEN/Error/DiskFull=The result could not be written. Is the disk full or read-only?",
    encoding_failed = LOC "$$$/GPEN/Error/Encoding=The result cannot be written in this format.",
    engine_failed = LOC "$$$/GPEN/Error/Engine=The network failed on the device.",
    format_unsupported = LOC "$$$/GPEN/Error/Format=The bridge does not support this kind of file.",
    image_too_large = LOC "$$$/GPEN/Error/TooLarge=The photo has more pixels than the bridge accepts.",
    image_truncated = LOC "$$$/GPEN/Error/Truncated=The rendered file ends before the picture does.",
    image_unreadable = LOC "$$$/GPEN/Error/Unreadable=The rendered file cannot be read.",
    import_failed = LOC "$$$/GPEN/Error/Import=Lightroom did not take the result into the catalog.",
    not_paired = LOC "$$$/GPEN/Error/NotPaired=This computer is not paired with the remote bridge: see the Plug-in Manager.",
    not_ready = LOC "$$$/GPEN/Error/NotReady=The bridge is still starting.",
    out_of_memory = LOC "$$$/GPEN/Error/Memory=The device has too little free memory.",
    output_failed = LOC "$$$/GPEN/Error/Output=The bridge could not write the result.",
    pairing_failed = LOC "$$$/GPEN/Error/Pairing=The pairing code is wrong or has expired.",
    preset_read_only = LOC "$$$/GPEN/Error/PresetReadOnly=Built-in presets cannot be changed. Choose another name.",
    preset_unknown = LOC "$$$/GPEN/Error/PresetUnknown=The bridge has no preset of that name.",
    protocol_mismatch = LOC "$$$/GPEN/Error/Protocol=Plug-in and bridge are of different versions. Update the older of the two.",
    render_empty = LOC "$$$/GPEN/Error/RenderEmpty=Lightroom rendered no complete file.",
    render_failed = LOC "$$$/GPEN/Error/Render=Lightroom could not render the photo.",
    render_skipped = LOC "$$$/GPEN/Error/RenderSkipped=Lightroom skipped the photo.",
    result_lost = LOC "$$$/GPEN/Error/ResultLost=The bridge no longer has the result. Enhance the photo again.",
    self_test_failed = LOC "$$$/GPEN/Error/SelfTest=The network gives wrong results on this device.",
    source_missing = LOC "$$$/GPEN/Error/SourceMissing=The bridge does not find the rendered file.",
    source_gone = LOC "$$$/GPEN/Error/SourceGone=The original is no longer in the catalog.",
    store_unavailable = LOC "$$$/GPEN/Error/Store=The bridge cannot write to its store. Is its disk full?",
    trash_failed = LOC "$$$/GPEN/Error/Trash=The earlier result could not be moved to the trash. Move it away yourself.",
    timed_out = LOC "$$$/GPEN/Error/TimedOut=The bridge took too long to answer.",
    unauthorized = LOC "$$$/GPEN/Error/Unauthorized=The bridge does not know this computer. Pair it again.",
}

local REASONS = {
    video = LOC "$$$/GPEN/Reason/Video=Videos cannot be enhanced",
    offline = LOC "$$$/GPEN/Reason/Offline=The original is offline",
    smart_preview = LOC "$$$/GPEN/Reason/SmartPreview=Only a smart preview is at hand",
    result = LOC "$$$/GPEN/Reason/Result=Is itself a result of GPEN Enhance",
    under_way = LOC "$$$/GPEN/Reason/UnderWay=Is being enhanced already",
    done = LOC "$$$/GPEN/Reason/Done=Was already enhanced like this",
    read_only = LOC "$$$/GPEN/Reason/ReadOnly=The folder is read-only",
}

--- A sentence about an error.
-- @param problem { code =, detail =?, title =? }
function Messages.sentence(problem)
    return SENTENCES[problem.code] or problem.title or problem.detail
        or LOC "$$$/GPEN/Error/Unknown=Something went wrong. The log has the details."
end

--- The sentence and what is known beyond it: for reports, never for a dialog per photo.
function Messages.full(problem)
    local sentence = Messages.sentence(problem)
    if problem.detail and problem.detail ~= "" and problem.detail ~= sentence then
        return sentence .. " " .. problem.detail
    end
    return sentence
end

--- Why a photo is left out, in words.
function Messages.reason(reason)
    return REASONS[reason] or reason
end

--- The codes that have words; for the test that compares them with the bridge's list.
function Messages.codes()
    local codes = {}
    for code in pairs(SENTENCES) do codes[#codes + 1] = code end
    table.sort(codes)
    return codes
end

return Messages
