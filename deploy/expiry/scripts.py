"""The Lua of a gateway's warnings: each script is one atomic step and may be repeated.

Time is Redis' own, so neither a bot's clock nor a step of it makes a warning early or twice. Both
keys of a gateway carry the hash tag `{w:<ref>}`. Only commands of Redis 7.0 are used.
"""

from deploy.actions.versions import guard
from deploy.expiry.tracked import VERSION

PRELUDE = (
    guard(VERSION, "{'newer', {}, {}, '0', 0}")
    + """
local gw, log = KEYS[1], KEYS[2]
local KEPT = 30 * 86400000
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function field(name) return redis.call('HGET', gw, name) or '' end
local function number(name) return tonumber(field(name)) or 0 end
local function set(...) redis.call('HSET', gw, ...) end
local function drop(...) redis.call('HDEL', gw, ...) end
local function open() return number('episode') > 0 and field('over') == '' end

local before = number('version')
-- And whether its messages are behind now.
local function answer(result)
  local behind = number('version') ~= before and 1 or 0
  return {result, redis.call('HGETALL', gw), redis.call('LRANGE', log, 0, -1), tostring(now), behind}
end

-- Something that its messages must show; what is also told in the thread has its line in the log.
local function show() return redis.call('HINCRBY', gw, 'version', 1) end

local function tell(event, threshold, who, detail)
  show()
  redis.call('RPUSH', log, cjson.encode({number = redis.call('HINCRBY', gw, 'entries', 1),
    event = event, at = now, episode = number('episode'), threshold = threshold,
    expires = tonumber(field('expires')) or '', who = who, detail = detail}))
  redis.call('LTRIM', log, -60, -1)
end

-- A channel that was notified of an episode is notified of its end too, whatever the settings say then.
local function hear()
  for _, channel in ipairs(cjson.decode(field('body')).channels) do
    set('heard:' .. channel, field('episode'))
  end
end

local function close(how)
  if open() then
    set('over', how)
    tell(how, '', '', '')
  end
  drop('warned', 'snoozed', 'snoozed_by', 'snoozed_why', 'unrotated')
end
"""
)

READ = """
return answer('done')
"""

NOTE = """
-- ARGV: body, expiry in ms or empty where it is not known, how it ended or empty
local body, expires, over = ARGV[1], ARGV[2], ARGV[3]
local old = field('expires')
if over ~= '' then
  if redis.call('EXISTS', gw) == 0 then return answer('gone') end
  close(over)
  if field('over') == 'back' then set('over', over) end
  drop('expires')
  set('body', body, 'format', FORMAT)
  if over ~= 'signs in' then
    for _, key in ipairs({gw, log}) do redis.call('PEXPIRE', key, KEPT) end
  end
  return answer('done')
end
for _, key in ipairs({gw, log}) do redis.call('PERSIST', key) end
set('format', FORMAT)
if field('over') ~= '' and field('over') ~= 'renewed' then set('over', 'back') end
if field('body') ~= body then
  set('body', body)
  if open() then
    hear()
    show()
  end
end
if expires ~= '' and expires ~= old then
  set('expires', expires)
  if old ~= '' then close('renewed') end
end
return answer('done')
"""
"""What cannot be read now does not unsay what was known. A gateway that was over and has a token again
is `back`: nothing is open, but it is listed, rotated and warned of like any other."""

CROSS = """
-- ARGV: the expiry in ms that was looked at, the threshold in seconds that it has passed
if field('expires') ~= ARGV[1] then return answer('moved') end
local threshold = tonumber(ARGV[2])
local warned = field('warned')
if warned ~= '' and tonumber(warned) <= threshold then return answer('known') end
if now < tonumber(ARGV[1]) - threshold * 1000 then return answer('early') end
if threshold > 0 and now < number('snoozed') then return answer('snoozed') end
if number('episode') == 0 or field('over') ~= '' then
  local expiry = math.floor(tonumber(ARGV[1]) / 1000)
  set('episode', string.format('%.0f', math.max(number('episode') + 1, expiry)))
end
drop('over')
hear()
set('warned', ARGV[2])
tell('warning', threshold, '', '')
return answer('done')
"""
"""One warning for each expiry and threshold, whoever asks for it and however often. An episode has
the number of its token's expiry: should Redis lose its data, the next has the same."""

SNOOZE = """
-- ARGV: request id, who, why, until when in ms
if not open() then return answer('over') end
if field('snoozed_id') == ARGV[1] then return answer('replayed') end
set('snoozed', ARGV[4], 'snoozed_by', ARGV[2], 'snoozed_why', ARGV[3], 'snoozed_id', ARGV[1])
tell('snoozed', '', ARGV[2], ARGV[3])
return answer('done')
"""

AZURE = """
-- ARGV: kind of event, expiry in ms, instance
if redis.call('EXISTS', gw) == 0 then return answer('gone') end
local known, told, over = number('expires'), tonumber(ARGV[2]), field('over')
if field('expires') == '' then
  if over == '' or (over == 'back' and told > now) then
    set('expires', ARGV[2])
    known = told
  end
elseif cjson.decode(field('body')).source == 'unknown' and told > known + 60000 then
  set('expires', ARGV[2])
  known = told
  close('renewed')
end
if open() and math.abs(known - told) <= 60000 then
  local function said(kind) return math.abs(number('azure:' .. kind) - known) <= 60000 end
  if not (said(ARGV[1]) or said('expired')) then
    set('azure:' .. ARGV[1], ARGV[2])
    tell('azure ' .. ARGV[1], '', '', ARGV[3])
  end
end
return answer('done')
"""
"""Where nothing else tells the expiry, Azure's event does; a later one is of a newer token.

What instances' tokens say that were made within a minute of the one that is known counts as one: a
gateway that runs in several places has such, and each event comes here again and again."""

UNROTATED = """
-- ARGV: why it is not rotated automatically, empty where it is
if redis.call('EXISTS', gw) == 0 or field('unrotated') == ARGV[1] then return answer('known') end
if ARGV[1] == '' then drop('unrotated') else set('unrotated', ARGV[1]) end
if open() then show() end
return answer('done')
"""

SCRIPTS = {
    "READ": READ,
    "NOTE": NOTE,
    "CROSS": CROSS,
    "SNOOZE": SNOOZE,
    "AZURE": AZURE,
    "UNROTATED": UNROTATED,
}
