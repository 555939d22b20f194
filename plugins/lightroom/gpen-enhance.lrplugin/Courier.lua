--- How one picture travels: by name through the exchange folder to a local bridge, as an upload to a remote one;
-- and how its result comes back into its work folder. Every step may be repeated after a crash.
-- Yields, except `isFetched`.

local Files = require "Files"
local Workspace = require "Workspace"

local Courier = {}

-- Where the result waits in the work folder until it is brought to its place.
local function waiting(item)
    return Files.child(item.work, "result")
end

--- Whether the result lies in the work folder.
function Courier.isFetched(item)
    return Files.isFile(waiting(item))
end

local function sourceOf(bridge, run, item)
    local endpoint, problem = bridge:endpoint()
    if not endpoint then return nil, problem end
    if endpoint.isLocal then return { path = Workspace.exchangeName(run.root, item.rendered) } end
    if not item.upload then
        local uploaded, whyNot = bridge:upload(item.rendered, Files.leaf(item.rendered))
        if not uploaded then return nil, whyNot end
        item.upload = uploaded.upload
    end
    return { upload = item.upload }
end

--- Hand the rendered picture over as a job of one item.
-- @param run { settings' preset =, parameters =, output =, root = }
-- @return the job's id; or nil and a problem.
function Courier.submit(bridge, run, item)
    local source, problem = sourceOf(bridge, run, item)
    if not source then return nil, problem end
    local job, whyNot = bridge:submit({
        client = "lightroom",
        preset = run.preset,
        params = run.parameters,
        items = { { ref = item.uuid, source = source, output = run.output } },
    }, item.key)
    if not job then return nil, whyNot end
    return job
end

--- How the job stands.
-- @return "done" or "working"; or nil and a problem.
function Courier.look(bridge, item)
    local state, problem = bridge:item(item.job)
    if not state then
        if problem.code == "job_unknown" then problem = { code = "result_lost" } end
        return nil, problem
    end
    if state.state == "done" then
        item.checkpoint = state.checkpoint
        item.warnings = state.warnings
        return "done"
    elseif state.state == "failed" or state.state == "cancelled" then
        return nil, state.error or { code = "cancelled" }
    end
    return "working"
end

--- Bring the finished result into the work folder.
-- @return its path; or nil and a problem.
function Courier.fetch(bridge, item)
    local path = waiting(item)
    if Courier.isFetched(item) then return path end
    if not Files.makeFolder(item.work) then return nil, { code = "disk_full", detail = item.work, retryable = true } end
    local bytes, problem = bridge:result(item.job)
    if not bytes then return nil, problem end
    local written, whyNot = Files.write(path, bytes)
    if not written then return nil, whyNot end
    return path
end

--- Tell the bridge that its copy is not needed any more.
function Courier.acknowledge(bridge, item)
    local fine, problem = bridge:acknowledge(item.job)
    if not fine and problem.code == "job_unknown" then return true end
    return fine, problem
end

--- Stop the job.
function Courier.cancel(bridge, item)
    return bridge:cancelJob(item.job)
end

return Courier
