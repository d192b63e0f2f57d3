import { expect, test } from "bun:test"
import { fanOut } from "@spikeroute/cli/operations"
import { BackendUnavailableError, Policy, Shape } from "@spikeroute/core"
import { Effect } from "effect"
import { backendLayer } from "../src/backends.ts"
import { watch } from "../src/method/disturbance.ts"
import { AbsentError, measure, once, type Repeats, repeatsOf, type Subject } from "../src/method/measure.ts"
import { operationsOf } from "../src/method/operations.ts"
import { layer, Recorder } from "../src/method/recorder.ts"
import type { Row, Timing } from "../src/method/row.ts"
import { suites } from "../src/suites/index.ts"
import { checkStep, stepSubject } from "../src/workloads.ts"

const measured = (subjects: ReadonlyArray<Subject>, budget = { seconds: 10, rounds: 6 as number | undefined }) =>
  Effect.runPromise(
    Effect.gen(function* () {
      yield* measure("suite", { group: "group", values: { T: 1 }, subjects }, budget)
      return (yield* Recorder).rows()
    }).pipe(Effect.provide(layer(undefined))),
  )

const kinds = (rows: ReadonlyArray<Row>) =>
  rows.map((row) => ("subject" in row ? `${row.kind} ${row.subject}` : row.kind))

test("all suites together take at most 25 minutes", () => {
  expect(suites.reduce((sum, { seconds }) => sum + seconds, 0)).toBeLessThanOrEqual(1500)
})

test("a process shared by several subjects is subtracted from other load only once", async () => {
  const busy = () => Bun.spawn([process.execPath, "-e", "for (const end = Date.now() + 1500; Date.now() < end; );"])
  const [own, another] = [busy(), busy()]
  await Bun.sleep(200)
  const [once, often] = [watch([own.pid]), watch([own.pid, own.pid, own.pid])]
  await Bun.sleep(600)
  const [right, found] = [once(), often()]
  await Promise.all([own.exited, another.exited])
  if (process.platform !== "linux") return
  expect(right).toBeGreaterThan(0.1)
  // Subtracted three times, the process would leave nothing of the other load.
  expect(found).toBeGreaterThan((right as number) / 2)
})

test("rounds run all subjects in turn, and every sitting opens and closes them", async () => {
  const log: Array<string> = []
  const subject = (name: string): Subject => ({
    name,
    open: Effect.acquireRelease(
      Effect.sync(() => {
        log.push(`open ${name}`)
        return { run: Effect.sync(() => void log.push(name)).pipe(Effect.as(undefined)) }
      }),
      () => Effect.sync(() => log.push(`close ${name}`)),
    ),
  })
  const rows = (await measured([subject("A"), subject("B")])) as ReadonlyArray<Timing>
  const sitting = ["open A", "open B", ..."AB".repeat(4).split(""), "close B", "close A"]
  expect(log).toEqual([...sitting, ...sitting, ...sitting])
  expect(rows.map(({ sittings }) => sittings)).toEqual([
    [0, 0, 1, 1, 2, 2],
    [0, 0, 1, 1, 2, 2],
  ])
})

test("a repeatable unit first runs once untimed, so that the previous subject's traces do not count", async () => {
  let last = ""
  const subject = (name: string, seconds: number): Subject => ({
    name,
    open: Effect.succeed({
      repeatable: true,
      run: Effect.sync(() => {
        const cold = last !== name
        last = name
        return cold ? 3 * seconds : seconds
      }),
    }),
  })
  const rows = await measured([subject("A", 0.01), subject("B", 2)], { seconds: 10, rounds: 3 })
  expect((rows as ReadonlyArray<Timing>).map(({ seconds }) => seconds)).toEqual([
    [0.01, 0.01, 0.01],
    [2, 2, 2],
  ])
})

test("subjects that repeat units themselves are told the repetitions: one before the first timing, then as many as fit 50 ms", async () => {
  const told: Array<Repeats> = []
  const run = (repeats: Repeats) =>
    Effect.sync(() => {
      told.push(repeats)
      return 0.02
    })
  const rows = await measured([{ name: "A", open: Effect.succeed({ run: run(once), repeatable: run }) }], {
    seconds: 10,
    rounds: 3,
  })
  const later = { times: 3, uncounted: 1 }
  expect(told).toEqual([once, once, ...Array.from({ length: 7 }, () => later)])
  expect(rows).toMatchObject([{ seconds: [0.02, 0.02, 0.02] }])
})

test("the repetitions of a unit fill 50 ms", () => {
  const timesOf = (seconds: number) => repeatsOf(seconds).times
  expect([0, 1e-6, 0.001, 0.03, 0.05, 10].map(timesOf)).toEqual([1000, 1000, 50, 2, 1, 1])
})

test("wrong outputs are not timed, absent subjects are named, and a failure does not affect others", async () => {
  let ran = 0
  const opened = (error: number) => ({
    run: Effect.sync(() => {
      ran += error > 0 ? 1 : 0
      return 0.5
    }),
    check: Effect.succeed({ against: "the truth", error }),
  })
  const rows = await measured([
    { name: "right", open: Effect.succeed(opened(0)) },
    { name: "wrong", open: Effect.succeed(opened(0.1)) },
    { name: "not a number", open: Effect.succeed(opened(Number.NaN)) },
    { name: "absent", open: new AbsentError({ subject: "absent", reason: "it is not here" }) },
    { name: "native", open: new BackendUnavailableError({ backend: "native", reason: "no compiler" }) },
    { name: "broken", open: Effect.succeed({ run: Effect.die(new Error("it broke")) }) },
  ])
  expect(kinds(rows).sort()).toEqual([
    ...["absent absent", "absent native", "failed broken", "failed not a number", "failed wrong", "timing right"],
  ])
  expect(ran).toBe(0)
  expect(rows.find((row) => row.kind === "timing")).toMatchObject({ seconds: [0.5, 0.5, 0.5, 0.5, 0.5, 0.5] })
  expect(JSON.stringify(rows)).toContain("it broke")
})

test("a subject too slow for the time budget is left out and reported", async () => {
  const slow = { name: "slow", open: Effect.succeed({ run: Effect.succeed(30) }) }
  const rows = await measured([slow, { name: "fast", open: Effect.succeed({ run: Effect.succeed(0.0001) }) }], {
    ...{ seconds: 0.1, rounds: undefined },
  })
  expect(kinds(rows)).toEqual(["failed slow", "timing fast"])
})

test("only a library's fastest variants run in all rounds, and every library keeps at least three rounds", async () => {
  const timesOf = new Map<string, number>()
  const variant = (name: string, seconds: (time: number) => number): Subject => ({
    ...{ name, peer: "a library", variant: true },
    open: Effect.succeed({
      run: Effect.sync(() => {
        timesOf.set(name, (timesOf.get(name) ?? 0) + 1)
        return seconds(timesOf.get(name) as number)
      }),
    }),
  })
  const variants = [
    variant("fastest", () => 0.01),
    variant("near", () => 0.013),
    variant("held up at first", (time) => (time <= 2 ? 0.09 : 0.011)),
    variant("slower", () => 0.02),
  ]
  const rows = await measured([...variants, { ...variant("another's", () => 0.05), peer: "another" }], {
    ...{ seconds: -1, rounds: undefined },
  })
  expect(kinds(rows)).toEqual([
    ...["slower slower", "timing fastest", "timing near", "timing held up at first", "timing another's"],
  ])
  expect(rows[0]).toMatchObject({ seconds: 0.02, fastest: 0.01 })
  for (const row of rows.slice(1) as Array<Timing>) expect(row.seconds.length).toBe(3)
})

test("timed iterations do not change the weights or the loss", async () => {
  const workload = { model: "mlp", policy: Policy.sltt, timeSteps: 3, batchSize: 4, width: 0.02 } as const
  const losses = await Promise.all(
    [1, 7].map(async (rounds) => {
      const [row] = (await measured([stepSubject(workload, "wasm", 1)], { seconds: 1, rounds })) as [Timing]
      return row.loss
    }),
  )
  expect(losses[1]).toBe(losses[0] as number)
})

test("a training step is compared with the reference: loss, read-out, rates and gradients", async () => {
  const workload = { model: "mlp", policy: Policy.bptt, timeSteps: 3, batchSize: 4, width: 0.02 } as const
  const check = await Effect.runPromise(checkStep(workload).pipe(Effect.provide(backendLayer("wasm", 1))))
  expect(check.error).toBeLessThan(1e-4)
  const rows = await measured([stepSubject(workload, "wasm", 1)], { seconds: 1, rounds: 1 })
  const [row] = rows as [Timing]
  expect(row.loss).toBeWithin(1, 4)
  expect(row.firingRates?.length).toBe(2)
})

test("fan-out counts the windows of a convolution that see an element", () => {
  const [height, width, channels, outputs, kernelSize] = [5, 4, 2, 3, 3]
  for (const [stride, padding] of [
    [1, 0],
    [1, 1],
    [2, 1],
  ] as const) {
    const seen = new Array(height * width * channels).fill(0)
    for (let oy = 0; oy * stride + kernelSize <= height + 2 * padding; oy++)
      for (let ox = 0; ox * stride + kernelSize <= width + 2 * padding; ox++)
        for (let ky = 0; ky < kernelSize; ky++)
          for (let kx = 0; kx < kernelSize; kx++) {
            const [y, x] = [oy * stride + ky - padding, ox * stride + kx - padding]
            if (y < 0 || y >= height || x < 0 || x >= width) continue
            for (let c = 0; c < channels; c++) seen[(y * width + x) * channels + c] += outputs
          }
    expect(fanOut([height, width, channels], [kernelSize, kernelSize, channels, outputs], { stride, padding })).toEqual(
      Float64Array.from(seen),
    )
  }
})

test("NeuroBench's counts of an MLP follow from its firing rates", async () => {
  const [T, N] = [3, 4]
  const workload = { model: "mlp", policy: Policy.sltt, timeSteps: T, batchSize: N, width: 0.05 } as const
  const found = await Effect.runPromise(operationsOf(workload).pipe(Effect.provide(backendLayer("reference", 1))))
  const [inputs, hidden, classes] = [Shape.size([28, 28, 1]), 50, 10]
  const weights = inputs * hidden + hidden * hidden + hidden * classes
  expect(found["footprint bytes"]).toBe(4 * (weights + 2 * hidden + classes))
  expect(found["membrane updates"]).toBe(T * 2 * hidden)
  // The image does not change: its layer runs once. No pixel of noise is 0.
  expect(found["effective MACs"]).toBe(inputs * hidden)
  expect(found["dense synaptic operations"]).toBe(inputs * hidden + T * (hidden * hidden + hidden * classes))
  const fired = (1 - found["activation sparsity"]) * T * 2 * hidden
  expect(found["effective ACs"]).toBeWithin(fired * classes, fired * hidden + 1)
  expect(fired).toBeGreaterThan(0)
})
