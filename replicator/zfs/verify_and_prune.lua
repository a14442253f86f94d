-- Prove snapshots by GUID; only then destroy stale ones and make bookmarks. `request` is set before (programs.py).
for _, proof in ipairs(request.proofs) do
  if not zfs.exists(proof.snapshot) then return {unproven = proof.snapshot} end
  if tostring(zfs.get_prop(proof.snapshot, "guid")) ~= proof.guid then return {unproven = proof.snapshot} end
end
local left = {}
for _, snapshot in ipairs(request.stale) do
  if zfs.exists(snapshot) then
    local failed = zfs.sync.destroy({snapshot, defer = true})
    if failed ~= 0 and failed ~= 2 then left[snapshot] = failed end
  end
end
for _, mark in ipairs(request.bookmarks) do
  local failed = zfs.sync.bookmark and zfs.sync.bookmark(mark.snapshot, mark.bookmark) or 0
  if failed ~= 0 and failed ~= 17 then left[mark.bookmark] = failed end
end
local marks = {}
for _, dataset in ipairs(request.marked) do
  for mark in zfs.list.bookmarks(dataset) do marks[#marks + 1] = mark end
end
return {left = left, marks = marks, bookmarks = zfs.sync.bookmark ~= nil}
