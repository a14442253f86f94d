-- Verify snapshots by GUID; only then tag what was made on a replica meanwhile, destroy stale snapshots, by GUID too,
-- and make bookmarks. channel_programs.py puts `request` and fence.lua first.
local fenced = refused(request.compared)
if fenced then return fenced end
local marks, here, untagged = {}, {}, {}
for _, expected in ipairs(request.expected) do
  if not zfs.exists(expected.snapshot) then return {unproven = expected.snapshot} end
  if tostring(zfs.get_prop(expected.snapshot, "guid")) ~= expected.guid then
    return {unproven = expected.snapshot}
  end
end
for _, expected in ipairs(request.expected) do
  local dataset = string.sub(expected.snapshot, 1, string.find(expected.snapshot, "@", 1, true) - 1)
  local guid = tostring(zfs.get_prop(dataset, "guid"))
  marks[#marks + 1] = guid .. "\t" .. (own(dataset, "zsr:job") or "") .. "\t" .. (own(dataset, "zsr:source") or "")
end
for _, replica in ipairs(request.received) do
  local first = replica.dataset .. "@" .. replica.own
  for snapshot in zfs.list.snapshots(replica.dataset) do
    if zfs.get_prop(snapshot, "createtxg") > replica.after and string.sub(snapshot, 1, #first) ~= first
        and not replica.sent[tostring(zfs.get_prop(snapshot, "guid"))] then
      here[#here + 1] = snapshot
    end
  end
end
for _, snapshot in ipairs(here) do
  local failed = not zfs.sync.set_prop or zfs.sync.set_prop(snapshot, "zsr:job", request.made_here) ~= 0
  if failed then untagged[#untagged + 1] = snapshot end
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
return {
  left = left, bookmarks = bookmarks, can_bookmark = zfs.sync.bookmark ~= nil,
  unstamped = unstamped, marks = marks, here = here, untagged = untagged,
}
