/** `bun run bench`: what an iteration of training costs on this machine. */
import { backendLayer, backendNames } from "@spikeroute/cli/backends"
import { runMain } from "@spikeroute/cli/run-main"
import { print, table } from "@spikeroute/cli/terminal"
import { Program } from "@spikeroute/core"
import { Effect } from "effect"
import { Command, Flag } from "effect/cli"
import { type StepResult, step } from "./step.ts"

const atLeastOne = (name: string, usual: number, description: string) =>
  Flag.Int(name).pipe(
    Flag.filter(
      (value) => value >= 1,
      (value) => `--${name} is ${value}; it must be at least 1`,
    ),
    Flag.withDefault(usual),
    Flag.withDescription(description),
  )

const milliseconds = (seconds: number) => (1000 * seconds).toFixed(1)

const rows = (results: ReadonlyArray<StepResult>) =>
  results.map((result) => {
    const sltt = results.find(({ model, policy }) => model === result.model && policy === "sltt")
    return [
      `${result.model} ${result.policy}`,
      milliseconds(result.median),
      `${milliseconds(result.least)} – ${milliseconds(result.most)}`,
      (result.median / (sltt?.median ?? Number.NaN)).toFixed(2),
      Program.formatBytes(result.plannedBytes),
      Program.formatBytes(result.allocatedBytes),
      result.loss.toFixed(3),
      result.firingRates.map((rate) => `${(100 * rate).toFixed(1)} %`).join(" "),
    ]
  })

const bench = Command.make(
  "bun run bench",
  {
    backend: Flag.Literals("backend", backendNames).pipe(
      Flag.withDefault("tfjs-wasm"),
      Flag.withDescription("the backend that is timed"),
    ),
    timeSteps: atLeastOne("time-steps", 4, "time steps T"),
    batchSize: atLeastOne("batch-size", 64, "samples per batch"),
    rounds: atLeastOne("rounds", 7, "timed iterations of each case, in turn"),
    json: Flag.Boolean("json").pipe(Flag.withDefault(false), Flag.withDescription("print the results as JSON")),
  },
  ({ backend, json, ...options }) =>
    Effect.gen(function* () {
      const results = yield* step(options).pipe(Effect.scoped, Effect.provide(backendLayer(backend)))
      if (json) return yield* print(JSON.stringify(results, undefined, 2))
      yield* print(
        [
          `one training iteration on ${backend}, random 28×28 images, T = ${options.timeSteps}, batch ${options.batchSize}, ${options.rounds} rounds in turn`,
          table(
            ["", "median ms", "least – most", "÷ sltt", "planned", "allocated", "loss", "firing rates"],
            rows(results),
          ),
        ].join("\n"),
      )
    }),
).pipe(Command.withDescription("Time training iterations under BPTT, SLTT and SLTT-1, side by side"))

runMain(bench)
