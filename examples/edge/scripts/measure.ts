/**
 * `bun examples/edge/scripts/measure.ts PROGRAM`: what the worker costs under workerd on this machine, of a program file for `shapes`:
 * its start, its predictions, ten thousand requests, and what learning takes of memory. On Linux, which says what a process holds.
 */
import { readFileSync } from "node:fs"
import { ProgramFile } from "@spikeroute/backend-kernels"
import { makeShapes } from "@spikeroute/datasets"
import { Effect } from "effect"
import { Miniflare } from "miniflare"
import { bundle, type Host, start } from "./host.ts"
import { type IsolateMemory, isolateMemory, many, peakMemory, processorTime, runtimes, sampleRequest } from "./load.ts"

const [file] = process.argv.slice(2)
if (file === undefined) {
  process.stderr.write("error: give a program file: bun run export RUN --format program writes one\n")
  process.exit(2)
}
const program = new Uint8Array(readFileSync(file))
const token = "measure"
const modules = await bundle()

const say = (line: string) => process.stdout.write(`${line}\n`)
const sorted = (times: ReadonlyArray<number>) => times.toSorted((a, b) => a - b)
const quantile = (times: ReadonlyArray<number>, share: number) =>
  (sorted(times)[Math.min(times.length - 1, Math.floor(share * times.length))] ?? Number.NaN).toFixed(1)
const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(0)} MB`

/** Test samples of `shapes` as so many frames. */
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

// --- start: beside a worker that does nothing, so that what the runtime itself takes falls out

/** Medians over rounds, in milliseconds: of the time that passes, and of that for which workerd has a processor. */
const startOf = async (rounds: number, begin: () => Promise<() => Promise<void>>) => {
  const passed: Array<number> = []
  const processor: Array<number> = []
  for (let round = 0; round < rounds; round++) {
    let close = async () => {}
    passed.push(
      await timed(async () => {
        close = await begin()
      }),
    )
    processor.push(processorTime(runtimes()[0] ?? 0))
    await close()
  }
  return { passed: Number(quantile(passed, 0.5)), processor: Number(quantile(processor, 0.5)) }
}

const first = await startOf(9, async () => {
  const host = await start({ program, token, modules })
  await predict(host, 0)
  return host.close
})
const empty = await startOf(9, async () => {
  const script = 'export default { fetch: () => new Response("") }'
  const miniflare = new Miniflare({ modules: true, script, compatibilityDate: "2026-07-01", inspectorPort: 0 })
  await (await fetch(await miniflare.ready)).text()
  return () => miniflare.dispose()
})
const beyond = (what: "passed" | "processor") => `${(first[what] - empty[what]).toFixed(1)} ms`
say(
  `from the start of workerd to the first prediction: ${first.passed} ms (processor ${first.processor} ms); beyond what an empty worker takes to its first answer: ${beyond("passed")} (processor ${beyond("processor")})`,
)

// --- predictions, one after the other and 16 at a time

const host = await start({ program, token, modules })
const [pid = 0] = runtimes()
for (let i = 0; i < 100; i++) await predict(host, i)
const later: Array<number> = []
const taken = processorTime(pid)
for (let i = 0; i < 400; i++) later.push(await timed(() => predict(host, i)))
const each = ((processorTime(pid) - taken) / later.length).toFixed(1)
say(
  `a later prediction, T = ${timeSteps}, over HTTP: median ${quantile(later, 0.5)} ms, 95 % within ${quantile(later, 0.95)} ms; processor ${each} ms`,
)

const describe = ({ heap, buffers }: IsolateMemory) => `${(heap / 1e6).toFixed(2)} + ${(buffers / 1e6).toFixed(2)} MB`
const held = [describe(await isolateMemory(host))]
const errors: Array<string> = []
const before = performance.now()
for (let part = 0; part < 5; part++) {
  await many(2000, 16, (i) => predict(host, i).catch((error) => errors.push(String(error))))
  held.push(describe(await isolateMemory(host)))
}
const seconds = (performance.now() - before) / 1000
say(`10,000 requests, 16 at a time: ${errors.length} errors, ${(10_000 / seconds).toFixed(0)} a second`)
for (const error of new Set(errors)) say(`  ${error}`)
say(`the isolate's heap and buffers, before and after each 2,000: ${held.join(", ")}`)
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
  const peak = peakMemory(process)
  say(
    `learning, T = ${steps}: median ${quantile(times.slice(5), 0.5)} ms a sample; all of workerd at most ${megabytes(peak)}`,
  )
  await learner.close()
}

// --- what it learns: a camera that hangs upside down

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
    await fetch(new URL(`/learn?label=${label}`, url), sampleRequest(sample, token))
    if (i === 499 || i === 1999) reached.push(await accuracy())
  }
  say(`upside down: accuracy ${reached[0]}, after 500 samples ${reached[1]}, after 2,000 ${reached[2]}`)
  await close()
}
process.exit()
