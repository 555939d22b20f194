--- The use case: photos go out to the bridge and come back, whatever happens on the way.
-- Every effect is passed in, so this file knows no Lightroom, no HTTP and no disk. Invariants:
--   * a step is recorded before the next one begins, so a run resumes at the step that it died in;
--   * at most `window` photos are between render and write-back;
--   * one photo's failure never stops the others and never opens a dialog;
--   * after a cancel no further step is begun, and what was begun is cleared away in the background;
--   * nothing is thrown away or fails because the catalog or the bridge was away: it stays pending;
--   * a bridge that stays away ends the run, with all that is left pending.
--
-- An item is plain data (it is written to the journal): index, uuid, fileName, stem, folder, key, ... and `step`,
-- the last step that it completed: nil, "rendered", "submitted", "fetched", "added", "described".

local EnhanceRun = {}

EnhanceRun.WINDOW = 3

local TICK_SECONDS = 0.1
local POLL_SECONDS = 0.5
local RETRY_SECONDS = { 1, 2, 5, 10 }
local WRITE_TRIES = 4
local PATIENCE_SECONDS = 120

-- What to do next with an item, by the step that it has completed. Each returns the step it has now
-- completed, or "wait" to be asked again later; or nil and a problem.
local STEPS = {
    waiting = function(item, effects) return effects.rendered(item) end,
    rendered = function(item, effects) return effects.submit(item) end,
    submitted = function(item, effects) return effects.poll(item) end,
    fetched = function(item, effects) return effects.add(item) end,
    added = function(item, effects) return effects.describe(item) end,
    described = function(item, effects) return effects.acknowledge(item) end,
}

-- Steps after which something exists that must not be lost to a passing trouble: a render, the bridge's work.
local PRECIOUS = { rendered = true, submitted = true, fetched = true, added = true, described = true }

-- Steps whose next one asks the bridge: who comes beyond them has heard from it.
local ASKS_BRIDGE = { rendered = true, submitted = true, described = true }

-- What is said of a bridge that is away.
local AWAY = { bridge_unreachable = true, timed_out = true, not_ready = true }

-- A file that was cut short on its way, or tidied away meanwhile, is worth a second render.
local RENDER_AGAIN = { image_truncated = true, image_unreadable = true, render_empty = true, source_missing = true }

local Run = {}
Run.__index = Run

-- `outcome`: done, failed, pending, cancelled; or written: done, but for the bridge's knowing.
function Run:settle(item, outcome, problem)
    self.active[item] = nil
    self.settled = self.settled + 1
    table.insert(self.outcomes[outcome == "written" and "done" or outcome], { item = item, problem = problem })
    if outcome == "done" then
        self.effects.forget(item)
    elseif outcome ~= "pending" then
        self.effects.abandon(item)
    end
    self.effects.log(outcome, item, problem)
end

function Run:count()
    local count = 0
    for _ in pairs(self.active) do count = count + 1 end
    return count
end

-- The bridge is away: everybody waits for it together, for a while.
function Run:bridgeIsSilent(item, problem)
    self.silentSince = self.silentSince or self.effects.now()
    if self.effects.now() - self.silentSince < PATIENCE_SECONDS then
        self.effects.reconnect()
        self.active[item] = self.effects.now() + 2
        return
    end
    self.outcomes.stopped = problem
end

-- The bridge stays away: all that is left waits for another run. A render that goes on is let come to its end first.
function Run:putOff()
    for item in pairs(self.active) do
        if item.step then self:settle(item, "pending", self.outcomes.stopped) end
    end
    for index = self.next, #self.items do self:settle(self.items[index], "pending", self.outcomes.stopped) end
    self.next = #self.items + 1
end

function Run:trouble(item, problem)
    if problem.code == "cancelled" and self.effects.isCanceled() then return end
    if AWAY[problem.code] then return self:bridgeIsSilent(item, problem) end
    if ASKS_BRIDGE[item.step] then self.silentSince = nil end
    if RENDER_AGAIN[problem.code] and not item.again then
        item.again, item.step = true, nil
        self.active[item] = 0
        return self.effects.render(item, problem)
    end
    local tries = (self.tries[item] or 0) + 1
    self.tries[item] = tries
    if problem.code == "busy" then tries = 1 end
    if problem.retryable and tries < WRITE_TRIES then
        self.active[item] = self.effects.now() + (RETRY_SECONDS[tries] or RETRY_SECONDS[#RETRY_SECONDS])
        return
    end
    self:settle(item, problem.retryable and PRECIOUS[item.step] and "pending" or "failed", problem)
end

-- Take an item as far as it goes without waiting.
function Run:advance(item)
    repeat
        local fine, step, problem = self.effects.pcall(STEPS[item.step or "waiting"], item, self.effects)
        if not fine then step, problem = nil, { code = "internal", detail = tostring(step) } end
        if not step then return self:trouble(item, problem) end
        if ASKS_BRIDGE[item.step] then self.silentSince = nil end
        if step == "wait" then
            self.active[item] = self.effects.now() + (item.step == "submitted" and POLL_SECONDS or 0)
            return
        end
        self.tries[item] = nil
        if step == "acknowledged" then return self:settle(item, "done") end
        item.step = step
        local recorded, why = self.effects.record(item)
        if not recorded then return self:settle(item, "failed", why) end
        -- What follows the submission takes its time; the others get their turn.
    until step == "submitted" or self.outcomes.stopped or self.effects.isCanceled()
end

-- Begin the next render, one at a time, as long as few photos are on their way.
function Run:renderAhead()
    for item in pairs(self.active) do
        if item.step == nil then return end
    end
    if self.next > #self.items or self:count() >= self.window then return end
    local item = self.items[self.next]
    self.next = self.next + 1
    self.active[item] = 0
    if item.step == nil then self.effects.render(item) end
end

function Run:cancel()
    local active = {}
    for item in pairs(self.active) do active[#active + 1] = item end
    table.sort(active, function(one, other) return one.index < other.index end)
    for _, item in ipairs(active) do
        -- In the catalog already: a short gate finishes it, and half a result would be worse.
        if item.step == "added" then self:advance(item) end
        if self.active[item] then
            local isWritten = item.step == "described"
            self:settle(item, isWritten and "written" or item.step == "added" and "pending" or "cancelled")
        end
    end
    for index = self.next, #self.items do
        self:settle(self.items[index], "cancelled")
    end
    self.wasCanceled = true
end

--- Take every item through its steps.
-- @param items list; those that a journal brought back carry their `step`.
-- @param effects what the steps do:
--   render(item, wrong) begins a render in the background, the second one because of the problem `wrong` (who
--   cannot render again lets `rendered` give that); rendered(item) -> "rendered" | "wait" | nil, problem;
--   submit(item) -> "submitted" | nil, problem; poll(item) -> "fetched" | "wait" | nil, problem;
--   add(item) -> "added"; describe(item) -> "described"; acknowledge(item) -> "acknowledged";
--   record(item) -> true | nil, problem; forget(item); abandon(item), neither waits;
--   pcall(f, ...), which may be yielded through; reconnect(), isCanceled(), now(), sleep(seconds),
--   progress(settled, total, outcomes), log(outcome, item, problem).
-- @param options { window = number }
-- @return { done, failed, pending, cancelled: lists of { item, problem }; wasCanceled;
--   stopped: the problem that ended the run early, which is also that of those whom it made pending }.
function EnhanceRun.run(items, effects, options)
    local run = setmetatable({
        items = items,
        effects = effects,
        window = options and options.window or EnhanceRun.WINDOW,
        next = 1,
        settled = 0,
        active = {},  -- item -> when it is due, in seconds
        tries = {},
        outcomes = { done = {}, failed = {}, pending = {}, cancelled = {} },
    }, Run)
    while run.settled < #items do
        if effects.isCanceled() then
            run:cancel()
            break
        end
        run:renderAhead()
        local now = effects.now()
        local due = {}
        for item, time in pairs(run.active) do
            if time <= now then due[#due + 1] = item end
        end
        table.sort(due, function(one, other) return one.index < other.index end)
        for _, item in ipairs(due) do
            if effects.isCanceled() then break end
            if not (run.outcomes.stopped and item.step) then run:advance(item) end
        end
        if run.outcomes.stopped then run:putOff() end
        effects.progress(run.settled, #items, run.outcomes)
        if run.settled < #items then effects.sleep(TICK_SECONDS) end
    end
    run.outcomes.wasCanceled = run.wasCanceled or false
    return run.outcomes
end

return EnhanceRun
