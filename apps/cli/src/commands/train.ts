/** `train`: a new run, or one that goes on. */
import { Backend, Graph, Policy, Program, Train } from "@spikeroute/core"
import { Effect } from "effect"
import { backendLayer } from "../backends.ts"
import * as Config from "../config.ts"
import { UsageError } from "../errors.ts"
import { configured, openDataset } from "../run.ts"
import * as RunDirectory from "../run-directory.ts"
import { bold, dim, percent, print, say } from "../terminal.ts"
import { beginning, train as fit, runKey } from "../training.ts"

export interface TrainFlags {
  readonly config: string | undefined
  readonly out: string | undefined
  readonly resume: string | undefined
  readonly json: boolean
  readonly settings: Readonly<Record<string, unknown>>
}

/** Settings that may change when a run goes on: they change where and how long it runs, not what it computes. */
const changeable = ["backend", "dataDir", "epochs", "workers"]

const resumed = ({ resume = "", config, out, settings }: Omit<TrainFlags, "json">) =>
  Effect.gen(function* () {
    const changes = yield* Config.fromFlags(settings)
    const fixed = Object.keys(changes).find((setting) => !changeable.includes(setting))
    if (config !== undefined || out !== undefined || fixed !== undefined)
      return yield* new UsageError({
        reason: `--resume goes on with the settings of ${resume}: only --backend, --data-dir, --epochs and --workers may stand beside it`,
      })
    const run = yield* RunDirectory.open(resume)
    const checkpoint = yield* RunDirectory.load(resume, "last")
    return { run: { ...run, config: { ...run.config, ...changes } }, checkpoint }
  })

const begun = ({ config, out, settings }: Omit<TrainFlags, "json">) =>
  Effect.gen(function* () {
    const resolved = yield* configured(config, settings)
    return { path: out ?? RunDirectory.defaultDirectory(resolved, new Date()), config: resolved }
  })

/** Trains a run to its end, and gives its directory and what its summary.json holds. */
export const runTraining = (flags: Omit<TrainFlags, "json">) =>
  Effect.gen(function* () {
    const earlier = flags.resume === undefined ? undefined : yield* resumed(flags)
    const { path, config } = earlier?.run ?? (yield* begun(flags))
    const policy = yield* Config.policyOf(config)
    yield* Policy.check(policy, config.timeSteps)
    const dataset = yield* openDataset(config)
    const graph = earlier?.run.graph ?? (yield* Graph.make(dataset.shape, Config.networkOf(config, dataset.classes)))
    const options = Config.trainingOptions(config, dataset.encoding)

    return yield* Effect.gen(function* () {
      const trainer = yield* Train.make(graph, policy, { ...options, key: runKey(config) })
      const predictor = yield* Train.makePredictor(graph, options)
      if (earlier) yield* RunDirectory.restore(earlier.checkpoint, trainer)
      else {
        if (config.init !== undefined)
          yield* RunDirectory.restore(yield* RunDirectory.loadWeights(config.init, graph), {
            load: trainer.loadParameters,
          })
        yield* RunDirectory.create(path)
        yield* RunDirectory.describe({ path, config, graph })
      }
      const backend = yield* Backend
      const parameters = Graph.parameterCount(graph)
      yield* say(
        `${config.dataset} · ${config.model}, ${parameters.toLocaleString("en")} parameters · ${policy.name} · T = ${config.timeSteps} · batch ${config.batchSize} · ${backend.name} (${backend.description})`,
      )
      const position = earlier?.checkpoint.position ?? beginning
      if (earlier) yield* say(`going on after update ${position.update}`)

      const outcome = yield* fit({ path, config, graph }, dataset, trainer, predictor, position)
      const { position: end, evaluation, samplesPerSecond, seconds } = outcome
      const summary = {
        testAccuracy: end.testAccuracy,
        trainAccuracy: end.trainAccuracy,
        bestTestAccuracy: end.best?.testAccuracy ?? null,
        bestEpoch: end.best?.epoch ?? null,
        testTop5: evaluation?.top5 ?? null,
        firingRates: evaluation?.firingRates ?? null,
        epochs: end.epoch,
        updates: end.update,
        samplesPerSecond,
        seconds,
        peakBytes: trainer.executable.allocatedBytes(),
        plannedBytes: trainer.program.arenaBytes,
        parameters,
        dataset: config.dataset,
        model: config.model,
        policy: config.policy,
        k: config.k ?? null,
        timeSteps: config.timeSteps,
        batchSize: config.batchSize,
        backend: config.backend,
        seed: config.seed,
      }
      yield* RunDirectory.summarize(path, summary)
      return { directory: path, ...summary }
    }).pipe(Effect.scoped, Effect.provide(backendLayer(config.backend)))
  }).pipe(Effect.scoped)

export const train = ({ json, ...flags }: TrainFlags) =>
  Effect.gen(function* () {
    const run = yield* runTraining(flags)
    if (json) return yield* print(JSON.stringify(run, undefined, 2))
    const { testAccuracy, bestTestAccuracy, bestEpoch, seconds, samplesPerSecond, peakBytes, directory } = run
    yield* print(
      [
        `${bold(`test accuracy ${percent(testAccuracy ?? 0)}`)}  best ${percent(bestTestAccuracy ?? 0)} after epoch ${bestEpoch}`,
        `${Math.round(seconds)} s  ${samplesPerSecond} samples/s  ${Program.formatBytes(peakBytes)} of memory at the peak`,
        dim(directory),
      ].join("\n"),
    )
  })
