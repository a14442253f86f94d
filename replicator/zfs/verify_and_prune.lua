-- Verify snapshots by GUID; only then destroy stale ones, by GUID too, and make bookmarks. channel_programs.py puts `request` first.
local fenced = refused(request.compared)
if fenced then return fenced end
for _, expected in ipairs(request.expected) do
  if not zfs.exists(expected.snapshot) then return {unproven = expected.snapshot} end
  if tostring(zfs.get_prop(expected.snapshot, "guid")) ~= expected.guid then
    return {unproven = expected.snapshot}
  end
end
local left = {}
for _, stale in ipairs(request.stale) do
  local snapshot = stale.snapshot
  if zfs.exists(snapshot) and tostring(zfs.get_prop(snapshot, "guid")) == stale.guid then
    local failed = zfs.sync.destroy({snapshot, defer = true})
    if failed ~= 0 and failed ~= 2 then left[snapshot] = failed end
  end
end
for _, new in ipairs(request.bookmarks) do
  local failed = zfs.sync.bookmark and zfs.sync.bookmark(new.snapshot, new.bookmark) or 0
  if failed ~= 0 and failed ~= 17 then left[new.bookmark] = failed end
end
local bookmarks = {}
for _, dataset in ipairs(request.bookmarks_of) do
  for bookmark in zfs.list.bookmarks(dataset) do bookmarks[#bookmarks + 1] = bookmark end
end
local unstamped = {}
for _, dataset in ipairs(request.stamped) do
  if zfs.exists(dataset) and not stamp(dataset) then unstamped[#unstamped + 1] = dataset end
end
return {left = left, unstamped = unstamped, bookmarks = bookmarks, can_bookmark = zfs.sync.bookmark ~= nil}
