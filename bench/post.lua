-- wrk: a POST of a new appeal a request, each with its own Idempotency-Key.
local thread = 0

function setup(t)
  thread = thread + 1
  t:set('number', thread)
end

function init()
  math.randomseed(os.time() + number)
  run = string.format('bench-%d-%08x%08x', number, math.random(0, 0x7fffffff), math.random(0, 0x7fffffff))
  count = 0
  headers = { ['Content-Type'] = 'application/json', ['X-Api-Key'] = os.getenv('OTKLIK_API_KEY') }
end

function request()
  count = count + 1
  headers['Idempotency-Key'] = run .. '-' .. count
  return wrk.format('POST', '/api/v1/appeals', headers, string.format(
    '{"text":"Во дворе третий день не горит фонарь, письмо %d","point":{"lat":%.5f,"lon":%.5f},' ..
    '"contact":{"name":"Проверкин Проверка","email":"test@example.org"},"consent":"2026-01"}',
    count, 57.3 + math.random() * 0.9, 60.2 + math.random() * 2))
end


function done(summary, latency)
  io.stderr:write(string.format('    p50 %.2f ms, p99 %.2f ms, not 2xx: %d, socket errors: %d\n', latency:percentile(50) / 1000,
    latency:percentile(99) / 1000, summary.errors.status, summary.errors.connect + summary.errors.read + summary.errors.timeout))
  io.write(string.format('%.1f\n', (summary.requests - summary.errors.status) / (summary.duration / 1e6)))
end
