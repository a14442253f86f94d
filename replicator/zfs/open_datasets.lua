-- List the datasets that are open: a rollback would be refused for that (EBUSY). channel_programs.py puts `request` and
-- fence.lua first. Nothing is changed.
local opened = {}
for _, name in ipairs(request.datasets) do
  if zfs.exists(name) and zfs.check.rollback(name) == 16 then opened[#opened + 1] = name end
end
return {opened = opened}
