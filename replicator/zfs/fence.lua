-- The fence (zfs/fence.py), before each program. Only a local stamp counts: its source is the dataset itself.
local function own(dataset, key)
  local value, source = zfs.get_prop(dataset, key)
  if value ~= nil and source == dataset then return value end
  return nil
end
local function refuses(dataset)  -- the same rule as standing() in fence.py
  local owner, epoch = own(dataset, "zsr:owner"), own(dataset, "zsr:epoch")
  if request.epoch == "" then return owner ~= nil and owner ~= request.owner end
  if epoch == nil then return false end
  local wanted = string.match(epoch, "^([1-9]%d*)%-claimed$")
  if wanted and #wanted <= 9 then return tonumber(wanted) > tonumber(request.epoch) end
  if #epoch > 9 or not string.find(epoch, "^[1-9]%d*$") then return true end
  local seen, ours = tonumber(epoch), tonumber(request.epoch)
  return seen > ours or (seen == ours and owner ~= nil and owner ~= request.owner)
end
local function refused(datasets)
  for _, dataset in ipairs(datasets) do
    if request.owner ~= "" and zfs.exists(dataset) and refuses(dataset) then
      return {fenced = dataset, owner = own(dataset, "zsr:owner"), epoch = own(dataset, "zsr:epoch")}
    end
  end
  return nil
end
local function is_stamped(dataset)
  return own(dataset, "zsr:owner") == request.owner and own(dataset, "zsr:epoch") == request.epoch
end
local function stamp(dataset)
  if request.owner == "" or request.epoch == "" or is_stamped(dataset) then return true end
  if not zfs.sync.set_prop then return false end
  return zfs.sync.set_prop(dataset, "zsr:owner", request.owner) == 0
      and zfs.sync.set_prop(dataset, "zsr:epoch", request.epoch) == 0
end
