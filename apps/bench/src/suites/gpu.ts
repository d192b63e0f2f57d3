/**
 * `gpu`: a training iteration on WebGPU, compared with TensorFlow.js and with the adapter's peak rates.
 *
 * Rates count the program's own work for both: additions and multiplications as if every neuron fired, and every operand of every instruction
 * moved once. A software adapter gets smaller networks and batches, and only ratios are printed; because these say nothing about a GPU, a run
 * of all suites leaves it out.
 */

import * as Gpu from "@spikeroute/backend-webgpu/gpu"
import { print, say, table } from "@spikeroute/cli/terminal"
import { type AnyKernel, kernels, Policy, Program, Shape } from "@spikeroute/core"
import { Effect } from "effect"
import { backendLayer, backendNames } from "../backends.ts"
import { formatRates, formatRatio, percent } from "../method/format.ts"
import { type GpuCeilings, gpuCeilings } from "../method/gpu-ceilings.ts"
import { countFor, type GpuCounts, noCounts } from "../method/gpu-counts.ts"
import { AbsentError, measure, type Subject } from "../method/measure.ts"
import { layer } from "../method/recorder.ts"
import type { Timing } from "../method/row.ts"
import { ratio, summarize } from "../method/statistics.ts"
import type { Case, Suite } from "../method/suite.ts"
import { checkStep, graphOf, stepSubject, trainingOptionsOf, valuesOf, type Workload } from "../workloads.ts"

const policy = Policy.sltt

const workloads: ReadonlyArray<Workload> = [
  { model: "conv", policy, timeSteps: 4, batchSize: 64 },
  { model: "mlp", policy, timeSteps: 25, batchSize: 128 },
  { model: "resnet18", policy, timeSteps: 6, batchSize: 128, shape: [32, 32, 3], tau: 1.1, optimizer: "sgd" },
  {
    ...{ model: "vgg11", policy, timeSteps: 10, batchSize: 32, shape: [48, 48, 2], encoding: "frames" },
    ...{ tau: 1.1, optimizer: "sgd" },
  },
]

/** Smaller workloads, which a software adapter runs in seconds. */
const onSoftware: Readonly<Partial<Record<Workload["model"], Partial<Workload>>>> = {
  conv: { batchSize: 8 },
  mlp: { timeSteps: 8, batchSize: 16 },
  resnet18: { width: 1 / 8, timeSteps: 2, batchSize: 2 },
  vgg11: { width: 1 / 8, timeSteps: 2, batchSize: 2 },
}

/** The models to time. */
export const gpuModels: ReadonlyArray<string> = workloads.map(({ model }) => model)

/** The backends, Spikeroute's own first. */
const backends = ["webgpu", "tfjs-webgpu"].filter((name) => backendNames.includes(name))

export interface GpuOptions {
  readonly models: ReadonlyArray<string>
  readonly rounds: number
}

/** Bytes of all operands of all instructions of a batch; updated operands count twice. */
const bytesMoved = (program: Program.Program): number => {
  const bytes = Object.fromEntries(
    Program.segmentNames.map((segment) => [
      segment,
      program.segments[segment].reduce((sum, { kernel, operands }) => {
        const access = (kernels.get(kernel) as AnyKernel).operands
        return Object.entries(operands).reduce((sum, [name, { buffer, accumulate }]) => {
          const twice = accumulate || (access[name] as string).startsWith("update")
          return sum + (twice ? 2 : 1) * (program.buffers[buffer] as Program.Buffer).stride
        }, sum)
      }, 0),
    ]),
  )
  return Program.schedule(program, Program.representativeSteps(program)).reduce(
    (sum, { segment }) => sum + (bytes[segment] as number),
    0,
  )
}

/** A backend with counted WebGPU calls: dispatches and submissions of the last step, and peak memory. */
const counted = (workload: Workload, name: string, counts: GpuCounts): Subject => {
  const subject = stepSubject(workload, name, 1)
  return {
    ...subject,
    open: Effect.suspend(() => {
      Object.assign(counts, noCounts())
      countFor(counts)
      return Effect.map(subject.open, (opened) => ({
        ...opened,
        run: Effect.suspend(() => {
          Object.assign(counts, { dispatches: 0, submissions: 0 })
          countFor(counts)
          return opened.run
        }),
        observe: (seconds) => ({
          ...opened.observe?.(seconds),
          figures: { dispatches: counts.dispatches, submissions: counts.submissions, "peak bytes": counts.peakBytes },
        }),
        // On a separate device, so that the check leaves no memory behind for the timed network.
        check: Effect.suspend(() => {
          countFor(noCounts())
          return checkStep(workload).pipe(Effect.provide(backendLayer(name, 1)))
        }),
      }))
    }),
  }
}

/** The suite in a run of all suites; absent without a GPU. */
export const gpuSuite: Suite = {
  name: "gpu",
  about: "an iteration on WebGPU compared with TensorFlow.js, if there is a GPU",
  seconds: 50,
  backends,
  cases: () =>
    Effect.gen(function* () {
      const absent = (reason: string) => new AbsentError({ subject: "gpu", reason })
      const info = Gpu.info(yield* Effect.mapError(Gpu.findAdapter, ({ reason }) => absent(reason)))
      if (info.software)
        return yield* absent(`${Gpu.format(info)} is a software adapter; to run on it anyway: bun run bench gpu`)
      return workloads.map(
        (workload): Case => ({
          group: `${workload.model}, ${policy.name}`,
          values: valuesOf(workload),
          subjects: backends.map((name) => counted(workload, name, noCounts())),
        }),
      )
    }),
}

const rate = (value: number, unit: string): string =>
  value >= 1e12 ? `${(value / 1e12).toPrecision(3)} T${unit}` : `${(value / 1e9).toPrecision(3)} G${unit}`

const timeOne = (workload: Workload, rounds: number, ceilings: GpuCeilings | undefined) =>
  Effect.gen(function* () {
    const { batchSize, shape } = workload
    yield* say(`${workload.model}…`)
    const graph = yield* graphOf(workload)
    const program = yield* Program.compile(graph, workload.policy, trainingOptionsOf(workload))
    const { forward, backward, update, peakBytes } = Program.cost(program)
    const operations = [forward, backward, update].reduce((sum, cost) => sum + cost.multiplications + cost.additions, 0)
    const moved = bytesMoved(program)
    const counts = new Map(backends.map((name) => [name, noCounts()]))
    const timings = yield* measure(
      "gpu",
      {
        group: workload.model,
        values: valuesOf(workload),
        subjects: backends.map((name) => counted(workload, name, counts.get(name) as GpuCounts)),
      },
      { seconds: Number.POSITIVE_INFINITY, rounds },
    )
    const slowest = timings.find(({ subject }) => subject === "tfjs-webgpu")
    const of = ({ subject }: Timing) => counts.get(subject) as GpuCounts
    const count = (value: number) => value.toLocaleString("en")
    const each = (timing: Timing) => summarize(timing).median
    const columns: ReadonlyArray<readonly [string, (timing: Timing) => string]> = [
      ["", ({ subject }) => subject],
      ...(ceilings === undefined
        ? []
        : ([
            ["iterations/s", (timing) => (1 / each(timing)).toPrecision(3)],
            ["samples/s", (timing) => count(Math.round(batchSize / each(timing)))],
            ["FLOP/s", (timing) => rate(operations / each(timing), "FLOP/s")],
            ["of the peak", (timing) => percent(operations / each(timing) / ceilings.flops)],
            ["bytes/s", (timing) => rate(moved / each(timing), "B/s")],
            ["of the peak", (timing) => percent(moved / each(timing) / ceilings.bytes)],
          ] satisfies ReadonlyArray<readonly [string, (timing: Timing) => string]>)),
      ["times as fast", (timing) => (slowest === undefined ? "–" : formatRatio(ratio(slowest, timing)))],
      ["dispatches", (timing) => count(of(timing).dispatches)],
      ["submissions", (timing) => count(of(timing).submissions)],
      ["memory", (timing) => Program.formatBytes(of(timing).peakBytes)],
      ["loss", ({ loss }) => loss?.toFixed(4) ?? ""],
      ["firing rates", ({ firingRates = [] }) => formatRates(firingRates)],
      ["error", ({ check }) => check?.error.toExponential(0) ?? ""],
    ]
    const title = Object.entries({ ...valuesOf(workload), shape: Shape.format(shape ?? [28, 28, 1]) })
    yield* print(
      [
        `\n${title.map(([name, value]) => `${name} ${value}`).join(", ")}; ${Program.formatBytes(peakBytes)} planned`,
        table(
          columns.map(([title]) => title),
          timings.map((timing) => columns.map(([, cell]) => cell(timing))),
        ),
      ].join("\n"),
    )
  })

export const gpu = ({ models, rounds }: GpuOptions) =>
  Effect.gen(function* () {
    const adapter = yield* Gpu.findAdapter
    const info = Gpu.info(adapter)
    yield* print(`one training iteration on ${Gpu.format(info)}; medians of ${rounds} rounds in turn`)
    const ceilings = info.software ? undefined : yield* gpuCeilings(adapter, 128)
    yield* print(
      ceilings === undefined
        ? "This machine has no GPU. On a software adapter, networks and batches are smaller, and only ratios are meaningful."
        : `peak, measured: ${rate(ceilings.flops, "FLOP/s")} of multiply-adds, ${rate(ceilings.bytes, "B/s")} copied`,
    )
    for (const workload of workloads.filter(({ model }) => models.includes(model)))
      yield* timeOne(info.software ? { ...workload, ...onSoftware[workload.model] } : workload, rounds, ceilings)
    yield* print(
      [
        "\ntimes as fast: relative to tfjs-webgpu, with its 99 % interval.",
        ...(ceilings === undefined
          ? []
          : [
              "FLOP/s: the program's additions and multiplications, as if every neuron fired; bytes/s: every operand of every instruction once.",
            ]),
        "memory: peak of all GPU buffers. error: outputs and gradients compared with the reference backend.",
      ].join("\n"),
    )
  }).pipe(Effect.provide(layer(undefined)))
