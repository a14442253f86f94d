-- List a guest's volumes and take their snapshots, unless nothing changed. channel_programs.py puts `request` first.
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
local function facts(dataset)
  row(dataset, true)
  for snapshot in zfs.list.snapshots(dataset) do row(snapshot, false) end
end

for _, place in ipairs(request.places) do
  if zfs.exists(place.path) then
    for child in zfs.list.children(place.path) do
      if starts(child, place.prefixes) and not request.excluded[child] then volumes[#volumes + 1] = child end
    end
  else
    return {absent = place.path}
  end
end
for _, name in ipairs(request.names) do
  if not zfs.exists(name) then return {absent = name} end
  volumes[#volumes + 1] = name
end
local fenced = refused(volumes)
if fenced then return fenced end
local unchanged = #volumes > 0 and request.since ~= ""
for _, volume in ipairs(volumes) do
  unchanged = unchanged and zfs.exists(volume .. "@" .. request.since)
      and zfs.get_prop(volume, "written@" .. request.since) == 0
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
  facts(volume)
end
return {rows = rows, taken = not unchanged}
