/**
 * `reproduce`: the cost of BPTT, SLTT and SLTT-K on this machine for the networks of the SLTT paper (Meng et al., ICCV 2023), compared with
 * the paper as ratios to BPTT, which depend less on the machine than seconds and bytes.
 *
 * Samples are noise in the shapes of the paper's data, except DVS-Gesture at 48×48 instead of 128×128; neurons and optimiser are the paper's.
 * The paper's memory is a GPU's total, at batch 128 (DVS-Gesture: 16, ImageNet: 256).
 */
import { print, say, table } from "@spikeroute/cli/terminal"
import { type Models, Policy, Program, Shape } from "@spikeroute/core"
import { Data, Effect } from "effect"
import { milliseconds } from "../method/format.ts"
import { measure } from "../method/measure.ts"
import { layer } from "../method/recorder.ts"
import type { Timing } from "../method/row.ts"
import { summarize } from "../method/statistics.ts"
import { graphOf, percent, stepSubject, trainingOptionsOf, valuesOf } from "../workloads.ts"
import { growthOf } from "./memory.ts"

export class NotTimedError extends Data.TaggedError("NotTimedError")<{ readonly model: string }> {
  override get message(): string {
    return `${this.model} could not be timed under every policy: see the lines above`
  }
}

/** The paper's figures for a policy: memory in GB, training time in hours. */
interface Published {
  readonly memory?: number
  readonly time?: number
}

interface Network {
  readonly model: Models.ModelName
  readonly data: string
  readonly shape: Shape.Shape
  readonly encoding: Program.Encoding
  readonly timeSteps: number
  /** Trained steps of SLTT-K: the paper's choice for this data, or 1. */
  readonly k: number
  /** Factor of the channels, multiplied by the user's. */
  readonly width: number
  readonly published: { readonly bptt: Published; readonly sltt: Published; readonly slttk: Published }
}

const networks: ReadonlyArray<Network> = [
  {
    ...{ model: "resnet18", data: "CIFAR-10", shape: [32, 32, 3], encoding: "static", timeSteps: 6, k: 1, width: 1 },
    published: { bptt: { memory: 3, time: 6.35 }, sltt: { memory: 1.09, time: 4.58 }, slttk: {} },
  },
  {
    ...{ model: "vgg11", data: "DVS-CIFAR10", shape: [48, 48, 2], encoding: "frames", timeSteps: 10, k: 2, width: 1 },
    published: { bptt: { memory: 3.7, time: 4.47 }, sltt: { memory: 1.07, time: 3.43 }, slttk: {} },
  },
  {
    ...{ model: "vgg11", data: "DVS-Gesture", shape: [48, 48, 2], encoding: "frames", timeSteps: 20, k: 4, width: 1 },
    published: { bptt: { memory: 5.82 }, sltt: { memory: 1.07 }, slttk: {} },
  },
  {
    ...{ model: "nfresnet34", data: "ImageNet", shape: [224, 224, 3], encoding: "static" },
    ...{ timeSteps: 6, k: 1, width: 1 / 4 },
    published: { bptt: { memory: 28.41, time: 73.8 }, sltt: { memory: 8.47, time: 66.9 }, slttk: { time: 32 } },
  },
]

export const networkNames: ReadonlyArray<string> = [...new Set(networks.map(({ model }) => model))]

export interface ReproduceOptions {
  readonly backend: string
  readonly threads: number
  readonly models: ReadonlyArray<string>
  readonly batchSize: number
  readonly width: number
  readonly rounds: number
}

/** Bytes of parameters, gradients, optimiser state and statistics, which are the same under every policy. */
const fixedBytes = ({ bytesByKind: { parameter, gradient, optimizer, statistic } }: Program.ProgramCost): number =>
  parameter + gradient + optimizer + statistic

const ratio = (value: number | undefined, whole: number | undefined): string =>
  value === undefined || whole === undefined ? "–" : (value / whole).toFixed(2)

const reproduceOne = (network: Network, options: ReproduceOptions) =>
  Effect.gen(function* () {
    const { backend, threads, batchSize, rounds } = options
    const { data, k, published, ...rest } = network
    const workload = { ...rest, batchSize, width: network.width * options.width, tau: 1.1, optimizer: "sgd" } as const
    const { model, shape, timeSteps, width } = workload
    yield* say(`${model} on ${data}'s shape`)
    const policies = [
      { policy: Policy.bptt, name: "bptt", ...published.bptt },
      { policy: Policy.sltt, name: "sltt", ...published.sltt },
      { policy: Policy.slttK(k), name: "slttk", ...published.slttk },
    ] as const
    const growths = yield* Effect.forEach(policies, ({ name }) =>
      growthOf({ ...workload, backend, threads, policy: name, k }, Math.min(rounds, 3)),
    )
    const graph = yield* graphOf(workload)
    const timings = yield* measure(
      "reproduce",
      {
        group: `${model}, ${data}`,
        values: { model, data },
        subjects: policies.map(({ policy }) => {
          const own = { ...workload, policy }
          const subject = stepSubject(own, backend, threads)
          return { ...subject, values: { ...subject.values, ...valuesOf(own) } }
        }),
      },
      { seconds: Number.POSITIVE_INFINITY, rounds },
    )
    if (timings.length < policies.length) return yield* new NotTimedError({ model })
    const figures = yield* Effect.forEach(policies, ({ policy, memory, time }, i) =>
      Effect.gen(function* () {
        const program = yield* Program.compile(graph, policy, trainingOptionsOf({ ...workload, policy }))
        const cost = Program.cost(program)
        const timing = timings[i] as Timing
        const { loss = Number.NaN, firingRates = [] } = timing
        return {
          ...{ policy, loss, memory, time, timing: summarize(timing) },
          ...{
            planned: cost.peakBytes,
            beyond: cost.peakBytes - fixedBytes(cost),
            growth: growths[i]?.growth as number,
          },
          ...{ multiplications: cost.backward.multiplications, additions: cost.backward.additions },
          firing: firingRates.reduce((sum, rate) => sum + rate, 0) / firingRates.length,
        }
      }),
    )
    type Figures = (typeof figures)[number]
    const bptt = figures[0] as Figures
    const toBptt = (of: (each: Figures) => number | undefined) => (each: Figures) => ratio(of(each), of(bptt))
    const columns: ReadonlyArray<readonly [string, (each: Figures) => string]> = [
      ["", ({ policy }) => policy.name],
      ["s/iteration", ({ timing }) => timing.median.toFixed(3)],
      ["ms, least – most", ({ timing }) => `${milliseconds(timing.least)} – ${milliseconds(timing.most)}`],
      ["÷ bptt", toBptt(({ timing }) => timing.median)],
      ["paper", toBptt(({ time }) => time)],
      ["planned", ({ planned }) => Program.formatBytes(planned)],
      ["÷ bptt", toBptt(({ planned }) => planned)],
      ["peak growth", ({ growth }) => Program.formatBytes(growth)],
      ["÷ bptt", toBptt(({ growth }) => growth)],
      ["paper", toBptt(({ memory }) => memory)],
      ["beyond parameters", ({ beyond }) => Program.formatBytes(beyond)],
      ["÷ bptt", toBptt(({ beyond }) => beyond)],
      ["backward multiplications", ({ multiplications }) => multiplications.toLocaleString("en")],
      ["÷ bptt", toBptt(({ multiplications }) => multiplications)],
      ["additions", ({ additions }) => additions.toLocaleString("en")],
      ["÷ bptt", toBptt(({ additions }) => additions)],
      ["loss", ({ loss }) => loss.toFixed(3)],
      ["firing", ({ firing }) => percent(firing)],
    ]
    yield* print(
      [
        `\n${model}, ${Shape.format(shape)}, T = ${timeSteps}, width ${width}, batch ${batchSize}; the paper's on ${data}`,
        table(
          columns.map(([title]) => title),
          figures.map((each) => columns.map(([, cell]) => cell(each))),
        ),
      ].join("\n"),
    )
  }).pipe(Effect.scoped)

export const reproduce = (options: ReproduceOptions) =>
  Effect.gen(function* () {
    const { backend, threads, models, rounds } = options
    yield* print(`one training iteration on ${backend}, ${threads} threads, noise, medians of ${rounds} rounds in turn`)
    for (const network of networks) if (models.includes(network.model)) yield* reproduceOne(network, options)
    yield* print(
      [
        "\npaper: ratios of training time and GPU memory. For ImageNet the paper states over 50 % less time and 70 % less memory.",
        "beyond parameters: planned bytes minus parameters, gradients, statistics and optimiser state, which are the same for all policies.",
        "loss, firing: loss and mean firing rate of the last iteration.",
      ].join("\n"),
    )
  }).pipe(Effect.provide(layer(undefined)))
