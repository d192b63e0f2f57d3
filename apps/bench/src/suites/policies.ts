/** `policies`: one training iteration of the small models under BPTT, SLTT and SLTT-1, side by side on one backend. */
import { print, table } from "@spikeroute/cli/terminal"
import { Policy, Program } from "@spikeroute/core"
import { Effect } from "effect"
import { backendLayer } from "../backends.ts"
import { inTurn, milliseconds, spread } from "../timing.ts"
import { noise, percent, prepare } from "../workloads.ts"

export interface PoliciesOptions {
  readonly backend: string
  readonly threads: number
  readonly timeSteps: number
  readonly batchSize: number
  readonly rounds: number
}

export const policies = ({ backend, threads, timeSteps, batchSize, rounds }: PoliciesOptions) =>
  Effect.gen(function* () {
    // Bright enough that both layers of the models fire from the start.
    const batch = noise(batchSize, 3)
    const all = (["mlp", "conv"] as const).flatMap((model) =>
      [Policy.bptt, Policy.sltt, Policy.slttK(1)].map((policy) => ({ model, policy, timeSteps, batchSize })),
    )
    const runs = yield* Effect.forEach(all, prepare)
    const timings = yield* inTurn(
      runs.map((run) => run.step(batch)),
      { rounds },
    )
    yield* print(
      [
        `one training iteration on ${backend}, ${threads} threads, noise, T = ${timeSteps}, batch ${batchSize}, ${rounds} rounds in turn`,
        table(
          ["", "median ms", "least – most", "÷ sltt", "planned", "allocated", "loss", "firing rates"],
          all.map(({ model, policy }, i) => {
            const timing = timings[i] as (typeof timings)[number]
            const sltt = timings[all.findIndex((other) => other.model === model && other.policy === Policy.sltt)]
            const { trainer, last } = runs[i] as (typeof runs)[number]
            return [
              `${model} ${policy.name}`,
              milliseconds(timing.median),
              spread(timing),
              (timing.median / (sltt?.median ?? Number.NaN)).toFixed(2),
              Program.formatBytes(trainer.program.arenaBytes),
              Program.formatBytes(trainer.executable.allocatedBytes()),
              last().loss.toFixed(3),
              last().firingRates.map(percent).join(" "),
            ]
          }),
        ),
      ].join("\n"),
    )
  }).pipe(Effect.scoped, Effect.provide(backendLayer(backend, threads)))
