--- How one picture travels: by name through the exchange folder to a local bridge, as an upload to a remote one;
-- and how its result comes back into its work folder. A run is one job at the bridge, which grows by one item
-- whenever a photo is rendered. Every step may be repeated after a crash: the bridge leaves a `ref` alone that
-- it has already.
-- Yields, except `isFetched`.

local Files = require "Files"
local Tasks = require "Tasks"
local Workspace = require "Workspace"

local Courier = {}

-- Of a file that is sent: what a broken wire costs, and what lies in memory at a time.
local PIECE_BYTES = 8 * 1024 * 1024

-- Somebody waits for so few photos: they go before every batch.
local FEW = 3

--- How urgent a run of so many photos is, in the bridge's words.
function Courier.priority(count)
    return count <= FEW and "interactive" or "batch"
end

-- Where the result waits in the work folder until it is brought to its place.
local function waiting(item)
    return Files.child(item.work, "result")
end

--- Whether the result lies in the work folder.
function Courier.isFetched(item)
    return Files.isFile(waiting(item))
end

-- --- out ---------------------------------------------------------------------

-- The upload of this very file that has begun, as the bridge knows it; or a new one.
local function begunUpload(bridge, item, size)
    if item.upload then
        local state, problem = bridge:uploadState(item.upload)
        if state and state.size == size then return state end
        if not state and problem.code ~= "upload_unknown" then return nil, problem end
    end
    local begun, problem = bridge:beginUpload(Files.leaf(item.rendered), size)
    item.upload = begun and begun.upload
    return begun, problem
end

-- Send the rendered picture piece by piece. Where a wire broke, the next try goes on at the last piece.
local function sent(bridge, item)
    local size = Files.size(item.rendered) or 0
    local state, problem = begunUpload(bridge, item, size)
    local piece = Files.pieces(item.rendered)
    while state and not state.complete do
        -- All of it may be there, and only its end not yet known.
        local bytes = state.offset == size and "" or piece(state.offset, PIECE_BYTES)
        if not bytes then return nil, { code = "image_unreadable" } end
        state, problem = bridge:continueUpload(item.upload, state.offset, bytes)
    end
    if state then return state.upload end
    -- The bridge is still busy with a piece whose wire broke.
    if problem.code == "upload_offset_conflict" then problem.retryable = true end
    return nil, problem
end

local function sourceOf(bridge, run, item)
    local endpoint, problem = bridge:endpoint()
    if not endpoint then return nil, problem end
    if endpoint.isLocal then return { path = Workspace.exchangeName(run.root, item.rendered) } end
    local upload, whyNot = sent(bridge, item)
    if not upload then return nil, whyNot end
    return { upload = upload }
end

-- The bridge's name of an item.
local function refOf(item)
    return item.uuid .. (item.again and "-again" or "")
end

-- The bridge's number of an item: it numbers in the order in which it was given them.
local function numberOf(bridge, job, ref, after)
    repeat
        local page, problem = bridge:items(job, after)
        if not page then return nil, problem end
        for _, state in ipairs(page.items) do
            if state.ref == ref then return state.item end
        end
        after = page.next
    until not after
    return nil, { code = "result_lost" }
end

-- The job that an item's offer makes, or has made: the bridge knows it by its key.
local function offered(bridge, run, item)
    local job, problem = bridge:createJob(item.offer, run.id .. "-" .. item.index)
    if not job then return nil, problem end
    item.offer = nil
    return job.job
end

--- Hand the rendered picture over.
-- @param run { id =, preset =, parameters =, output =, root =, name =, priority =; job = once there is one }
-- @param keepJob function(run) -> true, or nil and a problem: remembers run.job before anything else is done.
-- @return true, with item.job and item.number filled in; or nil and a problem. An item.offer is left while it
-- is not known whether it made a job.
function Courier.submit(bridge, run, item, keepJob)
    item.job, item.number = nil, nil  -- of an earlier render, which has failed
    local source, problem = sourceOf(bridge, run, item)
    if not source then return nil, problem end
    local ref = refOf(item)
    local items = { { ref = ref, source = source } }
    if run.job then
        local grown, whyNot = bridge:addItems(run.job, items)
        if not grown then
            if whyNot.code == "job_unknown" then run.job = nil end
            return nil, { code = whyNot.code, title = whyNot.title, detail = whyNot.detail, hint = whyNot.hint,
                retryable = whyNot.retryable or whyNot.code == "job_unknown" }
        end
    else
        item.offer = {
            client = "lightroom",
            name = run.name,
            preset = run.preset,
            params = run.parameters,
            output = run.output,
            priority = run.priority,
            items = items,
        }
        local job, whyNot = offered(bridge, run, item)
        if not job then return nil, whyNot end
        run.job = job
        local kept, unkept = keepJob(run)
        if not kept then return nil, unkept end
    end
    -- It is behind the last one, unless a crash came between giving and recording.
    local number, lost = numberOf(bridge, run.job, ref, run.lastNumber)
    if not number and run.lastNumber then number, lost = numberOf(bridge, run.job, ref) end
    if not number then return nil, lost end
    run.lastNumber = number
    item.job, item.number = run.job, number
    item.upload = nil  -- it is the job's now; a second render is another file
    return true
end

-- --- back --------------------------------------------------------------------

-- The checkpoints that restored the faces, in words.
local function checkpointsOf(state)
    local names, seen = {}, {}
    for _, face in ipairs(state.faces or {}) do
        if type(face.checkpoint) == "string" and not seen[face.checkpoint] then
            seen[face.checkpoint] = true
            table.insert(names, face.checkpoint)
        end
    end
    return table.concat(names, ", ")
end

--- How the picture stands at the bridge.
-- @return "done" or "working"; or nil and a problem.
function Courier.look(bridge, item)
    local state, problem = bridge:item(item.job, item.number)
    if not state then
        if problem.code == "job_unknown" or problem.code == "item_unknown" then problem = { code = "result_lost" } end
        return nil, problem
    end
    if state.state == "done" then
        item.checkpoint = checkpointsOf(state)
        item.warnings = state.result.warnings
        item.bytes = state.result.size
        item.resultPath = state.result.path
        return "done"
    elseif state.state == "failed" then
        local error = state.error or { code = "internal" }
        -- The bridge has tried what can be tried.
        return nil, { code = error.code, title = error.title, detail = error.detail, hint = error.hint }
    elseif state.state == "cancelled" then
        return nil, { code = "cancelled" }
    end
    return "working"
end

--- Bring the finished result into the work folder.
-- @return its path; or nil and a problem.
function Courier.fetch(bridge, item)
    local path = waiting(item)
    if Files.wasPlaced(path, item.bytes) then return path end
    if not Files.makeFolder(item.work) then return nil, { code = "disk_full", detail = item.work, retryable = true } end
    local endpoint, problem = bridge:endpoint()
    if not endpoint then return nil, problem end
    if endpoint.isLocal and item.resultPath and Files.isFile(item.resultPath) then
        local placed, whyNot = Files.place(item.resultPath, path)
        if not placed then return nil, whyNot end
        return path
    end
    local bytes, lost = bridge:result(item.job, item.number)
    if not bytes then return nil, lost end
    local written, whyNot = Files.write(path, bytes)
    if not written then return nil, whyNot end
    return path
end

--- Tell the bridge that the result was written back.
function Courier.acknowledge(bridge, item)
    local fine, problem = bridge:acknowledge(item.job, item.number)
    if not fine and problem.code == "job_unknown" then return true end
    return fine, problem
end

--- Give a picture up: the bridge stops, or need not keep the result any longer.
-- @param submission the ticket of a `submit` that may still go on, or nil: it is waited for.
-- @return true; or nil and a problem.
function Courier.withdraw(bridge, run, item, submission)
    if submission then Tasks.wait(function() return false end, submission) end
    local job, number = item.job, item.number
    -- Offered, and the answer was lost: asking again tells what came of it.
    if item.offer then
        local made, unanswered = offered(bridge, run, item)
        if not made then return nil, unanswered end
        job, number = made, numberOf(bridge, made, refOf(item))
    end
    -- Given to the bridge, and then something came between.
    if not number and run.job then job, number = run.job, numberOf(bridge, run.job, refOf(item)) end
    if not number then return true end
    local state, problem = bridge:cancelItem(job, number)
    if not state then return nil, problem end
    if state.state == "done" then return bridge:acknowledge(job, number) end
    return true
end

return Courier
