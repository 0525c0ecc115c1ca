-- Notices for wrk, as networks send them: each of a click id of its own, read from the file that the first argument names.
local ids = {}
local next_id = 0
local pause = 0

function init(args)
  for line in io.lines(args[1]) do
    ids[#ids + 1] = line
  end
  pause = tonumber(args[2] or "0")
end

function request()
  next_id = next_id + 1
  if next_id > #ids then
    next_id = 1
  end
  local path = "/postback?cid=" .. ids[next_id] .. "&payout=12.50&currency=USD&status=sale&txid=" .. next_id .. "&goal=first_deposit"
  return wrk.format("GET", path, {
    ["Host"] = "track.example.com",
    ["User-Agent"] = "Affise/1.0 (postback; +https://network.example)",
    ["Accept"] = "*/*",
    ["Accept-Encoding"] = "gzip, deflate",
  })
end

-- Milliseconds before each request of a connection: the pause on average, drawn, for equal pauses would bring all connections into step.
function delay()
  if pause == 0 then
    return 0
  end
  return math.random(0, 2 * pause)
end
