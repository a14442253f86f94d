-- Destroy a replica with its snapshots: all of it, or nothing. channel_programs.py puts `request` and fence.lua first.
local name = request.dataset
if not zfs.exists(name) then return {changed = name} end
local fenced = refused({name})
if fenced then return fenced end
if tostring(zfs.get_prop(name, "guid")) ~= request.guid then return {changed = name} end
if not request.kept_aside and zfs.get_prop(name, "written") ~= 0 then return {changed = name} end
for child in zfs.list.children(name) do return {changed = child} end
local snapshots = {}
for snapshot in zfs.list.snapshots(name) do
  if not request.snapshots[tostring(zfs.get_prop(snapshot, "guid"))] then return {changed = snapshot} end
  snapshots[#snapshots + 1] = snapshot
end
-- `zfs destroy -r` finds out that a dataset is open only after it has destroyed the snapshots. A rollback would be
-- refused for the same reason (EBUSY), and that can be asked first.
if #snapshots > 0 and zfs.check.rollback(name) == 16 then return {open = name} end
for _, snapshot in ipairs(snapshots) do
  local failed = zfs.check.destroy(snapshot)
  if failed ~= 0 then return {failed = failed, needed = snapshot} end
end
for _, snapshot in ipairs(snapshots) do zfs.sync.destroy(snapshot) end
return {left = zfs.sync.destroy(name)}
