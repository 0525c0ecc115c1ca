-- Visitors of a landing for wrk: campaign clicks as in load.lua, and presses of a button with the cookies in BENCH_COOKIE.
local agents = {
  "Mozilla/5.0 (Linux; Android 14; SM-A546B) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/129.0.0.0 Mobile Safari/537.36",
  "Mozilla/5.0 (Linux; Android 13; 2201117TG) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/127.0.0.0 Mobile Safari/537.36",
  "Mozilla/5.0 (iPhone; CPU iPhone OS 17_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.6 Mobile/15E148 Safari/604.1",
  "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36",
  "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15",
}
local requests = {}
local next_request = 0

function init(args)
  local cookie = os.getenv("BENCH_COOKIE") or ""
  math.randomseed(7)
  for i = 1, 2000 do
    local path = args[1]
    if path:sub(1, 3) == "/c/" then
      local id = string.format("%08x%08x%04x", math.random(0, 0x7fffffff), math.random(0, 0x7fffffff), i)
      path = path .. "?external_id=" .. id .. "&cost=0.0" .. math.random(100, 999) .. "&zone=" .. math.random(100000, 999999)
        .. "&campaign=" .. math.random(1000, 9999) .. "&creative=banner%20" .. math.random(1, 40) .. "&country=de"
    end
    requests[i] = wrk.format("GET", path, {
      ["Host"] = "track.example.com",
      ["User-Agent"] = agents[i % #agents + 1],
      ["Accept"] = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
      ["Accept-Language"] = "de-DE,de;q=0.9,en-US;q=0.8,en;q=0.7",
      ["Accept-Encoding"] = "gzip, deflate, br, zstd",
      ["Referer"] = "https://landing.example.net/",
      ["Cookie"] = cookie ~= "" and cookie or nil,
      ["Upgrade-Insecure-Requests"] = "1",
      ["Sec-Fetch-Dest"] = "document",
      ["Sec-Fetch-Mode"] = "navigate",
      ["Sec-Fetch-Site"] = "cross-site",
    })
  end
end

function request()
  next_request = next_request % #requests + 1
  return requests[next_request]
end
