-- List a guest's volumes and take their snapshots, unless nothing changed. channel_programs.py puts `request` first.
-- What may meet a limit comes first: what a program has done before it fails is not taken back.
local rows, volumes, out = {}, {}, {}
local function starts(name, prefixes)
  for _, prefix in ipairs(prefixes) do
    if string.sub(name, 1, #prefix) == prefix then return true end
  end
  return false
end

local numbers = {guid = true, createtxg = true, creation = true, written = true}
local borrowed
-- A mark counts only where it was set; the second value of get_prop says where that was. Unlike a stamp it is noted.
local function mark(name, key)
  local value, setpoint = zfs.get_prop(name, key)
  if value ~= nil and setpoint ~= name then
    borrowed = true
    return nil
  end
  return value
end
local function read(name, key, isdataset)
  if key == "borrowed" then
    borrowed = false
    if isdataset then
      mark(name, "zsr:job")
      mark(name, "zsr:source")
    end
    return borrowed and "yes" or nil
  end
  local isours = string.find(name, "@" .. request.prefix, 1, true)
  if key == "zsr:owner" or key == "zsr:epoch" then
    return isdataset and own(name, key) or nil
  elseif string.find(key, ":", 1, true) then
    if isdataset or (isours and key == "zsr:source") then return mark(name, key) end
  elseif isdataset or numbers[key] then
    return zfs.get_prop(name, key)
  end
end
local function row(name, isdataset)
  local line = name
  for i = 2, #request.columns do
    local value = read(name, request.columns[i], isdataset)
    line = line .. "\t" .. (value == nil and "-" or tostring(value))
  end
  rows[#rows + 1] = line
end

local seen = {}
local function take(name)
  if not seen[name] then
    seen[name] = true
    volumes[#volumes + 1] = name
  end
end
for _, place in ipairs(request.places) do
  if zfs.exists(place.path) then
    for child in zfs.list.children(place.path) do
      if starts(child, place.prefixes) and not request.excluded[child] then take(child) end
    end
  else
    return {absent = place.path}
  end
end
-- What lies below them, at any depth, parents first: the same rule as in replication/branches.py.
local open, at = {}, 1
local function others(name)
  local job = mark(name, "zsr:job")
  local guest = job and string.match(job, "^([%w_]+)%-%d+$")
  return guest ~= nil and guest ~= request.guest
end
for _, name in ipairs(request.by_name and volumes or {}) do
  if not request.closed[name] then open[#open + 1] = name end
end
for _, name in ipairs(request.names) do
  if not zfs.exists(name) then return {absent = name} end
  take(name)
end
for _, name in ipairs(request.roots) do
  if zfs.exists(name) then open[#open + 1] = name end
end
while at <= #open do
  for child in zfs.list.children(open[at]) do
    local folder = string.find(child .. "/", "/zsr-diverged/", 1, true)
    if not request.closed[child] and not folder and not others(child) then
      take(child)
      open[#open + 1] = child
    end
  end
  at = at + 1
end
local fenced = refused(volumes)
if fenced then return fenced end
local function fits(name, patterns)
  for _, pattern in ipairs(patterns) do
    if string.find(name, pattern) then return true end
  end
  return false
end
-- The same rule as legs.has_new_to_send: others took a snapshot that travels since the set, without a byte in it.
local function hasnew(volume)
  if #request.wanted == 0 then return false end
  local since = zfs.get_prop(volume .. "@" .. request.since, "createtxg")
  for snapshot in zfs.list.snapshots(volume) do
    local name = string.sub(snapshot, #volume + 2)
    if string.sub(name, 1, #request.prefix) ~= request.prefix and zfs.get_prop(snapshot, "createtxg") > since
        and fits(name, request.wanted) and not fits(name, request.unwanted) then
      return true
    end
  end
  return false
end
local unchanged = #volumes > 0 and request.since ~= ""
for _, volume in ipairs(volumes) do
  unchanged = unchanged and zfs.exists(volume .. "@" .. request.since)
      and zfs.get_prop(volume, "written@" .. request.since) == 0 and not hasnew(volume)
end
for _, volume in ipairs(volumes) do
  for snapshot in zfs.list.snapshots(volume) do row(snapshot, false) end
end
if not unchanged then
  for _, check in ipairs({true, false}) do
    for _, volume in ipairs(volumes) do
      local make = check and zfs.check.snapshot or zfs.sync.snapshot
      local failed = make(volume .. "@" .. request.name)
      if failed ~= 0 then return {failed = failed, volume = volume} end
    end
  end
  if zfs.sync.set_prop then  -- says who took it, also where the memory of that is lost
    for _, volume in ipairs(volumes) do
      zfs.sync.set_prop(volume .. "@" .. request.name, "zsr:source", request.node)
    end
  end
end
-- A bookmark outlives a destroyed snapshot, and can be the base of the next run; making it may fail.
if not unchanged and request.bookmarks and zfs.sync.bookmark then
  for _, volume in ipairs(volumes) do
    zfs.sync.bookmark(volume .. "@" .. request.name, volume .. "#" .. request.name)
  end
end
for _, volume in ipairs(volumes) do
  stamp(volume)
  row(volume, true)
  if not unchanged then row(volume .. "@" .. request.name, false) end
end
return {rows = rows, taken = not unchanged}
