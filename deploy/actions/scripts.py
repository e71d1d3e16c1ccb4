"""The Lua of every transition: each is one atomic step, and each may be repeated.

redis-py repeats a command whose reply was lost, so a script that matters takes a request id and
answers a repetition with the stored answer. Time is Redis' own. Only commands of Redis 7.0 are
used. All keys of an action carry the hash tag `{a:<id>}`, so they live in one slot of a cluster.
"""

from deploy.actions.action import EDGES
from deploy.actions.codec import VERSION


def _edges() -> str:
    rows = ", ".join(
        f"[{old.value!r}] = {{{', '.join(f'[{new.value!r}] = true' for new in sorted(following))}}}"
        for old, following in EDGES.items()
    )
    return f"local EDGES = {{{rows}}}"


PRELUDE = (
    _edges()
    + f"\nlocal FORMAT = {VERSION}"
    + """
local act, req, log, steps, votes = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function field(name) return redis.call('HGET', act, name) or '' end
local function number(name) return tonumber(field(name)) or 0 end
local function set(...) redis.call('HSET', act, ...) end

local function snapshot(result)
  return {result, redis.call('HGETALL', act), redis.call('LRANGE', steps, 0, -1),
          redis.call('HVALS', votes)}
end

-- A change worth showing: a new version. One that is also worth remembering has its line in the
-- action's log, from which messages and the audit trail are made.
local function show()
  set('updated', now)
  return redis.call('HINCRBY', act, 'version', 1)
end

local function tell(event, who, detail)
  redis.call('XADD', log, '*', 'event', event, 'who', who, 'detail', detail, 'version', show(), 'at', now)
end

local function move(state, who, detail)
  local old = field('state')
  if not (EDGES[old] and EDGES[old][state]) then
    return false
  end
  set('state', state)
  tell(state, who, detail)
  if next(EDGES[state]) == nil then
    for _, key in ipairs({act, req, log, steps, votes}) do
      redis.call('PEXPIRE', key, field('keep'))
    end
  end
  return true
end

local function answered(id, result)
  redis.call('HSET', req, id, result)
  local kept = redis.call('PTTL', act)
  if kept > 0 then redis.call('PEXPIRE', req, kept) end
  return snapshot(result)
end

local function held(owner, fence)
  return field('state') == 'running' and field('owner') == owner and field('fence') == fence
end

-- Nobody decided in time, or what was decided did not begin in time.
local function late()
  local state = field('state')
  return (state == 'pending' and now >= number('expires'))
    or (state == 'approved' and now >= number('start_by'))
end
local function overdue()
  if not late() then return false end
  move('expired', '', field('state'))
  return true
end

-- The time in which it must begin counts from when it last waited for its turn, up to a bound.
local function delay(longest)
  local start_by = math.min(now + number('start'), number('decided') + tonumber(longest))
  if start_by - number('start_by') > 10000 then set('start_by', start_by) end
end

local function decided(state, who, detail)
  set('decided_by', who, 'decided', now, 'start_by', now + number('start'))
  move(state, who, detail)
end

-- Whether each requirement has as many votes as it needs; one vote may serve several.
local function met(requirements)
  for _, requirement in ipairs(requirements) do
    local lost, count = {}, 0
    for _, gone in ipairs(requirement.lost) do lost[gone] = true end
    for _, text in ipairs(redis.call('HVALS', votes)) do
      local vote = cjson.decode(text)
      local serves = vote.serves == nil
      for _, name in ipairs(vote.serves or {}) do
        serves = serves or name == requirement.environment
      end
      if vote.verdict == 'approve' and serves and not lost[vote.person] then count = count + 1 end
    end
    if count < requirement.quorum then return false end
  end
  return true
end

-- A newer bot's record is left alone.
if number('format') > FORMAT then return {'newer', {}, {}, {}} end
"""
)

READ = "return snapshot('done')"

TOLD = """
local found = snapshot('done')
found[5] = redis.call('XRANGE', log, '-', '+')
return found
"""

CREATE = """
if redis.call('EXISTS', act) == 1 then
  return snapshot(field('made_by') == ARGV[1] and 'done' or 'taken')
end
set('made_by', ARGV[1], 'body', ARGV[2], 'state', 'pending', 'version', 0, 'created', now,
    'expires', now + tonumber(ARGV[3]), 'keep', ARGV[4], 'requester', ARGV[5], 'digest', ARGV[6],
    'person', ARGV[7], 'by', ARGV[8], 'start', ARGV[9], 'format', FORMAT)
if ARGV[10] ~= '' then tell('break-glass', ARGV[5], ARGV[10]) end
tell('pending', ARGV[5], ARGV[6])
return snapshot('done')
"""

DECIDE = """
local id, verdict, who, person, digest, reason, given, dry = unpack(ARGV)
local facts = cjson.decode(given)
local function answer(result)
  if dry == '1' then return snapshot(result) end
  return answered(id, result)
end
local stored = redis.call('HGET', req, id)
if stored then
  return snapshot((stored == 'done' or stored == 'counted') and 'replayed' or stored)
end
if redis.call('EXISTS', act) == 0 then return {'gone', {}, {}, {}} end
if dry == '1' and late() then return snapshot('expired') end
if overdue() then return answered(id, 'expired') end
local state = field('state')
if state ~= 'pending' and not (verdict == 'cancel' and state == 'approved') then
  return snapshot(state == 'expired' and 'expired' or 'already')
end
if field('digest') ~= digest then return snapshot('stale') end

if verdict == 'cancel' then
  if field('requester') ~= who then return snapshot('not-requester') end
  if dry == '1' then return snapshot('done') end
  if state == 'pending' then set('decided_by', who, 'decided', now) end
  move('cancelled', who, reason)
  return answered(id, 'done')
end

if verdict == 'confirm' then
  if field('by') ~= 'requester' then return snapshot('not-approver') end
  if field('requester') ~= who then return snapshot('not-requester') end
else
  if field('by') ~= 'approvers' then return snapshot('no-approval') end
  if field('requester') == who or field('person') == person then return snapshot('self') end
  if #facts.serves == 0 then return snapshot('not-approver') end
  -- Who has approved may still deny it.
  if redis.call('HEXISTS', votes, person) == 1 and verdict ~= 'deny' then return snapshot('voted') end
end
if verdict ~= 'deny' then
  if facts.grown then return snapshot('grown') end
  if facts.forbidden then return snapshot('forbidden') end
  if not facts.windows_open then return snapshot('window-closed') end
end
if dry == '1' then return snapshot('done') end
set('policy', facts.policy)

if verdict == 'confirm' then
  decided('approved', who, digest)
  return answered(id, 'done')
end
redis.call('HSET', votes, person, cjson.encode({by = who, person = person, verdict = verdict,
           at = now, digest = digest, reason = reason, serves = facts.serves}))
if verdict == 'deny' then
  set('reason', reason)
  decided('denied', who, reason)
  return answered(id, 'done')
end
if not met(facts.requirements) then
  tell('approval', who, digest)
  return answered(id, 'counted')
end
decided('approved', who, digest)
return answered(id, 'done')
"""
"""Confirm, cancel, approve and deny. The order of the checks: replay, existence, expiry, state,
digest, who it is, whether they may, their vote, whether more is required by now, freeze, approval
windows, and at last whether every requirement is met. With `dry` it says what would come of it and
changes nothing.

The facts are what Redis cannot know: which requirements this person's vote `serves` now, what each
of `requirements` needs and whose earlier vote no longer counts for it, whether more environments
require an approval than were shown (`grown`), whether a freeze or the like forbids it, and the
policy as it is now.
"""

SUPERSEDE = """
if field('state') ~= 'pending' then return snapshot('no') end
set('outcome', ARGV[1])
move('superseded', '', ARGV[2])
return snapshot('done')
"""
"""The plan no longer holds, so nobody is to decide it; a fresh one takes its place."""

REMIND = """
if field('state') ~= 'pending' or field('by') ~= 'approvers' or field('reminded') ~= '' then
  return snapshot('no')
end
if now < number('expires') - tonumber(ARGV[1]) then return snapshot('no') end
set('reminded', now)
tell('reminder', '', '')
return snapshot('done')
"""

LAPSE = """
if field('state') ~= 'pending' then return snapshot('no') end
move('expired', '', 'window')
return snapshot('done')
"""
"""What rests on an approval window ends with it, before its own time."""

LOOK = """
if overdue() then return snapshot('expired') end
return snapshot(field('state') == 'running' and now < number('lease') and 'held' or 'free')
"""

CLAIM = """
if overdue() then return snapshot('expired') end
local state = field('state')
local free = state == 'approved' or (state == 'running' and now >= number('lease'))
local again = state == 'running' and field('owner') == ARGV[1] and field('fence') == ARGV[2]
if not free and not again then return snapshot('no') end
if not again and tonumber(ARGV[2]) <= number('fence') then return snapshot('low') end
set('owner', ARGV[1], 'fence', ARGV[2], 'lease', now + tonumber(ARGV[3]))
if not again then
  redis.call('HINCRBY', act, 'attempts', 1)
  redis.call('HDEL', act, 'progress')
  if state == 'approved' then
    move('running', ARGV[1], '')
  else
    tell('taken over', ARGV[1], '')
  end
end
return snapshot('done')
"""

HEARTBEAT = """
if not held(ARGV[1], ARGV[2]) then return snapshot('no') end
set('lease', now + tonumber(ARGV[3]))
return snapshot('done')
"""

STOP = """
local id, who = unpack(ARGV)
local stored = redis.call('HGET', req, id)
if stored then return snapshot('replayed') end
if redis.call('EXISTS', act) == 0 then return {'gone', {}, {}, {}} end
if overdue() then return snapshot('expired') end
local state = field('state')
if state ~= 'running' then return snapshot(next(EDGES[state]) and 'not-running' or 'already') end
if field('stop_by') ~= '' then return snapshot('stopping') end
set('stop_by', who, 'stop_at', now)
tell('stop', who, '')
return answered(id, 'done')
"""
"""A stop of what runs. From here on no step of it begins and it can only end stopped."""

KEEP_WAITING = """
local id, who, cause = unpack(ARGV)
local stored = redis.call('HGET', req, id)
if stored then return snapshot('replayed') end
if redis.call('EXISTS', act) == 0 then return {'gone', {}, {}, {}} end
local state = field('state')
if state ~= 'running' then return snapshot(next(EDGES[state]) and 'not-running' or 'already') end
if field('stop_by') ~= '' then return snapshot('stopping') end
if field('patient_with') == cause then return snapshot('patient') end
set('patient_with', cause, 'patient_by', who, 'patient_at', now)
tell('keep waiting', who, cause)
return answered(id, 'done')
"""
"""Somebody has seen what a rollout is stuck on, and waits all the same. Another cause is news."""

STEP = """
if not held(ARGV[1], ARGV[2]) then return snapshot('no') end
local stored = redis.call('HGET', req, ARGV[3])
if stored then return snapshot('replayed') end
if field('stop_by') ~= '' then return snapshot('stopping') end
redis.call('RPUSH', steps, cjson.encode({name = ARGV[4], detail = ARGV[5], at = now}))
tell('step ' .. ARGV[4], ARGV[1], ARGV[5])
return answered(ARGV[3], 'done')
"""

PROGRESS = """
if not held(ARGV[1], ARGV[2]) then return snapshot('no') end
if field('progress') ~= ARGV[3] then
  set('progress', ARGV[3])
  show()
end
return snapshot('done')
"""

WAITING = """
if field('state') ~= 'approved' then return snapshot('no') end
delay(ARGV[2])
if field('progress') ~= ARGV[1] then
  set('progress', ARGV[1])
  show()
end
return snapshot('done')
"""

HOLD_BACK = """
local owner, fence, why, longest = unpack(ARGV)
if not held(owner, fence) then return snapshot('no') end
set('lease', now)
if field('stop_by') ~= '' then return snapshot('stopping') end
delay(longest)
set('state', 'approved', 'progress', why)
tell('held back', owner, '')
return snapshot('done')
"""
"""A run that started nothing gives it back. What was stopped only has to be ended."""

FINISH = """
if field('state') == ARGV[3] and field('owner') == ARGV[1] and field('fence') == ARGV[2] then
  return snapshot('replayed')
end
if not held(ARGV[1], ARGV[2]) then return snapshot('no') end
if field('stop_by') ~= '' and ARGV[3] ~= 'stopped' then return snapshot('stopping') end
set('outcome', ARGV[4])
if not move(ARGV[3], ARGV[1], ARGV[4]) then return snapshot('no') end
return snapshot('done')
"""

RELEASE = """
if held(ARGV[1], ARGV[2]) then set('lease', now) end
return snapshot('done')
"""

FORCE_END = """
local id, who, state, outcome, even_held = unpack(ARGV)
if redis.call('HGET', req, id) then return snapshot('replayed') end
if redis.call('EXISTS', act) == 0 then return {'gone', {}, {}, {}} end
local old = field('state')
if old ~= 'running' then return snapshot(next(EDGES[old]) and 'not-running' or 'already') end
if even_held ~= '1' and now < number('lease') then return snapshot('held') end
set('outcome', outcome)
if not move(state, who, outcome) then return snapshot('no') end
return answered(id, 'done')
"""
"""Whoever keeps the bot ends a run that does not. A run that still has it finds its lease lost."""

TRANSITIONS = {
    "CREATE": CREATE,
    "DECIDE": DECIDE,
    "LOOK": LOOK,
    "SUPERSEDE": SUPERSEDE,
    "REMIND": REMIND,
    "LAPSE": LAPSE,
    "CLAIM": CLAIM,
    "HEARTBEAT": HEARTBEAT,
    "STOP": STOP,
    "KEEP_WAITING": KEEP_WAITING,
    "STEP": STEP,
    "PROGRESS": PROGRESS,
    "WAITING": WAITING,
    "HOLD_BACK": HOLD_BACK,
    "FINISH": FINISH,
    "RELEASE": RELEASE,
    "FORCE_END": FORCE_END,
}
"""Every transition there is, by name."""
