"""The Lua of message records: each is one atomic step, and each may be repeated.

redis-py repeats a command whose reply was lost. Time is Redis' own. A record, the index and the
budgets of Slack's methods share a hash tag, so a script may change several of them in a cluster.
"""

from deploy.actions.versions import guard

VERSION = 1
"""Of the form in which a record is stored."""

KEEP_MS = 60 * 86_400_000
_FINAL_MS = 31 * 86_400_000

_CLOCK = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
"""
_HELD = """
local held = redis.call('HMGET', KEYS[1], 'owner', 'until')
local mine = held[1] == ARGV[1] and tonumber(held[2] or 0) > now
"""

_DOUBT = """
local function doubt(member)
  if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('HSET', KEYS[1], 'doubt', 1) end
  redis.call('ZADD', KEYS[2], 'LT', now, member)
end
"""
"""A bot that has lost its turn may have put an older content over a newer one: the next turn shows its
own, whatever the record says of what is shown."""
_COUNTED = """
local longest, scarcest = 0, 0
local function lacks(index, wait)
  if wait > longest then longest, scarcest = wait, index - 2 end
end
for index = 2, #KEYS do
  local paused = redis.call('HMGET', KEYS[index], 'paused')[1]
  lacks(index, tonumber(paused or 0) - now)
end
if longest > 0 then return {'wait', longest, scarcest} end
local left = {}
for index = 2, #KEYS do
  local rate, burst, reserve = unpack(ARGV, 4 + (index - 2) * 3, 6 + (index - 2) * 3)
  local bucket = redis.call('HMGET', KEYS[index], 'left', 'at')
  local had = tonumber(bucket[1] or burst) + math.max(0, now - tonumber(bucket[2] or now)) * rate / 1000
  left[index] = math.min(tonumber(burst), had)
  local lacking = 1 + reserve - left[index]
  if lacking > 0.000001 then lacks(index, math.ceil(lacking * 1000 / rate)) end
end
if longest > 0 then return {'wait', longest, scarcest} end
for index = 2, #KEYS do
  redis.call('HSET', KEYS[index], 'left', tostring(left[index] - 1), 'at', now)
  redis.call('PEXPIRE', KEYS[index], 3600000)
end
"""
"""Count a call in every bucket of KEYS[2] and following, or return how long to wait for it, and for which
of them, the first being 0."""

DUE = (
    _CLOCK
    + """
local generation = redis.call('GET', KEYS[2])
if not generation then
  redis.call('SET', KEYS[2], now)
  generation = now
end
return {tostring(generation), redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])}
"""
)
"""KEYS index, generation; ARGV limit. What may be behind, the longest due first, and since when
(milliseconds) this Redis has held the records: after a reset it holds none from earlier."""

TAKE = (
    guard(VERSION, "{'newer', {}, 0}")
    + _CLOCK
    + """
local owner, member = ARGV[1], ARGV[3]
local held = redis.call('HMGET', KEYS[1], 'owner', 'until', 'not_before')
local function put_off(to)
  -- Where another bot has taken it since it was looked up, it is not marked.
  local due = tonumber(redis.call('ZSCORE', KEYS[2], member) or now + 1)
  if due <= now then redis.call('ZADD', KEYS[2], 'XX', to, member) end
  return {'wait', {}, now}
end
-- A little later than the turn lasts: it then still counts as marked during it.
if held[1] and held[1] ~= owner and tonumber(held[2]) > now then return put_off(held[2] + 1) end
if tonumber(held[3] or 0) > now then return put_off(held[3]) end
local till = now + tonumber(ARGV[2])
-- A score below any moment is a rank: then nobody knows since when it has been due.
local due = tonumber(redis.call('ZSCORE', KEYS[2], member) or now)
redis.call('HSETNX', KEYS[1], 'owed_since', due > 1e11 and math.min(due, now) or now)
redis.call('HSET', KEYS[1], 'owner', owner, 'until', till, 'taken', till, 'format', FORMAT)
redis.call('PEXPIRE', KEYS[1], ARGV[4])
if redis.call('HDEL', KEYS[1], 'doubt') == 1 then redis.call('HDEL', KEYS[1], 'hash') end
redis.call('ZADD', KEYS[2], till, member)
return {'yours', redis.call('HGETALL', KEYS[1]), now}
"""
)
"""KEYS record, index; ARGV owner, milliseconds, member, how long the record is kept. `owed_since` is for
whoever measures: no turn depends on it."""

SPEND = (
    guard(VERSION, "{'lost', 0}")
    + _CLOCK
    + _HELD
    + """
if not mine then return {'lost', 0} end
"""
    + _COUNTED
    + """
redis.call('HSET', KEYS[1], 'until', now + tonumber(ARGV[2]))
if ARGV[3] ~= '' then
  local intent = cjson.decode(ARGV[3])
  intent.since = now
  redis.call('HSET', KEYS[1], 'intent', cjson.encode(intent))
end
return {'go', now}
"""
)
"""KEYS record, then buckets; ARGV owner, milliseconds, intent or nothing, then a bucket's calls a
second, burst, and what it keeps for more urgent calls. A call is counted in all buckets or in none."""

COUNT = _CLOCK + _COUNTED + "return {'go', now}"
"""As SPEND, for a call that is about no message: KEYS[1] and ARGV[1] to ARGV[3] are not used."""

PAUSE = (
    _CLOCK
    + """
local method, channel, wait = KEYS[1], KEYS[2], tonumber(ARGV[1])
local function pause(key)
  local before = tonumber(redis.call('HGET', key, 'paused') or 0)
  redis.call('HSET', key, 'paused', math.max(before, now + wait))
  redis.call('PEXPIRE', key, 3600000 + 2 * wait)
end
if not channel then return pause(method) end
local limited = redis.call('HMGET', method, 'limited', 'limited_until')
local again = limited[1] and tonumber(limited[2]) > now
-- Calls to one channel that were under way together are refused together.
local waited = tonumber(redis.call('HGET', channel, 'paused') or 0) <= now
if ARGV[2] == '1' or (again and (limited[1] ~= channel or waited)) then pause(method) end
pause(channel)
redis.call('HSET', method, 'limited', channel, 'limited_until', now + 2 * wait)
redis.call('PEXPIRE', method, 3600000 + 2 * wait)
"""
)
"""KEYS the method's bucket, and the channel's if it has one; ARGV milliseconds for which Slack said to
wait, whether everywhere. It is the channel that waits, and the whole method where another channel is
refused meanwhile, or the same one although it waited."""

NOTE = (
    guard(VERSION, "0")
    + """
local change = cjson.decode(ARGV[1])
if redis.call('EXISTS', KEYS[1]) == 0 then return 'gone' end
local mine = redis.call('HGET', KEYS[1], 'owner') == ARGV[2]
local cursor = tonumber(redis.call('HGET', KEYS[1], 'cursor') or 0)
for name, value in pairs(change.posted) do
  local before = redis.call('HGET', KEYS[1], name) or ''
  if before ~= '' and before ~= value then return 'twice' end
  -- Of a line up to the cursor nothing but that is known.
  local lasts = string.sub(name, 1, 5) ~= 'line:' or string.sub(name, 1, 10) == 'line:once:'
  if not lasts and cursor > change.cursor then return 'twice' end
  redis.call('HSET', KEYS[1], name, value)
  if name == 'place' and before == '' and not mine then
    redis.call('HSET', KEYS[1], 'hash', change.set.hash, 'cursor', math.max(cursor, change.set.cursor))
  end
end
if mine then
  for name, value in pairs(change.set) do redis.call('HSET', KEYS[1], name, value) end
  for _, name in ipairs(change.drop) do redis.call('HDEL', KEYS[1], name) end
end
return 'kept'
"""
)
"""KEYS record; ARGV what became of a call and the cursor that its bot knows, owner. What was posted
must not be forgotten, and replaces nothing that is known already. Of a bot that has lost its turn
nothing else is noted: that is for the bot to say that has it."""

DONE = (
    guard(VERSION, "'newer'")
    + _CLOCK
    + _DOUBT
    + """
local held = redis.call('HMGET', KEYS[1], 'owner', 'taken')
local owner, member, shown, hash, cursor, final = unpack(ARGV)
if held[1] ~= owner then
  doubt(member)
  return 'late'
end
redis.call('HSET', KEYS[1], 'shown', shown, 'hash', hash, 'until', 0)
if redis.call('HGET', KEYS[1], 'cursor') ~= cursor then
  -- From now on the cursor alone says that lines up to it were posted.
  redis.call('HSET', KEYS[1], 'cursor', cursor)
  for _, name in ipairs(redis.call('HKEYS', KEYS[1])) do
    local lasts = string.sub(name, 1, 10) == 'line:once:'
    if string.sub(name, 1, 5) == 'line:' and not lasts then redis.call('HDEL', KEYS[1], name) end
  end
end
redis.call('HDEL', KEYS[1], 'failing', 'not_before', 'owed_since')
if final == '1' then redis.call('PEXPIRE', KEYS[1], """
    + str(_FINAL_MS)
    + """) end
-- What was marked during the turn has another score. Where another bot has put it off, it is due now.
local due = redis.call('ZSCORE', KEYS[2], member)
if due == held[2] then
  redis.call('ZREM', KEYS[2], member)
elseif due and tonumber(due) > tonumber(held[2]) then
  redis.call('ZADD', KEYS[2], 'XX', now, member)
end
return 'done'
"""
)
"""KEYS record, index; ARGV owner, member, version, hash, cursor, whether nothing more can come."""

RELEASE = (
    guard(VERSION, "0")
    + _CLOCK
    + _DOUBT
    + """
local owner, member, wait, hard, failing, waits = unpack(ARGV)
if redis.call('HGET', KEYS[1], 'owner') ~= owner then return doubt(member) end
redis.call('HSET', KEYS[1], 'until', 0)
if hard == '1' then redis.call('HSET', KEYS[1], 'not_before', now + tonumber(wait)) end
if failing == '1' then redis.call('HSETNX', KEYS[1], 'failing', now) end
if waits == '1' then redis.call('HDEL', KEYS[1], 'owed_since') end
-- What was marked during the turn may be more urgent than the rest.
local marked = redis.call('ZSCORE', KEYS[2], member) ~= redis.call('HGET', KEYS[1], 'taken')
local to = now + tonumber(wait)
if marked and hard ~= '1' then to = now end
redis.call('ZADD', KEYS[2], 'XX', to, member)
return 1
"""
)
"""KEYS record, index; ARGV owner, member, milliseconds, whether nothing newer may come before that,
whether it failed rather than waits for its turn, and whether it is meant to wait, and so is not late."""

DOUBT = _CLOCK + _DOUBT + "return doubt(ARGV[1])"
"""KEYS record, index; ARGV member."""

DROP = (
    _CLOCK
    + """
local owner, member = unpack(ARGV)
local held = redis.call('HMGET', KEYS[1], 'owner', 'taken')
if held[1] ~= owner then return 0 end
redis.call('DEL', KEYS[1])
if redis.call('ZSCORE', KEYS[2], member) == held[2] then
  redis.call('ZREM', KEYS[2], member)
else
  redis.call('ZADD', KEYS[2], 'XX', 'LT', now, member)
end
return 1
"""
)
"""KEYS record, index; ARGV owner, member. There is nothing that it could show, unless it was marked
since."""

SHOWN = """
local versions = {}
for index, key in ipairs(KEYS) do
  versions[index] = redis.call('HGET', key, 'shown') or ''
  if ARGV[1] ~= '' then redis.call('PEXPIRE', key, ARGV[1], 'GT') end
end
return versions
"""
"""KEYS records; ARGV how long each is kept from now on, where it is to be kept longer."""
