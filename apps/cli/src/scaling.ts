/** Predicts the cost of training on several processes: memory per process, and time of the gradient exchange. */
import { type Policy, Program } from "@spikeroute/core"
import { exchangeCost, type Link } from "@spikeroute/distributed"
import { Effect } from "effect"
import { type Settings, trainingOptions } from "./config.ts"
import { quantityOf } from "./flags.ts"
import { networkFor } from "./network.ts"
import { sampleFor } from "./run.ts"
import { percent, table } from "./terminal.ts"

/** A link and, if known, the duration of a training step on one process in seconds. */
export interface LinkAndStep extends Link {
  readonly step: number | undefined
}

/** The link described by flags that have been checked. */
export const linkOf = (given: {
  readonly bandwidth?: string
  readonly latency?: string
  readonly step?: string
}): LinkAndStep => ({
  bandwidth: quantityOf(given.bandwidth ?? "10Gb", { b: 1 / 8, B: 1 }) as number,
  latency: quantityOf(given.latency ?? "50us", { s: 1 }) as number,
  step: given.step === undefined ? undefined : quantityOf(given.step, { s: 1 }),
})

/** The powers of two up to a number, and the number itself. */
const upTo = (ranks: number): ReadonlyArray<number> => {
  const powers = Array.from({ length: Math.floor(Math.log2(ranks)) + 1 }, (_, i) => 2 ** i)
  return powers.includes(ranks) ? powers : [...powers, ranks]
}

/** Predictions for every number of processes that divides the batch; each process takes one equal share. */
export const scalingOf = (
  config: Settings,
  policies: ReadonlyArray<Policy.Policy>,
  most: number,
  { step: whole, ...link }: LinkAndStep,
) =>
  Effect.gen(function* () {
    const sample = yield* sampleFor(config)
    const { graph } = yield* networkFor(config, sample)
    const { microBatches: _, ...options } = trainingOptions(config, sample)
    const dividing = upTo(most).filter((ranks) => config.batchSize % ranks === 0)
    return yield* Effect.forEach(dividing, (ranks) =>
      Effect.gen(function* () {
        const own = { ...options, batchSize: config.batchSize / ranks, share: { index: 0, count: ranks } }
        const programs = yield* Effect.forEach(policies, (policy) => Program.compile(graph, policy, own))
        const cost = exchangeCost(programs[0] as Program.Program, ranks, link)
        const step = whole === undefined ? undefined : whole / ranks
        return {
          ranks,
          samples: own.batchSize,
          ...cost,
          ...(step !== undefined && { efficiency: step / (step + cost.seconds) }),
          peakBytes: Object.fromEntries(programs.map(({ policy, arenaBytes }) => [policy, arenaBytes])),
        }
      }),
    )
  })

/** Formats the predictions as a table. */
export const scalingTable = (rows: Effect.Success<ReturnType<typeof scalingOf>>): string => {
  const [first] = rows
  const policies = Object.keys(first?.peakBytes ?? {})
  const isTimed = first?.efficiency !== undefined
  return table(
    [
      ...["ranks", "samples each", ...policies.map((policy) => `memory, ${policy}`), "sent a batch", "messages"],
      ...["exchange", ...(isTimed ? ["efficiency"] : [])],
    ],
    rows.map(({ ranks, samples, bytes, messages, seconds, efficiency, peakBytes }) => [
      ...[`${ranks}`, `${samples}`, ...policies.map((policy) => Program.formatBytes(peakBytes[policy] ?? 0))],
      ...[Program.formatBytes(bytes), `${messages}`, `${(1000 * seconds).toFixed(2)} ms`],
      ...(isTimed ? [percent(efficiency ?? 1)] : []),
    ]),
  )
}
