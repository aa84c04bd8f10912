-- Script for wrk: sends one kind of request and prints the summary as one line of JSON.
-- Everything is asked for by environment variables, set by wrk.py:
--   BENCH_METHOD  request method; GET when unset
--   BENCH_BODY    name of a file with the request body
--   BENCH_PATHS   name of a file with one URL path per line, requested at random
--   BENCH_CODINGS values of Accept-Encoding, separated by ";", taken in turn by the paths

local paths = {}

function init()
   wrk.method = os.getenv("BENCH_METHOD") or "GET"
   local body = os.getenv("BENCH_BODY")
   if body then
      local file = assert(io.open(body, "rb"))
      wrk.body = file:read("*a")
      file:close()
   end
   local list = os.getenv("BENCH_PATHS")
   if list then
      local codings = {}
      for coding in string.gmatch(os.getenv("BENCH_CODINGS") or "", "[^;]+") do
         codings[#codings + 1] = coding
      end
      for path in io.lines(list) do
         if #codings > 0 then
            wrk.headers["Accept-Encoding"] = codings[#paths % #codings + 1]
         end
         paths[#paths + 1] = wrk.format(nil, path)
      end
      -- Only now: with a function of its own wrk calls it for every request,
      -- without one it sends the same prepared bytes again and again.
      math.randomseed(20240229)
   end
end

if os.getenv("BENCH_PATHS") then
   function request()
      return paths[math.random(#paths)]
   end
end

function done(summary, latency)
   local errors = summary.errors
   io.write(string.format( -- latencies in microseconds
      '{"requests": %d, "microseconds": %d, "bytes": %d, "p50": %d, "p99": %d, "mean": %d, "max": %d, '
      .. '"connect": %d, "read": %d, "write": %d, "timeout": %d, "status": %d}\n',
      summary.requests, summary.duration, summary.bytes,
      latency:percentile(50), latency:percentile(99), latency.mean, latency.max,
      errors.connect, errors.read, errors.write, errors.timeout, errors.status))
end
