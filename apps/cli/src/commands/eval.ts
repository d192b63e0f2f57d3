/** `eval`: how good the network of a run is on the test samples. */
import { Backend, Train } from "@spikeroute/core"
import { Effect } from "effect"
import { anytime } from "../anytime.ts"
import { backendLayer } from "../backends.ts"
import { restore } from "../checkpoint.ts"
import { fromFlags, inferenceOptions } from "../config.ts"
import { evaluate } from "../evaluation.ts"
import { checkFlags } from "../flags.ts"
import { openRun } from "../run.ts"
import { bold, percent, print, table } from "../terminal.ts"

export interface EvalFlags {
  readonly directory: string
  readonly checkpoint: string
  /** Margins of anytime inference to try, with commas between them. */
  readonly margins: string | undefined
  readonly json: boolean
  readonly settings: Readonly<Record<string, unknown>>
}

/** Numbers of a list; what is no number stays text, for the check to show. */
const numbersOf = (text: string) =>
  text.split(",").map((each) => (each.trim() === "" || Number.isNaN(Number(each)) ? each : Number(each)))

export const evaluateRun = ({ directory, json, settings, ...given }: EvalFlags) =>
  Effect.gen(function* () {
    const { checkpoint: name, margins: wanted = [] } = yield* checkFlags("eval", {
      checkpoint: given.checkpoint,
      margins: given.margins === undefined ? undefined : numbersOf(given.margins),
    })
    const { config, graph, dataset, checkpoint } = yield* openRun(directory, name, yield* fromFlags(settings))
    yield* Effect.gen(function* () {
      const predictor = yield* Train.makePredictor(graph, inferenceOptions(config, dataset.encoding))
      yield* restore(checkpoint, predictor)
      const { samples, top1, top5, firingRates } = yield* evaluate(predictor, dataset, config)
      const early = wanted.length > 0 ? yield* anytime(graph, checkpoint.tensors, dataset, config, wanted) : undefined
      const result = {
        testAccuracy: top1,
        testTop5: top5,
        samples,
        firingRates,
        epoch: checkpoint.position.epoch,
        backend: (yield* Backend).name,
        ...(early && { anytime: early }),
      }
      if (json) return yield* print(JSON.stringify(result, undefined, 2))
      yield* print(
        [
          `${bold(`test accuracy ${percent(top1)}`)}  top-5 ${percent(top5)}  ${samples} samples, after epoch ${result.epoch}`,
          table(
            ["layer", "firing rate"],
            Object.entries(firingRates).map(([layer, rate]) => [layer, percent(rate)]),
          ),
          ...(early
            ? [
                table(
                  ["margin", "test accuracy", "mean steps", "ms a sample"],
                  early.map(({ margin, top1, meanSteps, millisecondsPerSample }) => [
                    margin === null ? "none" : String(margin),
                    percent(top1),
                    meanSteps.toFixed(2),
                    millisecondsPerSample.toFixed(2),
                  ]),
                ),
              ]
            : []),
        ].join("\n"),
      )
    }).pipe(Effect.scoped, Effect.provide(backendLayer(config.backend)))
  }).pipe(Effect.scoped)
