-- Give a replica to another job: compare all that was decided about, then set marks and stamps; all of it or nothing.
-- mark_changes.py puts `request` and fence.lua first. The request's fence is that of the job that has the replica.
local name = request.dataset
if not zfs.exists(name) or tostring(zfs.get_prop(name, "guid")) ~= request.guid then
  return {changed = "is another dataset now"}
end
local fenced = refused({name})
if fenced then return fenced end
for key, value in pairs(request.marks) do
  if own(name, key) ~= value then return {changed = "has other marks now"} end
end
if zfs.get_prop(name, "readonly") ~= "on" then return {changed = "is writable now"} end
if zfs.get_prop(name, "written") ~= 0 then return {changed = "was written to"} end
if not zfs.sync.set_prop then return {unable = true} end
for _, each in ipairs(request.values) do
  local failed = zfs.sync.set_prop(name, each.key, each.value)
  if failed ~= 0 then error("cannot set " .. each.key .. " of " .. name .. ": " .. failed) end
end
return {done = true}
