/**
 * `bun examples/edge/scripts/measure.ts PROGRAM`: measures the worker under workerd with a program file for `shapes`: its start, its
 * predictions, ten thousand requests, and the memory that learning takes. Linux only, because it reads process sizes. Limits are printed
 * beside the figures; if one is exceeded, or an error occurs, the exit code is 1.
 */
import { readFileSync } from "node:fs"
import { ProgramFile } from "@spikeroute/backend-kernels"
import { makeShapes } from "@spikeroute/datasets"
import { keptConnection } from "@spikeroute/test-support/connection"
import { Effect } from "effect"
import { Miniflare } from "miniflare"
import { bundle, type Host, start } from "./host.ts"
import { isolateMemory, many, peakMemory, processorTime, runtimes, sampleRequest } from "./load.ts"

const [file] = process.argv.slice(2)
if (file === undefined) {
  process.stderr.write("error: give a program file: bun run export RUN --format program writes one\n")
  process.exit(2)
}
const program = new Uint8Array(readFileSync(file))
const token = "measure"
const modules = await bundle()

const say = (line: string) => process.stdout.write(`${line}\n`)
/** The figures that exceeded their limit. */
const over: Array<string> = []
/** Prints a figure and its limit. */
const hold = (what: string, figure: number, limit: number, unit: string, more = "") => {
  const said = `${what}: ${Number(figure.toFixed(2))} ${unit}, limit ${limit}`
  say(`${said}${more}`)
  if (!(figure <= limit)) over.push(said)
}
const sorted = (times: ReadonlyArray<number>) => times.toSorted((a, b) => a - b)
const quantile = (times: ReadonlyArray<number>, share: number): number =>
  sorted(times)[Math.min(times.length - 1, Math.floor(share * times.length))] ?? Number.NaN
const megabytes = (bytes: number): number => bytes / 1e6

/** Test samples of `shapes` with this number of frames. */
const samplesOf = (timeSteps: number) => {
  const dataset = makeShapes({ timeSteps })
  const size = timeSteps * dataset.shape.reduce((product, extent) => product * extent, 1)
  return Array.from({ length: 50 }, (_, index) => {
    const sample = new Float32Array(size)
    Effect.runSync(dataset.test.write([index], undefined, sample))
    return { sample, label: dataset.test.label(index) }
  })
}

const timed = async (work: () => Promise<unknown>): Promise<number> => {
  const before = performance.now()
  await work()
  return performance.now() - before
}

const { graph, tensors, encoding, timeSteps } = await Effect.runPromise(ProgramFile.read(program, file))
const samples = samplesOf(timeSteps)
const sampleAt = (index: number) => samples[index % samples.length] as (typeof samples)[number]
const predict = async ({ url }: Pick<Host, "url">, index: number) => {
  const response = await fetch(new URL("/predict", url), sampleRequest(sampleAt(index).sample))
  const answer = await response.text()
  if (!response.ok) throw new Error(answer)
}

// --- start, compared with a worker that does nothing, to subtract the runtime's own share

/** Milliseconds until a worker has answered, and the processor time that workerd spent on it. */
const startOf = async (begin: () => Promise<() => Promise<void>>) => {
  let close = async () => {}
  const passed = await timed(async () => {
    close = await begin()
  })
  const processor = processorTime(runtimes()[0] ?? 0)
  await close()
  return { passed, processor }
}
const starts = {
  first: async () => {
    const host = await start({ program, token, modules })
    await predict(host, 0)
    return host.close
  },
  empty: async () => {
    const script = 'export default { fetch: () => new Response("") }'
    const miniflare = new Miniflare({ modules: true, script, compatibilityDate: "2026-07-01", inspectorPort: 0 })
    await (await fetch(await miniflare.ready)).text()
    return () => miniflare.dispose()
  },
}
const rounds: Array<Record<keyof typeof starts, Awaited<ReturnType<typeof startOf>>>> = []
// Alternating, so that other load affects both alike.
for (let round = 0; round < 15; round++)
  rounds.push({ first: await startOf(starts.first), empty: await startOf(starts.empty) })
const beyond = (what: "passed" | "processor") =>
  quantile(
    rounds.map(({ first, empty }) => first[what] - empty[what]),
    0.5,
  )
hold(
  "from the start of workerd to the first prediction, beyond an empty worker's first answer",
  beyond("passed"),
  50,
  "ms",
  `; processor time ${beyond("processor").toFixed(1)} ms`,
)

// --- predictions, one at a time and 16 at a time

const host = await start({ program, token, modules })
const [pid = 0] = runtimes()
for (let i = 0; i < 100; i++) await predict(host, i)
const later: Array<number> = []
const taken = processorTime(pid)
for (let i = 0; i < 400; i++) later.push(await timed(() => predict(host, i)))
const each = ((processorTime(pid) - taken) / later.length).toFixed(1)
const median = quantile(later, 0.5).toFixed(1)
hold(
  `later predictions over HTTP, T = ${timeSteps}, 95th percentile`,
  quantile(later, 0.95),
  5,
  "ms",
  `; median ${median} ms, processor time ${each} ms`,
)

const requests = 10_000
const parts = 5
/** Memory of the isolate in MB. Workerd itself keeps some memory per connection, for an empty worker too. */
const holding = async () => {
  const { heap, buffers } = await isolateMemory(host)
  return megabytes(heap + buffers)
}
const errors: Array<string> = []
const held = [await holding()]
const before = performance.now()
for (let part = 0; part < parts; part++) {
  await many(requests / parts, 16, (i) => predict(host, i).catch((error) => errors.push(String(error))))
  held.push(await holding())
}
const rate = (requests / ((performance.now() - before) / 1000)).toFixed(0)
hold(`${requests} requests, 16 at a time`, errors.length, 0, "errors", `; ${rate} per second`)
for (const error of new Set(errors)) say(`  ${error}`)
const grown = (held.at(-1) ?? Number.NaN) - (held[0] ?? Number.NaN)
const sizes = held.map((size) => size.toFixed(2)).join(", ")
hold(
  "growth of the isolate's heap and buffers, without WebAssembly memory, over these requests",
  grown,
  0.25,
  "MB",
  `; before and after each ${requests / parts}: ${sizes}`,
)

// --- refused requests leave the connection usable: a client that keeps it loses no request

const mixed = 5000
const octets = "HTTP/1.1\r\nhost: x\r\ncontent-type: application/octet-stream"
const sample = new Uint8Array(sampleAt(0).sample.buffer)
const kinds = [
  ["POST /predict", sample],
  ["POST /predict", sample.subarray(1)],
  ["POST /predict", new Uint8Array(2 ** 18)],
  ["POST /predict?margin=much", sample],
  ["POST /learn?label=0", sample],
  ["PUT /predict", sample],
  ["POST /teach", sample],
] as const
let lost = 0
const connections = Array.from({ length: 16 }, () => keptConnection(host.url))
await Promise.all(
  connections.map(async (_, own) => {
    for (let i = own; i < mixed; i += connections.length) {
      const [request, body] = kinds[i % kinds.length] as (typeof kinds)[number]
      const kept = connections[own] as (typeof connections)[number]
      await kept.send(`${request} ${octets}`, body).catch(() => {
        lost++
        connections[own] = keptConnection(host.url)
      })
    }
    connections[own]?.close()
  }),
)
hold(`${mixed} requests on ${connections.length} kept connections, six of seven refused`, lost, 0, "lost")
await host.close()

// --- learning

for (const steps of [8, 32, 128]) {
  const longer = await Effect.runPromise(ProgramFile.save(graph, tensors, { batchSize: 1, timeSteps: steps, encoding }))
  const learner = await start({ program: longer, token, modules })
  const [process = 0] = runtimes()
  const shown = samplesOf(steps)
  const times: Array<number> = []
  for (const { sample, label } of shown) {
    const url = new URL(`/learn?label=${label}`, learner.url)
    times.push(
      await timed(async () => {
        const response = await fetch(url, sampleRequest(sample, token))
        if (!response.ok) throw new Error(await response.text())
      }),
    )
  }
  hold(
    `learning, T = ${steps}: peak of the workerd process, without mapped files`,
    megabytes(peakMemory(process)),
    128,
    "MB",
    `; median ${quantile(times.slice(5), 0.5).toFixed(1)} ms per sample`,
  )
  await learner.close()
}

// --- accuracy after learning: a camera mounted upside down

const flipped = (sample: Float32Array): Float32Array<ArrayBuffer> => {
  const row = 16 * 2
  return Float32Array.from(sample, (_, i) => {
    const [frame, y] = [Math.floor(i / (16 * row)), Math.floor(i / row) % 16]
    return sample[frame * 16 * row + (15 - y) * row + (i % row)] as number
  })
}
if (timeSteps === 8 && encoding === "frames") {
  const dataset = makeShapes({ timeSteps })
  const upsideDown = (split: "train" | "test", index: number) => {
    const sample = new Float32Array(timeSteps * 16 * 16 * 2)
    Effect.runSync(dataset[split].write([index], undefined, sample))
    return { sample: flipped(sample), label: dataset[split].label(index) }
  }
  const { url, close } = await start({ program, token, modules })
  const accuracy = async () => {
    const right = await many(500, 16, async (i) => {
      const { sample, label } = upsideDown("test", i)
      const response = await fetch(new URL("/predict", url), sampleRequest(sample))
      return ((await response.json()) as { class: number }).class === label
    })
    return `${((100 * right.filter(Boolean).length) / right.length).toFixed(1)} %`
  }
  const reached = [await accuracy()]
  for (let i = 0; i < 2000; i++) {
    const { sample, label } = upsideDown("train", i)
    const response = await fetch(new URL(`/learn?label=${label}`, url), sampleRequest(sample, token))
    if (!response.ok) throw new Error(await response.text())
    if (i === 499 || i === 1999) reached.push(await accuracy())
  }
  say(`upside down: accuracy ${reached[0]}, after 500 samples ${reached[1]}, after 2,000 ${reached[2]}`)
  await close()
}
for (const what of over) process.stderr.write(`error: limit exceeded: ${what}\n`)
process.exit(over.length > 0 ? 1 : 0)
