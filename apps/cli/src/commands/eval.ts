/** `eval`: how good the network of a run is on the test samples. */
import { Backend, Train } from "@spikeroute/core"
import { Effect } from "effect"
import { backendLayer } from "../backends.ts"
import { fromFlags, trainingOptions } from "../config.ts"
import { evaluate } from "../evaluation.ts"
import { openRun } from "../run.ts"
import { type CheckpointName, restore } from "../run-directory.ts"
import { bold, percent, print, table } from "../terminal.ts"

export interface EvalFlags {
  readonly directory: string
  readonly checkpoint: CheckpointName
  readonly json: boolean
  readonly settings: Readonly<Record<string, unknown>>
}

export const evaluateRun = ({ directory, checkpoint: name, json, settings }: EvalFlags) =>
  Effect.gen(function* () {
    const { config, graph, dataset, checkpoint } = yield* openRun(directory, name, yield* fromFlags(settings))
    yield* Effect.gen(function* () {
      const predictor = yield* Train.makePredictor(graph, trainingOptions(config, dataset.encoding))
      yield* restore(checkpoint, predictor)
      const { samples, top1, top5, firingRates } = yield* evaluate(predictor, dataset, config)
      const result = {
        testAccuracy: top1,
        testTop5: top5,
        samples,
        firingRates,
        epoch: checkpoint.position.epoch,
        backend: (yield* Backend).name,
      }
      if (json) return yield* print(JSON.stringify(result, undefined, 2))
      yield* print(
        [
          `${bold(`test accuracy ${percent(top1)}`)}  top-5 ${percent(top5)}  ${samples} samples, after epoch ${result.epoch}`,
          table(
            ["layer", "firing rate"],
            Object.entries(firingRates).map(([layer, rate]) => [layer, percent(rate)]),
          ),
        ].join("\n"),
      )
    }).pipe(Effect.scoped, Effect.provide(backendLayer(config.backend)))
  }).pipe(Effect.scoped)
