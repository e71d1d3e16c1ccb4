"""The Lua of every transition: each is one atomic step, and each may be repeated.

redis-py repeats a command whose reply was lost, so a script that matters takes a request id and
answers a repetition with the stored answer. Time is Redis' own. Only commands of Redis 7.0 are
used. All keys of an action carry the hash tag `{a:<id>}`, so they live in one slot of a cluster.
"""

from deploy.actions.record import EDGES


def _edges() -> str:
    rows = ", ".join(
        f"[{old.value!r}] = {{{', '.join(f'[{new.value!r}] = true' for new in sorted(following))}}}"
        for old, following in EDGES.items()
    )
    return f"local EDGES = {{{rows}}}"


PRELUDE = (
    _edges()
    + """
local act, req, out, aud, steps = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function field(name) return redis.call('HGET', act, name) or '' end
local function number(name) return tonumber(field(name)) or 0 end
local function set(...) redis.call('HSET', act, ...) end

local function snapshot(result)
  return {result, redis.call('HGETALL', act), redis.call('LRANGE', steps, 0, -1)}
end

-- A change worth telling: a new version, a line in the audit, an entry in the outbox.
local function tell(event, who, detail)
  local version = redis.call('HINCRBY', act, 'version', 1)
  set('updated', now)
  redis.call('XADD', aud, '*', 'event', event, 'who', who, 'detail', detail, 'version', version)
  redis.call('XADD', out, '*', 'version', version)
end

local function move(state, who, detail)
  local old = field('state')
  if not (EDGES[old] and EDGES[old][state]) then
    return false
  end
  set('state', state)
  tell(state, who, detail)
  if next(EDGES[state]) == nil then
    for _, key in ipairs({act, req, out, aud, steps}) do
      redis.call('PEXPIRE', key, field('keep'))
    end
  end
  return true
end

local function answered(id, result)
  redis.call('HSET', req, id, result)
  return snapshot(result)
end

local function held(owner, fence)
  return field('state') == 'running' and field('owner') == owner and field('fence') == fence
end

local function overdue()
  if field('state') == 'pending' and now >= number('expires') then
    move('expired', '', '')
    return true
  end
  return false
end
"""
)

CREATE = """
if redis.call('EXISTS', act) == 1 then
  return snapshot(field('made_by') == ARGV[1] and 'done' or 'taken')
end
set('made_by', ARGV[1], 'body', ARGV[2], 'state', 'pending', 'version', 0, 'created', now,
    'expires', now + tonumber(ARGV[3]), 'keep', ARGV[4], 'requester', ARGV[5], 'digest', ARGV[6])
tell('pending', ARGV[5], '')
return snapshot('done')
"""

DECIDE = """
local stored = redis.call('HGET', req, ARGV[1])
if stored then return snapshot('replayed') end
if redis.call('EXISTS', act) == 0 then return {'gone', {}, {}} end
if overdue() then return answered(ARGV[1], 'expired') end
if field('state') ~= 'pending' then
  return snapshot(field('state') == 'expired' and 'expired' or 'already')
end
if field('digest') ~= ARGV[4] then return snapshot('stale') end
if field('requester') ~= ARGV[3] then return snapshot('not-requester') end
set('decided_by', ARGV[3], 'decided', now)
move(ARGV[2], ARGV[3], ARGV[4])
return answered(ARGV[1], 'done')
"""
"""Confirm and cancel: replay, state, expiry, digest, requester, in this order."""

EXPIRE = """
return snapshot(overdue() and 'done' or 'no')
"""

CLAIM = """
local state = field('state')
local free = state == 'approved' or (state == 'running' and now >= number('lease'))
local again = state == 'running' and field('owner') == ARGV[1] and field('fence') == ARGV[2]
if not free and not again then return snapshot('no') end
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

STEP = """
if not held(ARGV[1], ARGV[2]) then return snapshot('no') end
local stored = redis.call('HGET', req, ARGV[3])
if stored then return snapshot('replayed') end
redis.call('RPUSH', steps, cjson.encode({name = ARGV[4], detail = ARGV[5], at = now}))
tell('step ' .. ARGV[4], ARGV[1], ARGV[5])
return answered(ARGV[3], 'done')
"""

PROGRESS = """
if not held(ARGV[1], ARGV[2]) then return snapshot('no') end
if field('progress') ~= ARGV[3] then
  set('progress', ARGV[3])
  tell('progress', ARGV[1], '')
end
return snapshot('done')
"""

WAITING = """
if field('state') ~= 'approved' then return snapshot('no') end
if field('progress') ~= ARGV[1] then
  set('progress', ARGV[1])
  tell('waiting', '', ARGV[1])
end
return snapshot('done')
"""

FINISH = """
if field('state') == ARGV[3] and field('owner') == ARGV[1] and field('fence') == ARGV[2] then
  return snapshot('replayed')
end
if not held(ARGV[1], ARGV[2]) then return snapshot('no') end
set('outcome', ARGV[4])
if not move(ARGV[3], ARGV[1], ARGV[4]) then return snapshot('no') end
return snapshot('done')
"""

RELEASE = """
if held(ARGV[1], ARGV[2]) then set('lease', now) end
return snapshot('done')
"""

CLAIM_DELIVERY = """
if redis.call('EXISTS', act) == 0 then return {'gone', {}, {}} end
if number('version') <= number('delivered') then return snapshot('paid') end
if field('sender') ~= ARGV[1] and now < number('sending') then return snapshot('busy') end
if now < number('not_before') and field('sender') ~= ARGV[1] then return snapshot('busy') end
set('sender', ARGV[1], 'sending', now + tonumber(ARGV[2]))
redis.call('HINCRBY', act, 'tries', 1)
return snapshot('done')
"""

DELIVERED = """
if field('sender') ~= ARGV[1] then return snapshot('no') end
if tonumber(ARGV[2]) > number('delivered') then set('delivered', ARGV[2]) end
if ARGV[3] == '' then redis.call('HDEL', act, 'message') else set('message', ARGV[3]) end
set('sending', 0, 'tries', 0)
local paid = redis.call('XRANGE', out, '-', '+')
for _, entry in ipairs(paid) do
  if tonumber(entry[2][2]) <= number('delivered') then redis.call('XDEL', out, entry[1]) end
end
return snapshot(number('version') > number('delivered') and 'owed' or 'paid')
"""

RELEASE_DELIVERY = """
if field('sender') == ARGV[1] then set('sending', 0, 'not_before', now + tonumber(ARGV[2])) end
return snapshot('done')
"""

DUE = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])
for _, id in ipairs(ids) do redis.call('ZADD', KEYS[1], now + tonumber(ARGV[2]), id) end
return ids
"""

GATEWAY_ACQUIRE = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local held = tonumber(redis.call('HGET', KEYS[1], 'until') or 0) > now
local mine = redis.call('HGET', KEYS[1], 'owner') == ARGV[1]
  and redis.call('HGET', KEYS[1], 'action') == ARGV[2]
if held and not mine then return {0, redis.call('HGET', KEYS[1], 'action')} end
if not (held and mine) then redis.call('HINCRBY', KEYS[1], 'fence', 1) end
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'action', ARGV[2], 'until', now + tonumber(ARGV[3]))
return {tonumber(redis.call('HGET', KEYS[1], 'fence')), ARGV[2]}
"""

GATEWAY_RENEW = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local held = redis.call('HMGET', KEYS[1], 'owner', 'fence')
if held[1] ~= ARGV[1] or held[2] ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'until', now + tonumber(ARGV[3]))
return 1
"""
"""Renew the gateway's lease; with 0 milliseconds, let go of it. The fence is kept for ever."""

INBOX_ACCEPT = """
if redis.call('EXISTS', KEYS[1]) == 1 then
  return redis.call('HGET', KEYS[1], 'claim') == ARGV[3] and 'new' or 'known'
end
redis.call('HSET', KEYS[1], 'payload', ARGV[1], 'claim', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 'new'
"""

INBOX_CLAIM = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if redis.call('EXISTS', KEYS[1]) == 0 or redis.call('HEXISTS', KEYS[1], 'answer') == 1 then
  return false
end
local held = tonumber(redis.call('HGET', KEYS[1], 'until') or 0) > now
if held and redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] then return false end
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'until', now + tonumber(ARGV[2]))
return redis.call('HGET', KEYS[1], 'payload')
"""

INBOX_DONE = """
if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('HSET', KEYS[1], 'answer', ARGV[1])
  redis.call('HDEL', KEYS[1], 'payload')
end
return 1
"""
